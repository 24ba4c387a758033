"""Whether SIGHUP asks for a reload, or says that the terminal of a program was closed."""

import os


class Terminal:
    """The terminal of this program, if it has one when this is made."""

    def __init__(self) -> None:
        self._was_there = _is_there()

    @property
    def is_closed(self) -> bool:
        """Whether it was there, and is not any more."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.tcgetpgrp(0)  # isatty says no more than that: a closed one is none
    except OSError:
        return False
    return True
