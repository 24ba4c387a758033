"""The worker: one process, one event loop, that claims messages and runs them."""

from .loop import Worker
from .running import running

__all__ = ["Worker", "running"]
