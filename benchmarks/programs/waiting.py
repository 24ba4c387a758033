"""A client that spools what waits for a worker: no-ops of `telling`, or both tasks of `limited` in turn.

`python -m benchmarks.programs.waiting telling|limited COUNT`
"""

import importlib
import sys
from itertools import cycle, islice

TASKS = {"telling": ("noop",), "limited": ("first", "other")}


def main(application: str, count: int) -> None:
    """Spool them all at once."""
    program = importlib.import_module(f".{application}", __package__)
    tasks = islice(cycle([getattr(program, name) for name in TASKS[application]]), count)
    program.spooler.spool_many_sync([task.call(number) for number, task in enumerate(tasks)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
