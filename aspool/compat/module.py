"""The module `uwsgi`: its functions are the public methods of the parts, each of which has one concern."""

import sys
from types import ModuleType
from typing import Any

from .mules import Mules
from .network.messages import Messages
from .network.procedures import Procedures
from .packages import hook_set
from .process.information import Information
from .process.masters import Masters
from .program import Program
from .shared.cache import Cache
from .shared.locks import Locks
from .shared.metrics import Metrics
from .shared.queue import Queue
from .signals.signals import Signals
from .signals.timers import Timers
from .tasks.spooling import Spooling
from .unsupported import UNSUPPORTED, Unsupported

_PARTS = (Spooling, Signals, Timers, Mules, Cache, Queue, Locks, Metrics, Messages, Procedures, Masters, Information)


class _Module(ModuleType):
    """Names that uWSGI has and aspool has not say so when they are used, and what to use instead."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "spooler":
            hook_set(value)

    def __getattr__(self, name: str) -> Any:
        if name in UNSUPPORTED:
            return Unsupported(name)
        raise AttributeError(f"module 'uwsgi' has no attribute {name!r}", name=name, obj=self)


def made_module() -> ModuleType:
    """An empty module `uwsgi`, for a Program."""
    return _Module("uwsgi", "The functions of uWSGI, as aspool has them.")


def fill(program: Program) -> None:
    """Give the module of a program its functions and values."""
    for part in _PARTS:
        made = part(program)
        for name in dir(made):
            if not name.startswith("_"):
                setattr(program.module, name, getattr(made, name))


def put_in(name: str, module: ModuleType) -> None:
    """Let `import` find a module under a name."""
    sys.modules[name] = module
