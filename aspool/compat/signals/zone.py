"""The zone of this machine, by its name: uWSGI's crons are in local time."""

import os
import time
from datetime import datetime
from zoneinfo import ZoneInfo

_LINK, _FILE = "/etc/localtime", "/etc/timezone"


def local_zone() -> str:
    """As Europe/Paris; UTC where the machine has no name for it."""
    for name in (_linked(), _written(), "UTC"):
        if name and _is_zone(name):
            return name
    return "UTC"


def is_local(zone: str) -> bool:
    """Whether the clock of this process shows the time of that zone now: a program may set another (time.tzset)."""
    now = time.time()
    offset = datetime.fromtimestamp(now, ZoneInfo(zone)).utcoffset()
    return offset is not None and offset.total_seconds() == time.localtime(now).tm_gmtoff


def _linked() -> str:
    try:
        return os.path.realpath(_LINK).partition("/zoneinfo/")[2]
    except OSError:
        return ""


def _written() -> str:
    try:
        with open(_FILE, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError):
        return False
    return True
