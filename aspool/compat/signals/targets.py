"""Targets of signals: a word of uWSGI -> who is to run the handler. Values only."""

import re
from dataclasses import dataclass
from typing import Literal

from ..program import Program

LONGEST = 63  # characters
UNABLE = "unable to register signal"
_WORDS = "'' or worker, workers, active-workers, worker1 …, spooler, mule, mule1 …, mules, farm1 …, farm_NAME"
_WORD = re.compile(r"(worker|mule|farm)([0-9]+)", re.ASCII)
_ONE = {"": "worker", "worker": "worker", "spooler": "spooler", "mule": "mule"}
_ALL = {"workers": "worker", "active-workers": "worker", "mules": "mule"}

Kind = Literal["worker", "spooler", "mule", "farm", "nobody"]


@dataclass(frozen=True, slots=True)
class Target:
    """Who runs a handler: one process of a kind, that of a number (from 1), or all (`everyone`).

    `farm` is the name of a farm; `number` is its place among the farms if that is what the word says.
    """

    word: str
    kind: Kind
    number: int = 0
    everyone: bool = False
    farm: str = ""

    @property
    def is_for_workers(self) -> bool:
        """Whether every worker hears of it, also if only the one of that number acts."""
        return self.everyone or (self.kind == "worker" and self.number > 0)

    @property
    def is_for_mule(self) -> bool:
        """Whether one mule is to run it."""
        return self.kind in ("mule", "farm") and not self.everyone

    def suits(self, kind: str, number: int) -> bool:
        """Whether a process of a kind and a number is meant. Who spools, a worker or a spooler, is of no matter."""
        if self.kind == "worker":
            return kind in ("worker", "spooler") and self.number in (0, number)
        return kind == self.kind and self.number in (0, number)


def target_of(word: str) -> Target | None:
    """What a word means, as uwsgi_route_signal has it; None for one that it does not know.

    `subscribed` is known there, and nothing happens: here it is not.
    """
    if word in _ALL:
        return Target(word, "mule" if _ALL[word] == "mule" else "worker", everyone=True)
    if word in _ONE:
        return Target(word, _ONE[word])  # type: ignore[arg-type]  # the words of that table
    found = _WORD.fullmatch(word)
    if found is not None:
        kind, number = found[1], int(found[2])
        if kind != "farm" or number > 0:
            return Target(word, kind, number)  # type: ignore[arg-type]  # those of the expression
    if word.startswith("farm_") and len(word) > len("farm_"):
        return Target(word, "farm", farm=word.removeprefix("farm_"))
    return None


def checked_target(word: str, program: Program) -> Target:
    """What a word means in a program. Raises ValueError for one that is unknown, or beyond what there is; TypeError.

    If strict, unknown ones are taken as there, and dropped when they are raised.
    """
    if not isinstance(word, str):
        given = "None" if word is None else type(word).__name__
        raise TypeError(f"register_signal() argument 2 must be str, not {given}")
    target = target_of(word)
    if len(word) > LONGEST:
        raise ValueError(UNABLE)
    if target is None and not program.strict:
        raise ValueError(f"{UNABLE}: {word!r} is no target here; there are {_WORDS}")
    if target is None:
        return Target(word, "nobody")
    if why_not := _beyond(target, program):
        raise ValueError(UNABLE if program.strict else f"{UNABLE}: the target is {word}, and {why_not}")
    return target


def _beyond(target: Target, program: Program) -> str:
    """Why nobody could run it; a web process does not know how many workers and mules there are."""
    if target.kind == "worker":
        there_are = program.workers if program.role.kind == "spooler" else 0
        return f"there are {there_are} workers (--processes)" if 0 < there_are < target.number else ""
    if target.kind == "spooler" or (program.role.kind == "worker" and not program.mules):
        return ""
    if not program.mules:
        return "" if program.strict else "there are no mules (--mules)"
    if target.kind == "farm" and not farm_of(target, program):
        return f"there is no such farm; there are {', '.join(program.farms) or 'none'} (--farm)"
    return f"there are {program.mules} mules (--mules)" if target.number > program.mules else ""


def farm_of(target: Target, program: Program) -> tuple[str, tuple[int, ...]] | None:
    """The name and the mules of a farm, which a target has by its name, or by its place from 1; None if it is none."""
    farms = list(program.farms.items())
    if target.farm:
        farms = [farm for farm in farms if farm[0] == target.farm]
    elif target.number <= len(farms):
        farms = farms[target.number - 1 :]
    else:
        farms = []
    return (farms[0][0], tuple(farms[0][1])) if farms else None
