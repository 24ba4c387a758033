"""A uwsgi.ini as uWSGI reads it: its options in their order, each with its place. What they mean is not known here."""

import grp
import os
import pwd
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..failures import Misuse
from . import uwsgi_logic

DEEPEST = 20  # files within files
_SPACE = " \t\r"
_INCLUDES = ("ini", "include", "inherit")
_PLACEHOLDERS = ("set", "set-placeholder", "set-ph")


@dataclass(frozen=True, slots=True)
class Entry:
    """An option as it is written; `key` alone has the value ""."""

    key: str
    value: str
    path: str
    line: int

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.path}:{self.line}"


class UwsgiIni:
    """The options of a file, and of those that it includes. `warnings` are sentences."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.entries: list[Entry] = []
        self.warnings: list[str] = []
        self._environ = environ
        self._first: dict[str, str] = {}  # the magic variables of the first file
        self._values: dict[str, Entry] = {}  # the first of each name, as uWSGI takes it for %(name)
        self._block: Entry | None = None  # the option that it began with
        self._depth = 0

    def read(self, name: str) -> None:
        """Add the options of FILE, or of one section: FILE:SECTION. Raises Misuse when it cannot be read."""
        path, _, section = name.rpartition(":") if ":" in name else (name, "", "")
        if self._depth == DEEPEST:
            raise Misuse(f"{path} includes itself, or the files within files are too many")
        magic = _magic(path, section)
        self._first = self._first or {key.upper(): value for key, value in magic.items() if key in "dpscenox"}
        lines = _substituted(_text_of(path), magic | self._first).split("\n")
        self._depth += 1
        found = self._read_lines(path, section or "uwsgi", lines)
        self._depth -= 1
        if not found:
            raise Misuse(f"{path} has no options in a section [{section or 'uwsgi'}]: name another one, {path}:SECTION")

    def _read_lines(self, path: str, wanted: str, lines: list[str]) -> bool:
        section, found = "", False
        for number, raw in enumerate(lines, 1):
            line = raw.strip(_SPACE)
            if line.startswith("["):
                section = line[1:-1]
            elif section == wanted and line and line[0] not in ";#":
                key, _, value = line.partition("=")
                self._met(Entry(key.rstrip(_SPACE), value.lstrip(_SPACE), path, number))
                found = True
        return found

    def _met(self, entry: Entry) -> None:
        if entry.key in uwsgi_logic.ENDS:
            self._block = None
        elif self._block is not None:
            for item in self._turns(self._block):
                self._add(Entry(entry.key, entry.value.replace(uwsgi_logic.ITEM, item), entry.path, entry.line))
        elif uwsgi_logic.is_block(entry.key):
            self._block = entry
            self._turns(entry, warn=True)
        else:
            self._add(entry)

    def _turns(self, entry: Entry, *, warn: bool = False) -> list[str]:
        options = {name: self.value(first) for name, first in self._values.items()}
        try:
            found = uwsgi_logic.turns(entry.key, self.value(entry), self._environ, options)
        except OSError as error:
            raise Misuse(f"{entry.where}: {entry.value} cannot be read: {error.strerror}") from None
        if found is None and warn:
            self.warnings.append(f"{entry.where}: {entry.key} and its block are left out: only uWSGI knows what holds")
        return list(found or ())

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._values.setdefault(entry.key, entry)
        if entry.key in _INCLUDES:
            name = self.value(entry)
            self.read(entry.path + name if name.startswith(":") else name)
        elif entry.key in _PLACEHOLDERS:
            key, _, value = entry.value.partition("=")
            self._values.setdefault(key, Entry(key, value, entry.path, entry.line))

    # --- values --------------------------------------------------------------------------------------------------

    def value(self, entry: Entry) -> str:
        """The value of an option: with $(VARIABLE) of the environment, @(FILE), and %(name) of another option.

        What is not known stays as it is. Raises Misuse for a file that cannot be read.
        """
        return self._filled(entry, ())

    def _filled(self, entry: Entry, above: tuple[str, ...]) -> str:
        def referenced(name: str) -> str | None:
            other = self._values.get(name)
            return None if other is None or name in above or other is entry else self._filled(other, (*above, name))

        text = _replaced("$", entry.value, self._environ.get)
        text = _replaced("@", text, lambda name: _content(entry, name))
        return _replaced("%", text, referenced)


def _replaced(symbol: str, text: str, value_of: Callable[[str], str | None]) -> str:
    if f"{symbol}(" not in text:
        return text

    def replacement(found: "re.Match[str]") -> str:
        value = value_of(found[1])
        return found[0] if value is None else value

    return re.sub(rf"{re.escape(symbol)}\(([^()]+)\)", replacement, text)


def _content(entry: Entry, name: str) -> str:
    if "://" in name:
        raise Misuse(f"{entry.where}: aspool takes no setting from {name}: it reads files only")
    try:
        return _text_of(name).removesuffix("\n")
    except Misuse as error:
        raise Misuse(f"{entry.where}: {error.message}") from None


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read()
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}") from None


# --- magic variables ---------------------------------------------------------------------------------------------


def _substituted(text: str, magic: Mapping[str, str]) -> str:
    """With %p and the like, as uWSGI does it: in the whole text, before it looks for lines. Unknown ones vanish."""
    return re.sub(r"%(.)", lambda found: magic.get(found[1], ""), text, flags=re.DOTALL)


def _magic(path: str, section: str) -> dict[str, str]:
    full = os.path.abspath(path) if os.path.islink(path) else os.path.realpath(path)
    directory, name = os.path.split(full)
    of_file = {
        "o": path,
        "p": full,
        "d": os.path.join(directory, ""),
        "s": name,
        "n": name.rpartition(".")[0],
        "e": name.rpartition(".")[2] if "." in name else "",
        "c": os.path.basename(directory),
        "x": section,
        "j": _hash(os.fsencode(full)).to_bytes(4, "little").hex().upper(),
    }
    return of_file | _magic_of_machine() | {"%": "%", "(": "%("}


def _magic_of_machine() -> dict[str, str]:
    user, group, now = os.getuid(), os.getgid(), time.time()
    return {
        "v": os.getcwd(),
        "h": socket.gethostname(),
        "k": str(os.cpu_count() or 1),
        "u": str(user),
        "U": _name(pwd.getpwuid, user),
        "g": str(group),
        "G": _name(grp.getgrgid, group),
        "t": str(int(now)),
        "T": str(int(now * 1_000_000)),
    }


def _name(look_up: Callable[[int], Any], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:  # a container's user, perhaps
        return str(number)


def _hash(text: bytes) -> int:
    """uWSGI's djb33x."""
    result = 5381
    for byte in text:
        result = (result * 33 ^ byte) & 0xFFFFFFFF
    return result
