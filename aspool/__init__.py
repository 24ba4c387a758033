"""aspool: a task queue for asyncio programs in which a directory is the queue.

The face: every public name, and nothing else. What does I/O is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import errors
from .body import Body
from .errors import (
    ArgumentsRefused,
    AspoolError,
    CallError,
    ForeignError,
    MomentRefused,
    NameRefused,
    NotSpooled,
    PartlySpooled,
    SpoolError,
    SpoolUnusable,
    TaskRefused,
    Uncertain,
    UnknownSpool,
)
from .job import Job, current_job
from .outcomes import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, Bury, Retry, SpoolReturn
from .settings import WorkerSettings
from .spooler import Spooler
from .task import Call, Task, spool
from .ticket import Ticket

if TYPE_CHECKING:
    from . import worker
    from .spools.directory import DirectorySpool
    from .spools.memory import MemorySpool

__version__ = "0.1.0"
__all__ = [
    "SPOOL_IGNORE",
    "SPOOL_OK",
    "SPOOL_RETRY",
    "ArgumentsRefused",
    "AspoolError",
    "Body",
    "Bury",
    "Call",
    "CallError",
    "DirectorySpool",
    "ForeignError",
    "Job",
    "MemorySpool",
    "MomentRefused",
    "NameRefused",
    "NotSpooled",
    "PartlySpooled",
    "Retry",
    "SpoolError",
    "SpoolReturn",
    "SpoolUnusable",
    "Spooler",
    "Task",
    "TaskRefused",
    "Ticket",
    "Uncertain",
    "UnknownSpool",
    "WorkerSettings",
    "current_job",
    "errors",
    "spool",
    "worker",
]
_LATER = {
    "DirectorySpool": ("aspool.spools.directory", "DirectorySpool"),
    "MemorySpool": ("aspool.spools.memory", "MemorySpool"),
    "worker": ("aspool.worker", None),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'aspool' has no attribute {name!r}")
    module, attribute = _LATER[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
