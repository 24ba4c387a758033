"""BackgroundSpool: calls that are collected while a request is handled, and spooled together before it is answered."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from ..batches import put_together
from ..errors import CallError, PartlySpooled, TaskRefused, Uncertain
from ..spoolable import Call, Spoolable, Using
from ..ticket import Ticket

if TYPE_CHECKING:
    from ..protocol import Spool

P = ParamSpec("P")
T = TypeVar("T")


class BackgroundSpool:
    """Collects calls: `async with BackgroundSpool() as tasks:` spools them all when the block ends.

    When the block raises, none is. In FastAPI the dependency `SpoolTasks` is such a block around the handler.
    The end of the block raises SpoolFull, NotSpooled or SpoolUnusable if no call is in the spool; Uncertain if the
    only one may be; PartlySpooled if some are in, or may be, and some are not.
    """

    def __init__(self) -> None:
        self.tickets: list[Ticket[Any]] = []
        self._calls: list[Call[Any]] = []
        self._spools: list[Spool] = []
        self._is_open = False

    def add_task(self, task: Spoolable[P, T] | Using[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Ticket[T]:
        """Have a task, or `task.using(…)`, called by a worker once the block has ended well.

        The ticket has the id already; what it is asked is answered when the message is in the spool.
        Raises ArgumentsRefused now, TaskRefused for a function that is no task, UnknownSpool, and CallError
        outside of the block, where nothing would spool it.
        """
        if not isinstance(task, Spoolable | Using):
            raise TaskRefused(f"add_task takes a task, not {task!r}: decorate the function with @spooler.task")
        if not self._is_open:
            raise CallError("the request has been handled, or not begun: nothing would spool this task any more")
        call = task.call(*args, **kwargs)
        assert call.task is not None, "a task's call knows its task"
        spool = call.task.sender.spool_of(call.spool)
        self._calls.append(call)
        self._spools.append(spool)
        return call.task.ticket(call.message.id, spool=spool)

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        calls, spools = self._calls, self._spools
        self._calls, self._spools = [], []
        if kind is None and calls:
            try:
                self.tickets += await put_together(calls, spools)
            except PartlySpooled as partly:
                raise _plainer(partly) from None


def _plainer(error: PartlySpooled) -> Exception:
    """The reason itself where it holds for all: nothing is in, so that the whole request may be repeated."""
    first: Exception | Ticket[Any] = error.results[0]
    if isinstance(first, Ticket):
        return error
    nothing_is_in = not any(isinstance(result, Ticket | Uncertain) for result in error.results)
    return first if nothing_is_in or len(error.results) == 1 else error
