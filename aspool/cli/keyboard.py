"""Single keys of a terminal, read without waiting for Enter; and the terminal as it was, whatever happens."""

import os
import sys
import termios
import tty
from typing import Any, Self


class Keyboard:
    """The keys of this terminal, unechoed, inside a `with` block. Without a keyboard it is silent."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if self._fd is not None:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSANOW)
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    async def pressed(self) -> str:
        """The next key; "" when the terminal is gone."""
        import anyio

        if self._fd is None:
            await anyio.Event().wait()  # for ever
            return ""
        await anyio.wait_readable(self._fd)
        try:
            return os.read(self._fd, 64).decode(errors="replace")
        except OSError:
            return ""
