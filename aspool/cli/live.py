"""`aspool top` on a terminal: draws, obeys keys and signals, and leaves the terminal as it was."""

import os
import signal
from collections.abc import Sequence

import anyio
from rich.console import Console
from rich.live import Live as Screen

from .gathering import Gathering
from .keyboard import Keyboard
from .screen import picture

LEAVING = ("q", "Q", "\x04", "")
ENDING = (signal.SIGTERM, signal.SIGHUP)
FIRST = 0.2  # seconds between two pictures while there is no count yet


class Live:
    """The screen while it is taken. Everything happens on one event loop."""

    def __init__(self, interval: float) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._screen = Screen(console=self._console, screen=True, auto_refresh=False)
        self._keyboard = Keyboard()
        self._interval = interval
        self._hint = f"every {interval:g} s, q quits"
        self._wanted = anyio.Event()  # a picture is, now
        self._ended_by = 0

    async def run(self, gatherings: Sequence[Gathering]) -> int:
        """Until a key, or a signal: its number, or 0."""
        with self._keyboard, self._screen:
            async with anyio.create_task_group() as group:
                group.start_soon(self._obey_signals, group.cancel_scope)
                group.start_soon(self._obey_keys, group.cancel_scope)
                await self._draw(gatherings)
        return self._ended_by

    async def _draw(self, gatherings: Sequence[Gathering]) -> None:
        while True:
            self._wanted = anyio.Event()
            views = [await gathering.view() for gathering in gatherings]
            self._screen.update(picture(views, self._console.size, self._hint), refresh=True)
            is_first = any(view.tally is None for view in views)
            with anyio.move_on_after(min(self._interval, FIRST) if is_first else self._interval):
                await self._wanted.wait()

    async def _obey_keys(self, scope: anyio.CancelScope) -> None:
        while await self._keyboard.pressed() not in LEAVING:
            self._wanted.set()
        scope.cancel()

    async def _obey_signals(self, scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGWINCH, signal.SIGTSTP, *ENDING) as signals:
            async for number in signals:
                if number in ENDING:
                    self._ended_by = number
                    scope.cancel()
                    return
                if number == signal.SIGTSTP:
                    self._stop_for_a_while()
                self._wanted.set()

    def _stop_for_a_while(self) -> None:
        """Ctrl-Z: the shell has the terminal until `fg`."""
        self._screen.stop()
        self._keyboard.__exit__()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._keyboard.__enter__()
        self._screen.start(refresh=True)
