"""What jobs in child processes say while they run (progress, log lines, more time): JSON lines through a pipe."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio import wait_readable

from ..errors import CallError
from ..job import logger as job_logger
from ..protocol import Progress
from .run import Run

CHUNK = 65_536


class ChildMessages:
    """A pipe whose writing end children open by its path; each line tells the number of its run."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._runs: dict[int, Run] = {}
        self._last = 0
        self._rest = b""

    @property
    def path(self) -> str:
        """What a child opens for writing."""
        return f"/proc/{os.getpid()}/fd/{self._write}"

    def next_number(self) -> int:
        """A number for a run."""
        self._last += 1
        return self._last

    @contextmanager
    def of(self, run: Run, number: int) -> Iterator[None]:
        """Pass on what is said by the child with that number, until the block ends."""
        self._runs[number] = run
        try:
            yield
        finally:
            self.read()
            del self._runs[number]

    async def keep_reading(self) -> None:
        """Pass on what children say, until cancelled."""
        while True:
            await wait_readable(self._read)
            self.read()

    def read(self) -> None:
        """Pass on what has been said so far."""
        try:
            while data := os.read(self._read, CHUNK):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._hear(line)
        except OSError:
            pass  # nothing more for now

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            run = self._runs[said["run"]]
        except (ValueError, TypeError, KeyError):
            return  # of a run that is over
        try:
            _pass_on(run, said)
        except (ValueError, TypeError, KeyError, CallError):
            logging.getLogger("aspool.worker").debug("a child process said %r", line)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)


def _pass_on(run: Run, said: dict[str, Any]) -> None:
    if "child" in said:
        pid, fd = said["child"]
        run.child = int(pid), int(fd)
    elif "progress" in said:
        run.progressed(Progress(*said["progress"]))
    elif "extend" in said:
        run.extend(said["extend"])
    elif "set_harakiri" in said:
        run.set_harakiri(said["set_harakiri"])
    elif "log" in said:
        level, text = said["log"]
        run.job.logged(level, text)
        extra = {"aspool_id": run.job.id, "aspool_task": run.job.task, "aspool_attempt": run.job.attempt}
        job_logger.log(level, "[%s %s #%d] %s", run.job.task, run.job.id, run.job.attempt, text, extra=extra)
