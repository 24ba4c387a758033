"""huey: files, SQLite or Redis. Results are not kept, as aspool keeps none."""

from importlib import import_module
from typing import Any

from . import plain_jobs
from .surroundings import data, redis_url, variant

_huey: Any = import_module("huey")  # it has no type hints, and is there only where peers are measured


def _made() -> Any:
    match variant():
        case "files":
            return _huey.FileHuey("bench", path=str(data() / "queue"), results=False)
        case "SQLite":
            return _huey.SqliteHuey("bench", filename=str(data() / "queue.sqlite"), results=False)
        case "SQLite, no fsync":
            return _huey.SqliteHuey("bench", filename=str(data() / "queue.sqlite"), results=False, fsync=False)
        case _:
            return _huey.RedisHuey("bench", url=redis_url(), results=False)


huey = _made()
send = huey.task()(plain_jobs.nothing)
probe = huey.task()(plain_jobs.probe)
