"""What packages that were written on top of `uwsgi` need of it beside its functions. They stay as they are."""

import threading
from types import SimpleNamespace
from typing import Any

_UWSGI_TASKS = "uwsgi_tasks.tasks"


def hook_set(handler: Any) -> None:
    """A package has set `uwsgi.spooler`, as uwsgi_tasks does at the end of its import.

    That keeps its tasks in a namespace of the thread which imported them, the only one that a process of uWSGI has. In
    any other thread it finds, in place of the function, what it has put over it, and spools that for ever.
    """
    if getattr(handler, "__module__", None) != _UWSGI_TASKS:
        return
    names = handler.__globals__
    if isinstance(names.get("saved_tasks"), threading.local):
        names["saved_tasks"] = SimpleNamespace(**vars(names["saved_tasks"]))
