"""File descriptors for the jobs: the limit of the process is raised if they need it, and if that is not enough,
fewer jobs run at a time. Nothing here opens one.
"""

import resource
from typing import TypeVar

from ..settings import WorkerSettings

RESERVED = 64  # for spools, wake-ups, logs and the program itself
EACH = 4  # for a job: its message, its body, and what it opens itself
AnySettings = TypeVar("AnySettings", bound=WorkerSettings)


def fitted(settings: AnySettings) -> tuple[AnySettings, str | None]:
    """The settings with no more concurrency than there are descriptors for, and the sentence to log if it is less.

    Raises the soft limit of this process to the hard one first, if need be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = raised(settings.concurrency, soft, hard)
    if wanted != soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower bound beside the hard limit
            wanted = soft
    most = affordable(wanted)
    if settings.concurrency <= most:
        return settings, None
    return settings.changed(concurrency=most), _sentence(settings.concurrency, most, wanted)


def raised(concurrency: int, soft: int, hard: int) -> int:
    """The soft limit that so many jobs need: as it is if it suffices, the hard one otherwise."""
    needed = RESERVED + EACH * concurrency
    if _is_endless(soft) or soft >= needed:
        return soft
    return needed if _is_endless(hard) else hard


def affordable(soft: int) -> float:
    """How many jobs may run at a time with so many descriptors; one always may."""
    return float("inf") if _is_endless(soft) else max(1, (soft - RESERVED) // EACH)


def _is_endless(limit: int) -> bool:
    return limit == resource.RLIM_INFINITY


def _sentence(asked: int, most: float, limit: int) -> str:
    return (
        f"concurrency is {most}, not {asked}: the process may open only {limit} files, and each job needs up to "
        f"{EACH}; allow {RESERVED + EACH * asked} (LimitNOFILE= of systemd, ulimit -n)"
    )
