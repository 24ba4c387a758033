"""Where settings put things: placeholders and relative paths become absolute ones, addresses become spools.

Whoever reads settings calls `placed` before anything changes its working directory; nothing is opened here.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .addresses import is_path, spool_at
from .errors import CallError
from .protocol import Spool
from .settings import Settings, did_you_mean
from .spooler import DEFAULT, Spooler

_NAMED = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)=(.+)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(\w+)\}", re.ASCII)
_SOCKET = "unix:"


def placed(settings: Settings) -> Settings:
    """Settings without placeholders, all of whose paths are absolute; those of placed settings stay as they are.

    Relative ones are relative to the working directory; spools to `base_dir`, if there is one.
    Raises CallError for an unknown placeholder, and for spools that have the same name or address.
    """
    place = _Place(settings)
    base = place.path(settings.base_dir)
    changed = replace(
        settings,
        spools=tuple(place.address(one, base) for one in settings.spools),
        external=tuple(place.address(one, base) for one in settings.external),
        base_dir=base,
        runtime_dir=os.path.abspath(settings.runtime_dir),
        project=place.project,
        chdir=place.path(settings.chdir),
        touch_reload=tuple(os.path.abspath(place.filled(one)) for one in settings.touch_reload),
        pidfile=place.path(settings.pidfile),
        health=place.socket(settings.health),
        log_config=place.path(settings.log_config),
        listen=tuple(place.socket(one) or one for one in settings.listen),
        secret_file=place.path(settings.secret_file),
        uwsgi=tuple(place.module(one) for one in settings.uwsgi),
    )
    _check(changed)
    return changed


class _Place:
    """What is the same for all paths of some settings."""

    def __init__(self, settings: Settings) -> None:
        self.project = settings.project or os.path.basename(os.getcwd()) or "aspool"
        runtime_dir = os.path.abspath(settings.runtime_dir)
        self._known = {
            "project_name": self.project,
            "runtime_dir": runtime_dir,
            "project_runtime_dir": os.path.join(runtime_dir, self.project),
        }

    def filled(self, text: str) -> str:
        """A text without placeholders."""
        for name in _PLACEHOLDER.findall(text):
            if name not in self._known:
                known, meant = ", ".join(f"{{{one}}}" for one in self._known), did_you_mean(name, list(self._known))
                raise CallError(f"{{{name}}} in {text!r} stands for nothing; there are {known}{meant}")
        return _PLACEHOLDER.sub(lambda found: self._known[found[1]], text)

    def path(self, path: str | None) -> str | None:
        """A path, absolute."""
        return None if path is None else os.path.abspath(self.filled(path))

    def module(self, text: str) -> str:
        """A module by its name; one that is a file, below the working directory, too. Others by an absolute path."""
        name = text.removeprefix("./").removesuffix(".py").replace("/", ".")
        is_file = "/" in text or text.endswith(".py")
        if not is_file or all(part.isidentifier() for part in name.split(".")):
            return name if is_file else text
        return self.path(text) or text

    def address(self, text: str, base: str | None) -> str:
        """ADDRESS or NAME=ADDRESS, with an absolute path in it."""
        name, address = _split(self.filled(text))
        if is_path(address):
            address = os.path.abspath(os.path.join(base or "", address))
        return f"{name}={address}" if name else address

    def socket(self, text: str | None) -> str | None:
        """An address to listen on, which may be a file."""
        if text is None or not text.startswith(_SOCKET):
            return text
        return _SOCKET + os.path.abspath(self.filled(text.removeprefix(_SOCKET)))


def _split(text: str) -> tuple[str, str]:
    """The name, "" if none is given, and the address of NAME=ADDRESS."""
    found = _NAMED.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)


# --- spools ------------------------------------------------------------------------------------------------------


def apply_spools(spooler: Spooler[Any], settings: Settings) -> None:
    """Let an application use the spools of settings, before anything is spooled or run; see Spooler.use_spools.

    Raises CallError when they do not fit together, UnknownSpool for an engine that is not installed.
    """
    if found := named_spools(settings):
        spooler.use_spools(found)


def named_spools(settings: Settings) -> dict[str, Spool]:
    """The spools of settings by name. Raises CallError and UnknownSpool."""
    settings = placed(settings)
    options: dict[str, bool] = {"ordered": True} if settings.ordered else {}
    spools = {name: spool_at(address, **options) for name, address in _names(settings, settings.spools)}
    outer = {name: spool_at(address, external=True, **options) for name, address in _names(settings, settings.external)}
    return spools | outer


def _names(settings: Settings, texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and addresses: the first of `spools` is the default one, unless another is called so."""
    has_default = any(_split(text)[0] == DEFAULT for text in (*settings.spools, *settings.external))
    for number, text in enumerate(texts):
        name, address = _split(text)
        is_default = number == 0 and texts is settings.spools and not has_default
        yield name or (DEFAULT if is_default else _last_part(address)), address


def _last_part(address: str) -> str:
    """/srv/mail/ -> mail, postgresql://host/mail?x=y -> mail, memory: -> memory."""
    return re.split(r"[?#]", address)[0].rstrip("/:").rpartition("/")[2].rpartition(":")[2] or DEFAULT


def _check(settings: Settings) -> None:
    """Raises CallError for two spools of one name, or at one address."""
    found = [*_names(settings, settings.spools), *_names(settings, settings.external)]
    for number, (name, address) in enumerate(found):
        for other_name, other_address in found[:number]:
            if address == other_address:
                raise CallError(f"{address} is given twice: leave out one of them")
            if name == other_name:
                raise CallError(
                    f"two spools are called {name!r}, {other_address} and {address}: give them names, NAME=ADDRESS"
                )
