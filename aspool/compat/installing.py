"""install: the modules `uwsgi` and `uwsgidecorators` of a process, and the handler of what their programs spool."""

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ..errors import CallError
from ..protocol import AcceptsAnyModifier
from ..spooler import DEFAULT, Spooler
from ..task import importable
from .decorators import module as uwsgidecorators
from .module import fill, made_module, put_in
from .program import HOOKS, Program, Role
from .tasks.handler import handle_raw_messages, installed


def install(
    spooler: Spooler[Any],
    *,
    strict: bool = False,
    network: bool = False,
    decorators: bool = True,
    role: Role | None = None,
    in_main_thread: bool = False,
    options: Mapping[str, Any] | None = None,
    mules: int = 0,
    farms: Mapping[str, Sequence[int]] | None = None,
    modules: Sequence[str] = (),
) -> ModuleType:
    """Let `import uwsgi` and `import uwsgidecorators` find aspool's in this process; the module `uwsgi`.

    What its programs spool goes to the spools of `spooler`, whose workers run it. `decorators=False` leaves
    `uwsgidecorators` to the package of that name. For the others see Program and Role.
    Once more for the same Spooler it is another Program, with the hooks that were set before. Raises CallError for
    another Spooler than that, TaskRefused when the Spooler has a handler of raw messages already.
    """
    before = _before(spooler)
    caller = sys._getframe(1).f_globals  # noqa: SLF001 - documented; who calls cannot be known otherwise
    spooler.needs(importable(caller.get("__name__", ""), caller))  # it installs there too
    program = Program(
        spooler=spooler,
        role=role or Role(number=0),
        strict=strict,
        network=network,
        in_main_thread=in_main_thread,
        options=options or {},
        mules=mules,
        farms=farms or {},
        modules=tuple(modules),
        module=made_module(),
    )
    if before is not None:
        for name in HOOKS & vars(before.module).keys():
            setattr(program.module, name, before.hook(name))
    return put_in_place(program, decorators=decorators).module


def _before(spooler: Spooler[Any]) -> Program | None:
    """The Program of this process that another one follows. Raises CallError for one of another Spooler."""
    try:
        known = installed()
    except LookupError:
        return None
    if known.spooler is not spooler:
        here, there = known.spooler.spools[DEFAULT].address, spooler.spools[DEFAULT].address
        raise CallError(
            f"`import uwsgi` is for the Spooler of {here} in this process, and cannot be for one of {there} too: call "
            "install() once, with one Spooler (which may have several spools), and not at all under aspool worker "
            "--uwsgi and aspool run --uwsgi, which do it themselves"
        )
    return known


def put_in_place(program: Program, *, decorators: bool = True) -> Program:
    """Put the modules of a Program in place of those that were there; the Program. Raises TaskRefused."""
    handle_raw_messages(program)
    for spool in program.spooler.spools.values():
        if isinstance(spool, AcceptsAnyModifier):
            spool.accept_any_modifier()
    fill(program)
    put_in("uwsgi", program.module)
    if decorators:
        put_in("uwsgidecorators", uwsgidecorators.made_module(program))
    return program
