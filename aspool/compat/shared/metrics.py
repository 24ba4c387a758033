"""The metric functions of the module `uwsgi`. Any name is a metric; all processes of the program share them."""

from collections.abc import Callable

from ..program import Program
from .database import Shared

_TABLE = "CREATE TABLE IF NOT EXISTS metrics (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
_SET = "INSERT INTO metrics VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_GET = "SELECT value FROM metrics WHERE name = ?"
_LARGEST = 1 << 63


class Metrics:
    """Of one Program. Unlike there a metric need not be registered; one that was never set is 0."""

    def __init__(self, program: Program) -> None:
        self._shared = Shared(program, _TABLE)

    def metric_get(self, name: str) -> int:
        """Its value."""
        with self._shared.connection() as connection:
            found = connection.execute(_GET, (name,)).fetchone()
        return 0 if found is None else int(found[0])

    def metric_set(self, name: str, value: int) -> None:
        """Set it."""
        self._change(name, lambda _: value)

    def metric_set_max(self, name: str, value: int) -> None:
        """Set it to a value that is larger."""
        self._change(name, lambda before: max(before, value))

    def metric_set_min(self, name: str, value: int) -> None:
        """Set it to a value that is smaller."""
        self._change(name, lambda before: min(before, value))

    def metric_inc(self, name: str, value: int = 1) -> None:
        """Add to it."""
        self._change(name, lambda before: before + value)

    def metric_dec(self, name: str, value: int = 1) -> None:
        """Take from it."""
        self._change(name, lambda before: before - value)

    def metric_mul(self, name: str, value: int = 1) -> None:
        """Multiply it."""
        self._change(name, lambda before: before * value)

    def metric_div(self, name: str, value: int = 1) -> None:
        """Divide it; what is left over goes. Raises ZeroDivisionError."""
        self._change(name, lambda before: before // value)

    def _change(self, name: str, change: Callable[[int], int]) -> None:
        with self._shared.transaction() as connection:
            found = connection.execute(_GET, (name,)).fetchone()
            value = change(0 if found is None else int(found[0]))
            connection.execute(_SET, (name, (value + _LARGEST) % (2 * _LARGEST) - _LARGEST))  # an int64_t
