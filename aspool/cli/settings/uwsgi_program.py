"""What a program under `--uwsgi` finds in its uwsgi.ini: all that becomes uwsgi.opt, and how many mules it has."""

from collections.abc import Mapping

from ..failures import Misuse
from .found import Found
from .uwsgi_ini import Entry, UwsgiIni


def read(name: str, environ: Mapping[str, str]) -> dict[str, Found]:
    """The settings of FILE or FILE:SECTION for a program of uWSGI. Raises Misuse."""
    ini = UwsgiIni(environ)
    ini.read(name)
    options: dict[str, str] = {}
    found: dict[str, Found] = {}
    for entry in ini.entries:
        value = ini.value(entry)
        options.pop(entry.key, None)  # of several the last one counts, and comes last
        options[entry.key] = value
        if entry.key in ("mule", "mules"):  # uWSGI adds them up
            number = _number(entry, value) if entry.key == "mules" else 1
            found["mules"] = Found(number + (found["mules"].value if "mules" in found else 0), entry.where)
        elif entry.key == "farm":
            found["farms"] = Found((*(found["farms"].value if "farms" in found else ()), value), entry.where)
    found["uwsgi_options"] = Found(tuple(f"{key}={value}" for key, value in options.items()), name)
    return found


def _number(entry: Entry, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise Misuse(f"{entry.where}: {entry.key} must be a whole number, not {text!r}")
    return int(text)
