"""persist-queue: an SQLite queue with acknowledgements. It has no worker: this is the shortest that one could write."""

import time
from importlib import import_module
from typing import Any

from . import plain_jobs
from .surroundings import data

POLL = 0.01  # seconds; other processes are not told of a new task
_persistqueue: Any = import_module("persistqueue")
_queue: Any = _persistqueue.SQLiteAckQueue(str(data() / "queue"), auto_commit=True)


def send(text: str) -> None:
    _queue.put(("nothing", text))


def probe(moment: float) -> None:
    _queue.put(("probe", moment))


def work() -> None:
    """One task after the other, each acknowledged when it is done."""
    tasks: dict[str, Any] = {"nothing": plain_jobs.nothing, "probe": plain_jobs.probe}
    while True:
        try:
            item = _queue.get(block=False)
        except _persistqueue.Empty:
            time.sleep(POLL)
            continue
        name, argument = item
        tasks[name](argument)
        _queue.ack(item)


if __name__ == "__main__":
    work()
