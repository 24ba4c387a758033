"""Whether SIGHUP asks for a reload, or says that the terminal of a program was closed."""

import os


class Terminal:
    """The terminal of this program, if it has one when this is made."""

    def __init__(self) -> None:
        self._streams = [stream for stream in range(3) if _is_terminal(stream)]

    @property
    def is_closed(self) -> bool:
        """Whether it was there, and is not any more."""
        return bool(self._streams) and not any(map(_is_terminal, self._streams))


def _is_terminal(stream: int) -> bool:
    try:
        os.tcgetpgrp(stream)  # isatty says no more than that: a closed one is none
    except OSError:
        return False
    return True
