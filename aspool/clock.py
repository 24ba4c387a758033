"""The wall clock by which messages are due; tests put another one here. Waits and durations are not its affair."""

import time
from collections.abc import Callable

now: Callable[[], float] = time.time  # a UNIX timestamp; call it as clock.now()
