"""Of `uwsgidecorators`: `rpc`, `lock`, `thread`, `harakiri`, and `erlang`, which there is none of."""

from collections.abc import Callable
from functools import update_wrapper
from threading import Thread
from typing import Any, TypeVar

from ..program import Program

F = TypeVar("F", bound=Callable[..., Any])


class Locked:
    """A function that runs under the first lock. `f` is the function itself."""

    def __init__(self, program: Program, f: Callable[..., Any]) -> None:
        self.f = f
        self._program = program
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it when no other process does."""
        uwsgi = self._program.module
        if self._program.strict and uwsgi.i_am_the_spooler():
            return None  # there a spooler has no locks
        uwsgi.lock()
        try:
            return self.f(*args, **kwargs)
        finally:
            uwsgi.unlock()


class Threaded:
    """A function that runs in a thread of its own when it is called. `f` is the function itself."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Callable[..., Any]:
        """Start it."""
        Thread(target=self.f, args=args, daemon=True).start()
        return self.f


class OtherDecorators:
    """They are around a function, or register it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._uwsgi = program.module

    def rpc(self, name: str) -> Callable[[F], F]:
        """Let others call a function by a name."""

        def decorate(f: F) -> F:
            self._uwsgi.register_rpc(name, f)
            return f

        return decorate

    def erlang(self, name: str) -> Callable[[F], F]:
        """Raises NotImplementedError when it decorates."""

        def decorate(f: F) -> F:
            self._uwsgi.erlang_register_process(name, f)
            return f

        return decorate

    def lock(self, f: Callable[..., Any]) -> Locked:
        """Run a function in one process at a time."""
        return Locked(self._program, f)

    def thread(self, f: Callable[..., Any]) -> Threaded:
        """Run a function in a thread that ends with the process."""
        return Threaded(f)

    def harakiri(self, seconds: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Stop a function after so many seconds."""

        def decorate(f: Callable[..., Any]) -> Callable[..., Any]:
            def stopped(*args: Any, **kwargs: Any) -> Any:
                self._uwsgi.set_user_harakiri(seconds)
                try:
                    return f(*args, **kwargs)
                finally:
                    self._uwsgi.set_user_harakiri(0)

            return update_wrapper(stopped, f)

        return decorate
