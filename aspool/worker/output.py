"""What jobs in child processes print: it comes through a pipe and goes on to the worker's standard error.

A child cannot write there by itself: it has no descriptor of it, and a file opened again has a position of its own.
"""

import os

from anyio import move_on_after, wait_readable

CHUNK = 65_536
PART_WAIT = 0.2  # seconds after which a line that has not ended is passed on all the same


class ChildOutput:
    """A pipe whose writing end children open by its path."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""  # of a line that has not ended

    @property
    def path(self) -> str:
        """What a child opens for writing."""
        return f"/proc/{os.getpid()}/fd/{self._write}"

    async def keep_copying(self) -> None:
        """Pass on what children print, until cancelled."""
        while True:
            with move_on_after(PART_WAIT if self._rest else None) as waiting:
                await wait_readable(self._read)
            self._copy(parts=waiting.cancelled_caught)

    def _copy(self, *, parts: bool) -> None:
        """Whole lines at once, so that the worker's own do not come between; with `parts`, what there is."""
        try:
            while data := os.read(self._read, CHUNK):
                lines, end, self._rest = (self._rest + data).rpartition(b"\n")
                os.write(2, lines + end)
        except OSError:
            pass  # nothing more to read for now, or nobody reads our standard error
        if self._rest and (parts or len(self._rest) > CHUNK):
            rest, self._rest = self._rest, b""
            try:
                os.write(2, rest)
            except OSError:
                pass

    def close(self) -> None:
        """Pass on the rest, and close both ends."""
        self._copy(parts=True)
        os.close(self._read)
        os.close(self._write)
