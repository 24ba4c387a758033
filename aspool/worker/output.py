"""What jobs in child processes print: it comes through a pipe and goes on to the worker's standard error.

A child cannot write there by itself: it has no descriptor of it, and a file opened again has a position of its own.
"""

import os

from anyio import wait_readable

CHUNK = 65_536


class ChildOutput:
    """A pipe whose writing end children open by its path."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    @property
    def path(self) -> str:
        """What a child opens for writing."""
        return f"/proc/{os.getpid()}/fd/{self._write}"

    async def keep_copying(self) -> None:
        """Pass on what children print, until cancelled."""
        while True:
            await wait_readable(self._read)
            self._copy()

    def _copy(self) -> None:
        try:
            while data := os.read(self._read, CHUNK):
                os.write(2, data)
        except OSError:
            pass  # nothing more to read for now, or nobody reads our standard error

    def close(self) -> None:
        """Pass on the rest, and close both ends."""
        self._copy()
        os.close(self._read)
        os.close(self._write)
