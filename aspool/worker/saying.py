"""How a job in a child process says something to its worker: one JSON line into a pipe. Who listens: messages.py."""

import json
import os
from typing import Any

LONGEST = 4000  # bytes of a line: a pipe takes so many whole or not at all


def say(path: str, run: int, what: str, value: Any) -> None:
    """Say something to the worker, from a child. Never fails: a worker that is gone hears nothing."""
    line = json.dumps({"run": run, what: value}, ensure_ascii=False).encode(errors="backslashreplace")
    if len(line) > LONGEST:
        return
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, line + b"\n")
        finally:
            os.close(fd)
    except OSError:
        pass
