"""Of `uwsgidecorators`: what runs after a fork, and in the processes of mules."""

import pickle
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from ...outcomes import Bury
from ..program import Program
from ..tasks.current import current
from ..tasks.pickles import may_unpickle

F = TypeVar("F", bound=Callable[..., Any])
_SERVICE = "uwsgi_mulefunc"


class PostFork:
    """A function that each process calls when it begins; with a number only the worker of that number."""

    def __init__(self, uwsgi: Any, wid: int, f: Callable[[], Any] | None) -> None:
        self.wid = wid
        self.f = f
        self._uwsgi = uwsgi

    def __call__(self, *args: Any) -> Any:
        """Run it, or take the function that is decorated."""
        if self.f is None:
            self.f = args[0]
            return self  # the real one leaves None
        if self.wid > 0 and self.wid != self._uwsgi.worker_id():
            return None
        return self.f()


class MuleFunction:
    """A function that is called in a mule when it is called: what @mulefunc leaves. `f` is the function itself."""

    def __init__(self, uwsgi: Any, mule: Any, f: Callable[..., Any]) -> None:
        self.f = f
        self.mule = mule
        self.fname = f.__name__
        self._uwsgi = uwsgi

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Send a call. Raises ValueError where there is no mule."""
        message = {"service": _SERVICE, "func": self.fname, "args": args, "kwargs": kwargs}
        self._uwsgi.mule_msg(pickle.dumps(message), self.mule)

    real_call = __call__


class ProcessDecorators:
    """`postfork`; `mulefunc`, `mulemsg`, `mule`, `muleloop`, `farm`; and the two hooks of `uwsgi` behind them."""

    def __init__(self, program: Program) -> None:
        before = [getattr(program.hook(name), "__self__", None) for name in ("post_fork_hook", "mule_msg_hook")]
        forks, mules = (found if isinstance(found, ProcessDecorators) else None for found in before)
        # Those of a Program that this one follows, if they are there already.
        self.postfork_chain: list[Callable[[], Any]] = forks.postfork_chain if forks else []
        self.mule_functions: dict[str, Callable[..., Any]] = mules.mule_functions if mules else {}
        self._program = program
        self._uwsgi = program.module

    def postfork_chain_hook(self) -> None:
        """It is `uwsgi.post_fork_hook`."""
        for f in self.postfork_chain:
            f()

    def postfork(self, f: Any) -> PostFork:
        """Call a function when a process begins; `postfork(2)` only in the second worker."""
        made = PostFork(self._uwsgi, 0, f) if callable(f) else PostFork(self._uwsgi, f, None)
        self.postfork_chain.append(made)
        return made

    # --- functions that mules run ----------------------------------------------------------------------------------

    def mulefunc(self, f: Any) -> Any:
        """Call a function in a mule; `mulefunc(2)` in the second one, `mulefunc("farm")` in one of a farm."""
        return self._mule_function(0, f) if callable(f) else lambda function: self._mule_function(f, function)

    def _mule_function(self, mule: Any, f: Callable[..., Any]) -> MuleFunction:
        self.mule_functions[f.__name__] = f
        return MuleFunction(self._uwsgi, mule, f)

    def mule_msg_dispatcher(self, message: bytes) -> Any:
        """It is `uwsgi.mule_msg_hook`. Raises Bury for a stranger's pickle, KeyError for a function of that name."""
        if (reason := self._refusal()) is not None:
            raise Bury(f"the message to a mule was not unpickled: {reason}")
        read = pickle.loads(message)  # noqa: S301 - of our own user; see pickles.py
        if read["service"] == _SERVICE:
            return self.mule_functions[read["func"]](*read["args"], **read["kwargs"])
        return None

    def _refusal(self) -> str | None:
        """Why the message may not be unpickled. What comes to a mule was looked at before, or is of its own program."""
        now = current()
        if now is not None:
            return may_unpickle(now.job, now.body, self._program)
        return None if self._program.role.kind == "mule" else "this is no mule, and nobody knows whose it is"

    # --- what the process of a mule does -----------------------------------------------------------------------------

    def mule(self, num: int) -> Callable[[F], F]:
        """Let a mule run a function when it begins."""
        return self._after_fork(lambda f: self._in_mule(num, f, forever=False))

    def muleloop(self, num: int) -> Callable[[F], F]:
        """Let a mule run a function again and again."""
        return self._after_fork(lambda f: self._in_mule(num, f, forever=True))

    def mulemsg(self, num: int) -> Callable[[F], F]:
        """Give a function each message that comes to a mule."""

        def loop(f: Callable[..., Any]) -> None:
            if self._uwsgi.mule_id() == num:
                _give(f, self._uwsgi.mule_get_msg)

        return self._after_fork(loop)

    def farm(self, name: str) -> Callable[[F], F]:
        """Give a function each message that comes to a farm, in its mules."""

        def loop(f: Callable[..., Any]) -> None:
            if self._uwsgi.mule_id() and self._uwsgi.in_farm(name):
                _give(f, self._uwsgi.farm_get_msg)

        return self._after_fork(loop)

    def _after_fork(self, run: Callable[..., Any]) -> Callable[[F], F]:
        def decorate(f: F) -> F:
            self.postfork_chain.append(lambda: run(f))
            return f  # the real ones leave None

        return decorate

    def _in_mule(self, num: int, f: Callable[[], Any], *, forever: bool) -> None:
        if self._uwsgi.mule_id() != num:
            return
        try:
            f()
            while forever:
                f()
        except BaseException as error:  # mule_brain: whatever it is ends the mule
            sys.excepthook(type(error), error, error.__traceback__)
            sys.exit(1)


def _give(f: Callable[[bytes], Any], receive: Callable[[], bytes | None]) -> None:
    while True:
        if message := receive():
            f(message)
