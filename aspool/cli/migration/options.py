"""A uwsgi.ini: for each option whether it is taken, needed by the worker too, superfluous, or the web's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...errors import CallError
from ...placing import named_spools
from ...settings import Settings
from ...spools.directory import DirectorySpool
from ..checks.finding import Finding, fail, ok, warn
from ..settings import uwsgi_options
from ..settings.found import OPTIONS
from ..settings.uwsgi_ini import Entry, UwsgiIni
from .words import SHIM, SUPERFLUOUS, UNSUPPORTED, WORKER_TOO

_APPLICATIONS = ("module", "wsgi")
_SETTINGS = {name: option.name for option in OPTIONS.values() for name in option.metadata["uwsgi"]}
_INCLUDES = ("ini", "include", "inherit")
_MULES = ("mule", "mules")


@dataclass(frozen=True, slots=True)
class Ini:
    """What a uwsgi.ini says: findings, the directories of its spools, and whether their priorities are looked at."""

    findings: list[Finding]
    spools: tuple[str, ...]
    is_ordered: bool


def look_at(name: str, environ: Mapping[str, str]) -> Ini:
    """Look at FILE or FILE:SECTION. Raises Misuse for one that cannot be read."""
    ini = UwsgiIni(environ)
    ini.read(name)
    refused: dict[str, str] = {}
    found, warnings = uwsgi_options.read(name, environ, refused)
    findings = [one for entry in ini.entries for one in _about(ini, entry, name, refused)]
    findings += [warn("left out", sentence, "say it in aspool.toml, if it is needed") for sentence in warnings]
    if web := _the_webs(ini):
        findings.append(ok("web", f"{', '.join(web)}: the web server's, and stay with it"))
    given = {key: found[key].value for key in ("spools", "external") if key in found}
    spools: tuple[str, ...] = ()
    try:
        named = named_spools(Settings(**given)) if given else {}
        spools = tuple(str(spool.path) for spool in named.values() if isinstance(spool, DirectorySpool))
    except CallError as error:
        findings.append(fail("spools", str(error), "give them names in aspool.toml"))
    if not given and not refused:
        findings.append(warn("spools", "it names no spooler", "name the spool with -d"))
    return Ini(findings, spools, "ordered" in found and bool(found["ordered"].value))


def _about(ini: UwsgiIni, entry: Entry, name: str, refused: Mapping[str, str]) -> Iterator[Finding]:
    """What is to be said of one option; nothing of those of the web."""
    value = ini.value(entry)
    written = f"{entry.where}: {entry.key} = {value}" if value else f"{entry.where}: {entry.key}"
    if entry.where in refused:
        yield fail("refused", refused[entry.where], "put it right: uWSGI takes what it can make of it")
    elif entry.key in _SETTINGS:
        yield ok("taken", f"{written} becomes {_SETTINGS[entry.key]}")
    elif entry.key in _MULES:
        yield _of_mules(ini, entry, name, written)
    elif entry.key in SHIM:
        yield ok("shim", f"{written}: {SHIM[entry.key]}")
    elif entry.key in _APPLICATIONS and (module := _module_in(value)):
        advice = f"the worker imports it too: aspool worker --uwsgi {module} --ini {name}"
        yield warn("worker too", written, advice)
    elif entry.key in WORKER_TOO:
        yield warn("worker too", written, WORKER_TOO[entry.key])
    elif entry.key in UNSUPPORTED:
        yield fail("unsupported", f"{written}: aspool has nothing like it", UNSUPPORTED[entry.key])
    elif entry.key in SUPERFLUOUS:
        yield ok("superfluous", f"{written}: {SUPERFLUOUS[entry.key]}")


def _module_in(value: str) -> str:
    """MODULE of MODULE:ATTRIBUTE; "" where that calls something, as of a module of Django, which has no tasks."""
    module = value.partition(":")[0]
    return module if "(" not in value and all(part.isidentifier() for part in module.split(".")) else ""


def _of_mules(ini: UwsgiIni, entry: Entry, name: str, written: str) -> Finding:
    """uWSGI numbers them in the order of the options."""
    value, number = ini.value(entry), 0
    for one in ini.entries:
        told = ini.value(one)
        if one.key == "mules" and not (told.isascii() and told.isdecimal()):
            if one is entry:
                return fail("refused", f"{entry.where}: mules must be a whole number, not {told!r}", "put it right")
        elif one.key in _MULES:
            number += 1 if one.key == "mule" else int(told)
        if one is entry:
            break
    if entry.key == "mule" and value and not value.isdecimal():
        run = f"aspool run --uwsgi {value} --mule {number} --ini {name}"
        return warn("program", f"{written} is a program of its own", run)
    return ok("shim", f"{written}: {SHIM['mules']}")


def _the_webs(ini: UwsgiIni) -> list[str]:
    known = {*_SETTINGS, *SHIM, *WORKER_TOO, *UNSUPPORTED, *SUPERFLUOUS, *_INCLUDES, *_MULES}
    return sorted({entry.key for entry in ini.entries if entry.key not in known and "spooler" not in entry.key})
