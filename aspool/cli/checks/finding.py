"""What a check found: a frozen value, and the words for making one."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `advice` says what to do; "" when there is nothing to do."""

    check: str
    level: Level
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", text)


def warn(check: str, text: str, advice: str) -> Finding:
    """It works, but."""
    return Finding(check, "warn", text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(check, "fail", text, advice)
