"""Warnings about peers: the first of each kind at once, then one in a while, however many there are."""

import logging
import time

from ..escape import safe

logger = logging.getLogger("aspool.net")
PAUSE = 10.0  # seconds between two of a kind


class RareWarnings:
    """Kinds are a few words of ours; only what stands behind them comes from outside."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, kind: str, details: object) -> None:
        """Tell it, or count it."""
        now = time.monotonic()
        if now < self._next.get(kind, 0.0):
            self._untold[kind] = self._untold.get(kind, 0) + 1
            logger.debug("%s: %s", kind, safe(details))
            return
        self._next[kind] = now + PAUSE
        untold = self._untold.pop(kind, 0)
        more = f" (and {untold} times more since the last line)" if untold else ""
        logger.warning("%s: %s%s", kind, safe(details), more)
