"""aspool inside a web application: its lifespan, tasks spooled before the answer, events of a task, 503 when full.

What needs Starlette or FastAPI is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .background import BackgroundSpool
from .lifespan import lifespan

if TYPE_CHECKING:
    from .dependency import SpoolTasks
    from .full import spool_full
    from .streams import events

__all__ = ["BackgroundSpool", "SpoolTasks", "events", "lifespan", "spool_full"]
_LATER = {"SpoolTasks": ".dependency", "events": ".streams", "spool_full": ".full"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'aspool.asgi' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"aspool.asgi.{name} needs {error.name}, which is not installed: pip install 'aspool[fastapi]'",
            name=error.name,
        ) from None
