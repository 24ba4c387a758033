"""The parent of several workers: it starts, replaces, watches and stops their processes.

It never imports the application. `run` is imported when it is asked for: a worker's process needs none of that.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .program import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name != "run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .program import run

    return run
