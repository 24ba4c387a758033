"""The names that sources use -> whether the shims have them, have them differently, or what to use instead."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ...compat.decorators import module as decorators
from ...compat.module import fill, made_module
from ...compat.program import Program
from ...compat.unsupported import UNSUPPORTED
from ...spooler import Spooler
from ..checks.finding import Finding, Level, ok, warn
from ..failures import Misuse
from ..output import count
from . import differences
from .sources import Use, files_of, uses_in

SHOWN = 3
_SAID = {"warn": "not quite as there", "fail": "not supported"}
SET_BY_PROGRAMS = {"spooler", "post_fork_hook", "mule_msg_hook"}
DIFFERENT = {"uwsgi": differences.UWSGI, "uwsgidecorators": differences.DECORATORS}
REFUSED = {"uwsgi": UNSUPPORTED, "uwsgidecorators": {"erlang": UNSUPPORTED["erlang_register_process"]}}
PACKAGES = {
    "uwsgi_tasks": "the package itself runs on the shims: keep it, or see docs: Coming from uwsgi_tasks",
    "uwsgiconf": "its runtime runs on the shims as far as the functions of uwsgi do",
}
EXPORTS: Mapping[str, frozenset[str]] = {  # of uwsgi_tasks 0.7, its modules too
    "uwsgi_tasks": frozenset({
        "task", "timer", "timer_lazy", "cron", "cron_lazy", "Task", "SignalTask", "TimerTask", "CronTask",
        "TaskExecutor", "RetryTaskException", "get_current_task", "set_uwsgi_callbacks", "django_setup",
        "SPOOL_OK", "SPOOL_RETRY", "SPOOL_IGNORE", "decorators", "tasks", "utils",
    })
}  # fmt: skip


def look_at(targets: Iterable[str]) -> list[Finding]:
    """What sources use of uWSGI, in the order of need. Raises Misuse for a target that is not there."""
    uses: list[Use] = []
    findings: list[Finding] = []
    read = 0
    for file in [file for target in targets for file in files_of(target)]:
        try:
            uses += uses_in(file)
            read += 1
        except SyntaxError as error:
            findings.append(warn("source", f"{file}:{error.lineno or 1} is no Python 3: {error.msg}", "look at it"))
        except OSError as error:
            raise Misuse(f"{file} cannot be read: {error.strerror}") from None
    if not uses and (read or not findings):
        findings.append(ok("source", f"{count(read, 'file')}: nothing of uWSGI is used"))
    return [*findings, *_told(uses)]


def _told(uses: list[Use]) -> Iterator[Finding]:
    """For each module what will not run, what runs differently, and what simply runs: a line for each advice."""
    places: dict[tuple[str, str], list[str]] = {}
    for use in uses:
        places.setdefault((use.module, use.name), []).append(use.where)
    groups: dict[tuple[str, Level, str], list[str]] = {}
    for (module, name), where in sorted(places.items()):
        level, words = _judged(module, name)
        told = name if level == "ok" else f"{name} ({_where(where)})"
        groups.setdefault((module, level, words), []).append(told)
    for (module, level, words), names in groups.items():
        told = ", ".join(name for name in names if name not in ("", "*"))
        if level == "ok":
            yield ok(module, _fine(module, told, words))
        else:
            yield Finding(module, level, f"{told}: {_SAID[level]}", words)


def _fine(module: str, told: str, words: str) -> str:
    """`words` are of what runs differently and needs no change."""
    if words:
        return f"{told}: {words}"
    return f"as it is: {told}" if told else PACKAGES.get(module, "it is imported")


def _judged(module: str, name: str) -> tuple[Level, str]:
    """How it runs, and what to know or to do."""
    if name in ("", "*"):
        return "ok", ""
    if module in PACKAGES:
        exports = EXPORTS.get(module)
        if exports is None or name.partition(".")[0] in exports or name.startswith("__"):
            return "ok", ""
        return "fail", f"{module} has no such name"
    if name in REFUSED[module]:
        return "fail", REFUSED[module][name]
    if name not in offered()[module]:
        return "fail", f"{module} of uWSGI 2.0 has no such name"
    words = DIFFERENT[module].get(name, "")
    return "warn" if words in differences.TO_LOOK_AT else "ok", words.replace("`", "")


def _where(places: list[str]) -> str:
    shown = ", ".join(places[:SHOWN])
    return shown if len(places) <= SHOWN else f"{shown} and {len(places) - SHOWN} more"


@cache
def offered() -> dict[str, frozenset[str]]:
    """What the shims have. They are made for a program that never runs: nothing is put in place."""
    program = Program(spooler=Spooler("memory:"), module=made_module())
    fill(program)
    return {
        "uwsgi": frozenset(vars(program.module)) | SET_BY_PROGRAMS,
        "uwsgidecorators": frozenset(dir(decorators.made_module(program))),
    }
