"""Search: where a message is, when nobody knows better: one reading of all names for all who ask at the same time."""

from asyncio import Future, get_running_loop
from collections.abc import Sequence
from functools import partial

from ..tree import Tree
from .finding import paths_of

_Asked = tuple[str, "Future[str | None]"]


class Search:
    """One per event loop and spool."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._asked: list[_Asked] = []
        self._is_busy = False

    async def path_of(self, id: str) -> str | None:
        """The path of a message below the spool, None when it is nowhere. Raises OSError."""
        answer: Future[str | None] = get_running_loop().create_future()
        self._asked.append((id, answer))
        if not self._is_busy:
            self._begin()
        return await answer

    def _begin(self) -> None:
        self._is_busy = True
        asked, self._asked = self._asked, []
        reading = get_running_loop().run_in_executor(None, paths_of, self._tree, frozenset(id for id, _ in asked))
        reading.add_done_callback(partial(self._end, asked))

    def _end(self, asked: Sequence[_Asked], reading: "Future[dict[str, str]]") -> None:
        self._is_busy = False
        error = None if reading.cancelled() else reading.exception()
        for id, answer in asked:
            if answer.done():
                continue  # whoever asked was cancelled
            if reading.cancelled():
                answer.cancel()
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(reading.result().get(id))
        if self._asked:
            self._begin()
