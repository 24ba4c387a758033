"""The aspool application that benchmarks spool to and run: its jobs do nothing, or sleep, and note that they ran."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import anyio

from aspool import DirectorySpool, Spooler, Task

from .stopwatch import Samples, Stopwatch, now

Durability = Literal["disk", "process"]

NOTES = "BENCH_NOTES"  # the directory in which the jobs note that they ran
TEXT = "x" * 100  # the argument of each task: a small one, as most are


@dataclass(frozen=True, slots=True)
class Application:
    """A spooler and its tasks, by what they do."""

    spooler: Spooler
    nothing: Task[[str], Any, None]
    nothing_in_thread: Task[[str], Any, None]
    sleep: Task[[float], Any, None]
    sleep_in_thread: Task[[float], Any, None]
    probe: Task[[float], Any, None]


@cache
def stopwatch() -> Stopwatch:
    """The one of this process."""
    return Stopwatch(Path(os.environ[NOTES]))


@cache
def delays() -> Samples:
    """From the call of spool() to the start, in this process."""
    return Samples(Path(os.environ[NOTES]))


async def nothing(text: str) -> None:  # noqa: ARG001 - it travels
    stopwatch().start()
    stopwatch().end()


def nothing_in_thread(text: str) -> None:  # noqa: ARG001
    stopwatch().start()
    stopwatch().end()


async def sleep(seconds: float) -> None:
    stopwatch().start()
    await anyio.sleep(seconds)
    stopwatch().end()


def sleep_in_thread(seconds: float) -> None:
    stopwatch().start()
    time.sleep(seconds)
    stopwatch().end()


async def probe(sent: float) -> None:
    started = now()
    delays().add(started - sent)


async def raw_probe(variables: dict[str, str]) -> None:
    """The same for a message that uWSGI wrote."""
    started = now()
    delays().add(started - float(variables["sent"]))


def application(spool: Path, durability: Durability = "process") -> Application:
    """The application on a directory; its tasks have the same names in every process."""
    spooler = Spooler(DirectorySpool(spool, durability=durability))

    def task(function: Callable[..., Any]) -> Task[..., Any, Any]:
        return spooler.task(name=function.__name__)(function)

    spooler.handler(raw_probe)
    return Application(spooler, task(nothing), task(nothing_in_thread), task(sleep), task(sleep_in_thread), task(probe))
