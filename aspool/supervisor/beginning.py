"""What every worker process does first: its directory, its logs, the modules and the application, its spools.

A program of uWSGI is imported by `compat`.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..application import imported, load_spooler
from ..errors import CallError
from ..observe.logs import LogsOfChildren, set_up_logs
from ..placing import apply_spools
from ..settings import Settings
from ..spooler import Spooler
from ..worker.descriptors import fitted
from ..worker.report import logger


@dataclass(frozen=True, slots=True)
class Begun:
    """An application that is ready to be worked for, the settings that fit this machine, and the logs for its jobs."""

    spooler: Spooler[Any]
    settings: Settings
    logs: LogsOfChildren
    prepare_child: Callable[[str], None] | None = None


def begin(app: str, settings: Settings, worker: int | None = None) -> Begun:
    """Import an application, in its directory, and give it its spools. `worker` is which of several this is.

    Raises ApplicationUnusable, and CallError for settings that do not fit.
    """
    if settings.chdir is not None:
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())  # where it was started is importable too
        try:
            os.chdir(settings.chdir)
        except OSError as error:
            raise CallError(f"chdir={settings.chdir} cannot be: {error.strerror}") from error
    if settings.uwsgi:
        from ..compat.running import ProgramOfChild, load  # nobody else needs it

        return _begun(load(settings, worker), settings, worker, ProgramOfChild(settings.as_record(), worker or 1))
    for name in settings.imports:
        imported(name)
    spooler = load_spooler(app)
    apply_spools(spooler, settings)
    return _begun(spooler, settings, worker)


def _begun(
    spooler: Spooler[Any], settings: Settings, worker: int | None, prepare_child: Callable[[str], None] | None = None
) -> Begun:
    logs = set_up_logs(settings, worker)  # what the application has set up itself stays
    fitting, warning = fitted(settings)
    if warning is not None:
        logger.warning(warning)
    return Begun(spooler, fitting, logs, prepare_child)
