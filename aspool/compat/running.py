"""Whole programs of uWSGI in processes of aspool: in a worker, in a child for one job, or as a script.

What the command line was told comes as Settings; the shims themselves are made by `installing`.
"""

import importlib.util
import logging
import os
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..application import imported
from ..errors import ApplicationUnusable
from ..placing import named_spools
from ..settings import Settings
from ..spooler import DEFAULT, Spooler
from . import installing
from .forks import begin, begin_in_child, run_post_fork
from .module import made_module
from .mules import serve
from .program import Program, Role
from .signals.zone import is_local, local_zone

logger = logging.getLogger("aspool.uwsgi")
MULE = re.compile(r"uwsgi\.mule(\d+)")  # the name of a task that is run in the process of a mule


def load(settings: Settings, number: int | None = None) -> Spooler[Any]:
    """Import a program into a worker's process, its only one: the Spooler to work for.

    `number` counts from 1; None for a worker that has no supervisor, and so is its own master.

    As uWSGI: its modules, what is to run after a fork, then the modules that only spoolers import.
    Raises ApplicationUnusable, and CallError for spools that do not fit together.
    """
    program = _in_place(settings, Role("spooler", number or 1, os.getpid() if number is None else _master()))
    for name in settings.uwsgi:
        module_of(name)
    run_post_fork(program)
    for name in settings.imports:
        module_of(name)
    if settings.tz is None and not is_local(program.spooler.tz):
        logger.warning(
            "the program has another time zone than this machine, as Django's TIME_ZONE; its crons are in %s: say --tz",
            program.spooler.tz,
        )
    begin(program)
    return program.spooler


_in_child: list[Program] = []  # the one of this process


@dataclass(frozen=True, slots=True)
class ProgramOfChild:
    """Puts a program into the process of a job, before its task is looked for. It travels pickled, as a record."""

    settings: Mapping[str, Any]
    number: int = 1

    def __call__(self, task: str) -> None:
        """Import it, once. Raises ApplicationUnusable."""
        found = MULE.fullmatch(task)
        role = Role("mule", max(1, int(found[1])), _master()) if found else Role("spooler", self.number, _master())
        if _in_child:
            object.__setattr__(_in_child[0], "role", role)  # the process of jobs is one mule after another
            return
        _in_child.append(_in_place(Settings.from_record(self.settings), role))
        for name in _in_child[0].modules:
            module_of(name)
        if found is None:
            run_post_fork(_in_child[0])  # in a mule that may be its endless loop, which `aspool run --mule` runs
        begin_in_child(_in_child[0])


def put_in_place(settings: Settings, mule: int = 0) -> Program:
    """Let this process be a worker of uWSGI, or a mule. Raises CallError for spools that do not fit together."""
    return _in_place(settings, Role("mule", mule, _master()) if mule else Role("worker", 1, _master()))


def run_as_main(target: str, *, is_module: bool = False) -> None:
    """Run a script, or a module, as `__main__`. Raises what it raises."""
    if is_module:
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(target, run_name="__main__")


def stay_as_mule(program: Program) -> None:
    """What a mule does once its script has ended: what is to run after a fork, then its hook, for ever, if it has one.

    Raises SpoolUnusable, SpoolError.
    """
    run_post_fork(program)
    serve(program)


def module_of(name: str) -> ModuleType:
    """Import a module by its name, or by the absolute path of its file. Raises ApplicationUnusable."""
    if "/" not in name:
        return imported(name)
    known = _name_of_file(name)
    if known not in sys.modules and not os.path.isfile(name):
        raise ApplicationUnusable(f"there is no Python file {name}")
    return sys.modules.get(known) or imported(known, lambda _: _loaded(known, name))


def _name_of_file(path: str) -> str:
    """As uWSGI calls a module that it knows by its file (uwsgi_pythonize)."""
    return path.removesuffix(".py").replace(".", "_").replace("/", "_")


def _loaded(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no file of Python")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    vars(spec)["_initializing"] = True  # as `import` does; the registry of signals asks for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        vars(spec)["_initializing"] = False
    return module


def _in_place(settings: Settings, role: Role) -> Program:
    """The shims of this process. Raises CallError."""
    spools = named_spools(settings)
    first = spools.pop(DEFAULT, None) or spools.pop(next(iter(spools)))
    spooler: Spooler[Any] = Spooler(first, spools=spools, tz=settings.tz or local_zone())
    program = Program(
        spooler=spooler,
        role=role,
        strict=settings.uwsgi_strict,
        network=settings.uwsgi_network,
        in_main_thread=settings.concurrency == 1,
        options=_options(settings),
        workers=settings.processes,
        mules=settings.mules,
        farms=_farms(settings.farms),
        modules=settings.uwsgi,
        module=made_module(),
    )
    return installing.put_in_place(program)


def _options(settings: Settings) -> dict[str, bytes | bool]:
    """What becomes uwsgi.opt: True for an option without a value; the last of several counts."""
    found: dict[str, bytes | bool] = {}
    if settings.mules:
        found["mules"] = b"%d" % settings.mules
    for farm in settings.farms:
        found["farm"] = os.fsencode(farm)
    for text in settings.uwsgi_options:
        key, equals, value = text.partition("=")
        found[key] = os.fsencode(value) if equals else True
    return found


def _farms(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    parts = [text.rpartition(":") for text in texts]
    return {name: tuple(int(number) for number in numbers.split(",")) for name, _, numbers in parts}


def _master() -> int:
    """Never 0, which programs take for "not under uWSGI": the parent of a container's first process is that."""
    return os.getppid() or os.getpid()
