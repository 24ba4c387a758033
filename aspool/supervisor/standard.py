"""The standard streams of a program that may have been started without them, or whose reader has gone."""

import os

from ..escape import safe


def have_standard_streams() -> None:
    """Let 0, 1 and 2 be open, on nothing if they are closed: what is opened next would get their numbers."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def say(line: str) -> None:
    """A line on standard output, if anybody reads it."""
    try:
        os.write(1, f"{safe(line)}\n".encode())
    except OSError:
        pass  # closed, full, or its reader has gone: not worth a program
