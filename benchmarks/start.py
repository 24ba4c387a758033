"""How long it takes to begin: the import of aspool, and the first task of a worker that has just been started."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import uwsgi
from .drain import worker
from .jobs import TEXT, application
from .places import settle
from .processes import ROOT, wait_until
from .scale import scaled
from .scenario import Figures, Goal, Scenario
from .stopwatch import now, read

WAITING = 5_000
TAKEN = "ms"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def scenarios() -> Sequence[Scenario]:
    return [
        Scenario(
            group="start",
            name="import",
            contenders={
                "import aspool": partial(_python, "import aspool"),
                "import aspool, DirectorySpool and worker": partial(
                    _python, "import aspool.worker; from aspool import DirectorySpool"
                ),
                "python alone": partial(_python, "pass"),
            },
            places=("ext4",),
            notes="From the start of `python -c …` to its end; the files are compiled and in memory.",
        ),
        Scenario(
            group="start",
            name="first of 5,000 waiting tasks",
            contenders={"aspool": _aspool, "uWSGI": _uwsgi},
            goals=(Goal(figure=TAKEN, at_most=400),),
            notes="From the start of the program to the start of the first function.",
        ),
    ]


def _python(code: str, directory: Path) -> Figures:
    repetitions = scaled(10, 3)
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=directory, env=ENVIRONMENT)  # compiles
    started = now()
    for _ in range(repetitions):
        subprocess.run(command, check=True, cwd=directory, env=ENVIRONMENT)
    return {TAKEN: 1000 * (now() - started) / repetitions}


def _aspool(directory: Path) -> Figures:
    spool = directory / "spool"
    jobs = application(spool)
    jobs.spooler.spool_many_sync([jobs.nothing.call(TEXT) for _ in range(scaled(WAITING, WAITING // 5))])
    settle()
    started = now()
    with worker(directory, spool) as process:
        wait_until(lambda: read(directory).jobs > 0, 60, "first job", process)
    return {TAKEN: 1000 * (read(directory).first_start - started)}


def _uwsgi(directory: Path) -> Figures:
    spool = directory / "spool"
    uwsgi.fill(directory, spool, scaled(WAITING, WAITING // 5))
    settle()
    started = now()
    with uwsgi.spoolers(directory, spool, uwsgi.PROGRAMS / "nothing.py") as process:
        wait_until(lambda: read(directory).jobs > 0, 60, "first job", process)
    return {TAKEN: 1000 * (read(directory).first_start - started)}
