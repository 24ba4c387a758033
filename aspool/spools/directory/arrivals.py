"""Arrivals: tells that a message may have come into the directory, to one who runs none itself. It claims nothing."""

import os
from collections.abc import Callable

from anyio import move_on_after, sleep_forever, to_thread, wait_readable

from ...errors import SpoolUnusable
from . import schedules
from .limits import paused
from .names import PREFIX
from .tree import DEEPEST, PRIVATE, Place, Tree
from .watch import Appeared, Watch, start_watching

AREAS = (paused.AREA, schedules.AREA)  # private directories


class Arrivals:
    """Watches one directory. `arrived` is called when a message may have come, `changed` for pauses and schedules."""

    def __init__(self, tree: Tree, arrived: Callable[[], None], changed: Callable[[], None]) -> None:
        self._tree = tree
        self._arrived = arrived
        self._changed = changed
        self._watch: Watch | None = None
        self._mtimes: dict[str, int] | None = None  # before the first look

    async def keep_announcing(self, frequency: float) -> None:
        """Until cancelled; where no events are to be had, by polling. Raises SpoolUnusable."""
        await to_thread.run_sync(self._tree.open)
        self._watch = start_watching()
        try:
            await self._look_at_all()  # from here on it is watched: what comes after the first call is told, too
            self._arrived()
            while True:
                with move_on_after(frequency):  # events may be lost, and the directory replaced
                    await self._hear_all()
                await self._look_at_all()
        finally:
            if self._watch is not None:
                self._watch.close()

    async def _hear_all(self) -> None:
        if self._watch is None:
            await sleep_forever()
            return
        while True:
            await wait_readable(self._watch.fd)
            self._hear(self._watch)

    async def _look_at_all(self) -> None:
        try:
            was_replaced = await to_thread.run_sync(self._reopen_if_replaced)
            before, self._mtimes = self._mtimes, await to_thread.run_sync(self._mtimes_now)
        except (OSError, SpoolUnusable):  # it is gone for now
            return
        if was_replaced or (self._watch is None and before is not None and self._mtimes != before):
            self._arrived()
            self._changed()

    def _reopen_if_replaced(self) -> bool:
        if self._tree.is_open and not self._tree.is_gone():
            return False
        if self._watch is not None:
            self._watch.forget_all()
        self._tree.reopen()
        return True

    def _mtimes_now(self) -> dict[str, int]:
        """When each place changed last; every place is watched from now on."""
        mtimes = {}
        for area in AREAS:
            mtimes[f"{PRIVATE}/{area}"] = os.fstat(self._tree.area(area)).st_mtime_ns
            if self._watch is not None:
                self._watch.add_area(Place(area, self._tree.area(area)))
        paths = [""]
        while paths:
            path = paths.pop()
            try:
                place = self._tree.place_now(path) if path else self._tree.top
                self._add(place)
                mtimes[path] = os.fstat(place.fd).st_mtime_ns
                if path.count("/") + 1 < DEEPEST:
                    paths += [place.named(name) for name in os.listdir(place.fd) if _is_priority(name)]
            except OSError:  # no directory, or gone again
                continue
        return mtimes

    def _add(self, place: Place) -> None:
        if self._watch is not None:
            self._watch.add(place)

    def _hear(self, watch: Watch) -> None:
        events = watch.read()
        if events is None or any(event.place.path in AREAS for event in events):
            self._changed()
        if events is None or any(_is_arrival(event) for event in events):
            self._arrived()
        for event in events or ():
            if event.is_directory and _is_priority(event.name):
                try:
                    self._add(self._tree.place_now(event.place.named(event.name)))
                except (OSError, SpoolUnusable):
                    continue


def _is_arrival(event: Appeared) -> bool:
    """A message; or a new priority, which may hold some already."""
    if event.place.path in AREAS:
        return False
    return _is_priority(event.name) if event.is_directory else event.name.startswith(PREFIX)


def _is_priority(name: str) -> bool:
    return name.isdecimal() and name.isascii()
