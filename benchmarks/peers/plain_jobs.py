"""The jobs of peers that run plain functions; those of the others are in benchmarks/jobs.py."""

from ..jobs import delays, stopwatch
from ..stopwatch import now


def nothing(text: str) -> None:  # noqa: ARG001 - it travels
    stopwatch().start()
    stopwatch().end()


def probe(sent: float) -> None:
    started = now()
    delays().add(started - sent)
