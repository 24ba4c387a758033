"""The handler of what uWSGI programs spool: it gives each message to `uwsgi.spooler` as the real one does.

The Program is that of the process, since a process of its own for one job finds the handler here by name.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...body import Body
from ...escape import safe
from ...job import current_job
from ...outcomes import SPOOL_IGNORE, SPOOL_RETRY, Bury, Retry, SpoolReturn
from ...spooler import Spooler
from ..children import ended_children
from ..loops import hidden_loop
from ..program import Program
from ..unix_signals import kept_signals
from .answers import answer
from .current import Current, entered
from .pickles import refusal

Environment = dict[str | bytes, bytes]

logger = logging.getLogger("aspool.uwsgi")
_program: Program | None = None
spooler: Spooler[Any] | None = None  # where a process of its own finds the handler


def handle_raw_messages(program: Program) -> None:
    """Make `uwsgi.spooler` the handler of raw messages of the program's Spooler. Raises TaskRefused."""
    global _program, spooler
    function = run_in_main_thread if program.in_main_thread else run_in_thread
    if program.spooler.raw_handler is not None and program.spooler.raw_handler.function in (
        run_in_main_thread, run_in_thread,
    ):  # fmt: skip
        program.spooler.raw_handler = None
    program.spooler.handler(function)
    _program, spooler = program, program.spooler


def installed() -> Program:
    """The Program of this process. Raises LookupError when there is none."""
    if _program is None:
        raise LookupError("no program of uWSGI runs here: call aspool.compat.install(spooler) first")
    return _program


async def run_in_main_thread(variables: dict[str, str], body: Body) -> SpoolReturn:
    """As uWSGI runs tasks: one at a time, in the main thread, in the directory of the file. It blocks the loop."""
    program = installed()
    with _directory(program, body), hidden_loop(), kept_signals():
        return _run(program, variables, body)


def run_in_thread(variables: dict[str, str], body: Body) -> SpoolReturn:
    """Several at the same time; the working directory, which they share, stays as it is."""
    return _run(installed(), variables, body)


def _run(program: Program, variables: dict[str, str], body: Body) -> SpoolReturn:
    handler = program.hook("spooler")
    if handler is None:  # uwsgi_python_spooler: 0, so that another language is asked
        logger.warning("the program has set no uwsgi.spooler: a message is left for another worker")
        return SPOOL_RETRY if program.strict else SPOOL_IGNORE
    job = current_job()
    name = body.reader.name or f"uwsgi_spoolfile_on_{job.id}"
    env = environment(name, variables, body)
    if reason := refusal(handler, job, body, env, program):
        raise Bury(reason)
    with entered(Current(job, body, name)):
        return _call(handler, env, program)


def environment(name: str, variables: dict[str, str], body: Body) -> Environment:
    """The dict that a handler gets (uwsgi_python_dict_from_spooler_content), in its order."""
    env: Environment = {"spooler_task_name": os.fsencode(name)}
    for key, value in variables.items():
        env[key.encode(errors="surrogateescape")] = value.encode(errors="surrogateescape")
    if body.size:
        with body.reader.open() as file:
            env["body"] = file.read()
    return env


def _call(handler: Any, env: Environment, program: Program) -> SpoolReturn:
    try:
        with ended_children():
            value = handler(env)
        return answer(value, strict=program.strict)
    except (Retry, Bury):
        raise
    except (Exception, SystemExit) as error:  # at an exit the real one ends, and begins with the same task again
        if isinstance(error, SystemExit) and not program.strict:
            raise RuntimeError(f"the task called sys.exit({error.code!r})") from error
        if not program.strict:
            raise
        logger.exception("%s failed and is retried, as uWSGI does", safe(os.fsdecode(env["spooler_task_name"])))
        return SPOOL_RETRY


@contextmanager
def _directory(program: Program, body: Body) -> Iterator[None]:
    """The working directory of a task: that of its file, or `spooler-chdir` (spooler_manage_task)."""
    wanted = program.options.get("spooler-chdir") or body.reader.directory
    if not wanted:
        yield
        return
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # its path may be gone
    try:
        os.chdir(wanted)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
