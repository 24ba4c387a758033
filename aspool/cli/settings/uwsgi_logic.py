"""Blocks of a uwsgi.ini under a condition, or repeated: `if-env = X` … `endif`, `for = a b` … `endfor`."""

import glob
import os
import socket
from collections.abc import Callable, Mapping, Sequence

ENDS = ("end", "endfor", "endif", "end-if", "end-for")
ITEM = "%(_)"  # in a block: what the condition was about, or one turn of the loop
Options = Mapping[str, str]  # those that were set before
_SYNONYMS = {"ifenv": "if-env", "ifexists": "if-exists", "ifdir": "if-dir", "if-directory": "if-dir"}


def is_block(key: str) -> bool:
    """Whether an option begins a block."""
    return key.startswith(("if-", "for-")) or key in ("for", *_SYNONYMS, "ifplugin")


def turns(key: str, argument: str, environ: Mapping[str, str], options: Options) -> Sequence[str] | None:
    """What ITEM stands for each time that a block is gone through; None if aspool cannot tell.

    Raises OSError for a file of lines that cannot be read.
    """
    key = _SYNONYMS.get(key, key)
    if key in _LOOPS:
        return _LOOPS[key](argument)
    negated = key.startswith("if-not-")
    key = key.replace("if-not-", "if-")
    if key in _CONDITIONS:
        return [argument] if _CONDITIONS[key](argument) != negated else []
    if key in ("if-env", "if-opt"):
        return _compared(argument, environ if key == "if-env" else options, negated=negated)
    return None


def _compared(argument: str, values: Mapping[str, str], *, negated: bool) -> list[str]:
    """NAME or NAME=value."""
    name, equals, wanted = argument.partition("=")
    value = values.get(name)
    holds = value is not None and (not equals or value == wanted)
    return [value or ""] if holds != negated else []


def _times(argument: str) -> list[str]:
    return [str(number) for number in range(1, int(argument) + 1)] if argument.isdecimal() else []


def _lines(argument: str) -> list[str]:
    with open(argument, encoding="utf-8", errors="surrogateescape") as file:
        return [line.rstrip("\n") for line in file]


_LOOPS: dict[str, Callable[[str], list[str]]] = {
    "for": lambda argument: [part for part in argument.split(" ") if part],
    "for-times": _times,
    "for-glob": lambda argument: sorted(glob.glob(argument)) or [argument],
    "for-readline": _lines,
}
_CONDITIONS: dict[str, Callable[[str], bool]] = {
    "if-exists": os.path.exists,
    "if-file": os.path.isfile,
    "if-dir": os.path.isdir,
    "if-hostname": lambda argument: argument == socket.gethostname(),
    "if-reload": lambda _: False,
}
