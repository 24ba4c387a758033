"""The spooler options of a uwsgi.ini -> settings. The others are uWSGI's own affair."""

import re
from collections.abc import Mapping
from typing import Any

from ...settings import did_you_mean, kind, may_be_none
from ..failures import Misuse
from .found import OPTIONS, Found
from .uwsgi_ini import Entry, UwsgiIni

_NAMES = {name: option for option in OPTIONS.values() for name in option.metadata["uwsgi"]}
_SPOOLS = ("spooler", "spooler-external")
_MISLEADING = re.compile(r"[^/]*[=:]")  # a relative path that would be NAME=ADDRESS, or a URL
_FALSE = ("false", "off", "no", "0")


def read(
    name: str, environ: Mapping[str, str], refused: dict[str, str] | None = None
) -> tuple[dict[str, Found], list[str]]:
    """The settings of FILE or FILE:SECTION, and what is to be told about it. Raises Misuse.

    With `refused` an option whose value cannot be is left out, and a sentence about it noted there, by its place.
    """
    ini = UwsgiIni(environ)
    ini.read(name)
    found: dict[str, Found] = {}
    warnings = list(ini.warnings)
    for entry in ini.entries:
        option = _NAMES.get(entry.key)
        if option is None:
            warnings += _unknown(entry)
            continue
        try:
            value = _value(entry, ini.value(entry))
        except Misuse as error:
            if refused is None:
                raise
            refused[entry.where] = error.message
            continue
        if option.name == "frequency" and value == 0:
            warnings.append(f"{entry.where}: {entry.key} = 0 is left out: aspool hears of new messages at once anyway")
        elif kind(option) is tuple:
            found[option.name] = _with(found.get(option.name), _spool(entry, value, found), entry)
        else:
            found[option.name] = Found(value, entry.where)
    return found, warnings


def _value(entry: Entry, text: str) -> Any:
    option = _NAMES[entry.key]
    wanted = kind(option)
    if wanted is bool:
        return text.lower() not in _FALSE
    if wanted not in (int, float):
        return text
    if not (text.isascii() and text.isdecimal()):
        raise Misuse(f"{entry.where}: {entry.key} must be a whole number, not {text!r}")
    return None if may_be_none(option) and int(text) == 0 else wanted(text)


def _spool(entry: Entry, value: str, found: Mapping[str, Found]) -> str:
    """What the settings call it: uWSGI writes to whichever spool comes first, and imports files as well as modules."""
    if entry.key in _SPOOLS:
        value = value if _MISLEADING.match(value) is None else f"./{value}"
        is_first = not found.keys() & {"spools", "external"}
        return f"default={value}" if is_first and entry.key != "spooler" else value
    if entry.key.endswith("import") and not value.startswith("/") and ("/" in value or value.endswith(".py")):
        return value.removesuffix(".py").strip("./").replace("/", ".")
    return value


def _with(before: Found | None, value: str, entry: Entry) -> Found:
    """One more of several values; uWSGI starts one more process where a spool is named twice."""
    if before is None:
        return Found((value,), entry.where)
    values = before.value if value in before.value else (*before.value, value)
    is_same_file = before.where.startswith(f"{entry.path}:")
    return Found(values, f"{before.where}, {entry.line if is_same_file else entry.where}")


def _unknown(entry: Entry) -> list[str]:
    """A sentence about an option that seems to be one of the spooler."""
    if "spooler" not in entry.key:
        return []
    hint = did_you_mean(entry.key, list(_NAMES))
    return [f"{entry.where}: {entry.key} is left out: it is no spooler option that aspool knows{hint}"]
