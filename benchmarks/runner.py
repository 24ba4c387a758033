"""Runs contenders in turn, each in a process and a directory of its own, of which nothing is left afterwards."""

import gc
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .figures import Run
from .places import Place, settle
from .processes import kill_session
from .scenario import Contender, Figures, Scenario

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LONGEST_RUN = 900.0  # seconds
TRIES = 2  # a contender that has failed so often is left out of the rounds that remain


class RunFailed(Exception):
    """A contender gave no figures; the text says why."""


def runs(scenario: Scenario, place: Place, rounds: int, told: Callable[[str], None]) -> Iterator[Run]:
    """Round after round, each contender in turn: A B C, A B C. `told` hears what runs now."""
    failures = dict.fromkeys(scenario.contenders, 0)
    for round in range(1, rounds + 1):
        for name, contender in scenario.contenders.items():
            if failures[name] < TRIES:
                told(f"{scenario.group}: {scenario.name}, {place.name}, round {round} of {rounds}: {name}")
                run = _run(name, contender, place.path, round)
                failures[name] += bool(run.error)
                yield run


def _run(name: str, contender: Contender, place: Path, round: int) -> Run:
    directory = Path(tempfile.mkdtemp(dir=place))
    began = time.monotonic()
    try:
        figures, error = measured(contender, directory), ""
    except RunFailed as failure:
        figures, error = {}, str(failure)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        settle()
    return Run(name, round, figures, error, time.monotonic() - began)


def measured(contender: Contender, directory: Path, longest: float = LONGEST_RUN) -> Figures:
    """The figures of one run, in a forked process whose whole session is killed at the end. Raises RunFailed."""
    gc.collect()
    gc.freeze()  # the child does not walk through what we have, nor copy it
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(contender, directory, sender))
    process.start()
    sender.close()
    try:
        return _answer(receiver, longest)
    finally:
        kill_session(process.pid or 0)
        process.kill()
        process.join()
        receiver.close()


def _answer(receiver: "Connection[object, object]", longest: float) -> Figures:
    if not receiver.poll(longest):
        raise RunFailed(f"no figures within {longest:g} s")
    try:
        answer = receiver.recv()
    except EOFError:
        raise RunFailed("its process died") from None
    if isinstance(answer, dict):
        return answer
    raise RunFailed(str(answer))


def _measure(contender: Contender, directory: Path, sender: "Connection[object, object]") -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        sender.send(dict(contender(directory)))
    except Exception as error:
        if "BENCH_TRACEBACK" in os.environ:
            traceback.print_exc()
        sender.send(f"{type(error).__name__}: {error}")
