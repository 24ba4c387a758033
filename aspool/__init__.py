"""aspool: a task queue for asyncio programs in which a directory is the queue.

The face: every public name, and nothing else. What does I/O is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import errors
from .body import Body
from .collection import Tasks
from .errors import (
    ArgumentsRefused,
    AspoolError,
    CallError,
    ForeignError,
    MomentRefused,
    NameRefused,
    NoResult,
    NotSpooled,
    PartlySpooled,
    SpoolError,
    SpoolFull,
    SpoolUnusable,
    TaskCancelled,
    TaskFailed,
    TaskRefused,
    Uncertain,
    UnknownSpool,
)
from .job import Job, current_job
from .outcomes import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, Bury, Retry, SpoolReturn
from .protocol import Progress
from .settings import Settings, WorkerSettings
from .spoolable import Call
from .spooler import Spooler
from .task import Task, spool
from .ticket import Ticket, Update

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
    "NoResult",
    "NotSpooled",
    "PartlySpooled",
    "Progress",
    "Retry",
    "Settings",
    "SpoolError",
    "SpoolFull",
    "SpoolReturn",
    "SpoolUnusable",
    "Spooler",
    "Task",
    "TaskCancelled",
    "TaskFailed",
    "TaskRefused",
    "Tasks",
    "Ticket",
    "Uncertain",
    "UnknownSpool",
    "Update",
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
