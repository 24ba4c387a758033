"""Ticket: what `spool()` returns."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ticket(Generic[T_co]):
    """The receipt of a message: its `id`, and whether it was a `duplicate` of one that still waits or runs.

    The type parameter is what the task returns.
    """

    id: str
    duplicate: bool = False

    def __str__(self) -> str:
        return self.id
