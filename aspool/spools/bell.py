"""Bell: where one follower of a message waits until something happened to it."""

from asyncio import Future, get_running_loop, sleep

STEP = 0.01  # seconds between two wake-ups of one follower, where events pour in
BURST = 10  # wake-ups that need not wait for that


class Bell:
    """Where one follower waits."""

    def __init__(self) -> None:
        self._is_rung = False
        self._sleeper: Future[None] | None = None
        self._free_at = 0.0

    def ring(self) -> None:
        """Something happened. On the follower's event loop."""
        self._is_rung = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def heard(self, timeout: float) -> None:
        """Wait for it, at the latest for `timeout` seconds."""
        loop = get_running_loop()
        if not self._is_rung:
            self._sleeper = loop.create_future()
            timer = loop.call_later(timeout, self.ring)
            try:
                await self._sleeper
            finally:
                timer.cancel()
                self._sleeper = None
        now = loop.time()
        self._free_at = max(self._free_at, now - BURST * STEP) + STEP
        await sleep(max(0.0, self._free_at - now))
        self._is_rung = False  # whoever looks now sees all that has happened
