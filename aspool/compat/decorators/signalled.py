"""Of `uwsgidecorators`: functions that signals call. Each decorator takes a free number, and leaves the function."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..program import Program

F = TypeVar("F", bound=Callable[[int], Any])
SIGNALS = 256


class SignalDecorators:
    """`signal`, `timer`, `rbtimer`, `mstimer`, `cron`, `filemon`: they take `target=` and `signum=`."""

    def __init__(self, program: Program) -> None:
        self._uwsgi = program.module

    def get_free_signal(self) -> int:
        """The lowest number that is not registered. Raises Exception when there is none."""
        for number in range(SIGNALS):
            if not self._uwsgi.signal_registered(number):
                return number
        raise Exception("No free uwsgi signal available")

    def signal(self, num: int, target: str = "") -> Callable[[F], F]:
        """When it is raised."""
        return self._registered(num, target, lambda _: None)

    def timer(self, secs: int, target: str = "", signum: int | None = None) -> Callable[[F], F]:
        """Every so many seconds."""
        return self._registered(signum, target, lambda number: self._uwsgi.add_timer(number, secs))

    def rbtimer(self, secs: int, target: str = "", signum: int | None = None) -> Callable[[F], F]:
        """Every so many seconds, of whoever is called."""
        return self._registered(signum, target, lambda number: self._uwsgi.add_rb_timer(number, secs))

    def mstimer(self, ms: int, target: str = "", signum: int | None = None) -> Callable[[F], F]:
        """Every so many milliseconds (uWSGI 2.1)."""
        return self._registered(signum, target, lambda number: self._uwsgi.add_ms_timer(number, ms))

    def cron(
        self, minute: int, hour: int, day: int, month: int, dayweek: int, target: str = "", signum: int | None = None
    ) -> Callable[[F], F]:
        """When the clock shows that; -1 is every, -N every Nth."""
        return self._registered(
            signum, target, lambda number: self._uwsgi.add_cron(number, minute, hour, day, month, dayweek)
        )

    def filemon(self, fsobj: str, target: str = "", signum: int | None = None) -> Callable[[F], F]:
        """When a file changes."""
        return self._registered(signum, target, lambda number: self._uwsgi.add_file_monitor(number, fsobj))

    def _registered(self, signum: int | None, target: str, begin: Callable[[int], Any]) -> Callable[[F], F]:
        number = self.get_free_signal() if signum is None else signum

        def decorate(f: F) -> F:
            self._uwsgi.register_signal(number, target, f)
            begin(number)
            return f

        return decorate
