"""aspool, as its own benchmarks measure it, called like the peers."""

from typing import cast

from ..jobs import Durability, application
from .surroundings import data, variant

tasks = application(data() / "spool", cast("Durability", variant()))
spooler = tasks.spooler


def send(text: str) -> None:
    tasks.nothing.spool_sync(text)


def probe(moment: float) -> None:
    tasks.probe.spool_sync(moment)
