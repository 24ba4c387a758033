"""Track: items, one after another, with the progress told; what `job.track` gives. No worker in here."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from operator import length_hint
from typing import Generic, TypeVar

Item = TypeVar("Item")
Tracked = Iterable[Item] | AsyncIterable[Item]
Tell = Callable[[float, float | None, str], None]
TRACKED = 0.01  # seconds between two reports


class Track(Generic[Item]):
    """Items that tell how far they are, to `progress`, not more often than 100 times a second."""

    def __init__(self, progress: Tell, items: Tracked[Item], total: float | None, text: str) -> None:
        self._progress = progress
        self._items = items
        self._total = (length_hint(items, 0) or None) if total is None else total
        self._text = text
        self._done = 0
        self._told = 0.0

    def __iter__(self) -> Iterator[Item]:
        if not isinstance(self._items, Iterable):
            raise TypeError(f"{self._items!r} gives its items to `async for` only")
        self._tell()
        for item in self._items:
            yield item
            self._count()
        self._tell()

    async def __aiter__(self) -> AsyncIterator[Item]:
        self._tell()
        if isinstance(self._items, AsyncIterable):
            async for item in self._items:
                yield item
                self._count()
        else:
            for item in self._items:
                yield item
                self._count()
        self._tell()

    def _count(self) -> None:
        self._done += 1
        if time.monotonic() - self._told >= TRACKED:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        self._progress(self._done, self._total, self._text)
