"""The programs of the demo as real processes: start, wait for, freeze, kill; none outlives the demo."""

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PR_SET_PDEATHSIG = 1
PATIENCE = 10.0  # seconds that a program gets to end by itself


class Program:
    """One process and its log."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], home: Path) -> None:
        self.name = name
        self.log = home / f"{name}.log"
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments], cwd=home, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo alone, which then stops the others in order
                preexec_fn=_die_with_the_demo,
            )  # fmt: skip
        self.pid = self._process.pid

    def freeze(self) -> None:
        """Stop it, so that one can look at what it holds."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to this process alone: what becomes of its children is its own affair."""
        self._process.kill()
        self._process.wait()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def leaves_nothing_behind(self) -> bool:
        """Whether no process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to the whole group if that takes too long."""
        if self.is_alive:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    async def says(self, pattern: str) -> str:
        """The first group of a pattern, as soon as the log has it."""
        await until(lambda: re.search(pattern, self.log.read_text()), f"{self.name} says {pattern!r}", [self])
        match = re.search(pattern, self.log.read_text())
        assert match is not None
        return match[1]


class Programs:
    """All that were started."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[Program] = []

    def start(self, name: str, *arguments: str, **environment: str) -> Program:
        self.started.append(Program(name, list(arguments), environment, self.home))
        return self.started[-1]


@contextmanager
def programs(home: Path) -> Iterator[Programs]:
    """Whatever ends the block ends the programs, the last one first. SIGTERM ends the block too."""
    started = Programs(home)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield started
    finally:
        for program in reversed(started.started):
            program.stop()
        signal.signal(signal.SIGTERM, before)


async def until(condition: Callable[[], object], what: str, needed: list[Program], seconds: float = 60.0) -> None:
    """Wait for a condition, but not for ever, and not for a program that has ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        ended = [program for program in needed if not program.is_alive]
        if ended and not condition():
            raise RuntimeError(f"{ended[0].name} has ended. Its log:\n{ended[0].log.read_text()[-3000:]}")
        if loop.time() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        await asyncio.sleep(0.02)


def _die_with_the_demo() -> None:
    """Even a SIGKILL to the demo leaves nothing behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
