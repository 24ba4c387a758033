"""How much room there is where spools are: asked once in a while, however many requests come."""

import os
import time

from anyio import to_thread

from ..addresses import is_path
from .replies import Refused, busy

OFTEN = 0.25  # seconds
FEWEST_FILES = 100  # that must be possible, where a file system counts them


class Disk:
    """Refuses what would leave less than `min_free` bytes."""

    def __init__(self, min_free: int) -> None:
        self._min_free = min_free
        self._known: dict[str, tuple[float, int]] = {}  # when it was asked, and how many bytes there were

    async def check(self, address: str, coming: int) -> None:
        """Raises Refused when so many more bytes should not come; of a spool that is no directory nothing is known."""
        if not is_path(address):
            return
        now = time.monotonic()
        asked, free = self._known.get(address, (-OFTEN, -1))
        if now - asked >= OFTEN:
            if free >= 0:
                self._known[address] = now, free  # for those who come while it is asked
            free = await to_thread.run_sync(_free, address)
            self._known[address] = now, free
        if free - coming < self._min_free:
            raise Refused(busy(f"there is too little room on the disk of the spool for {coming} bytes more"))


def _free(path: str) -> int:
    """The bytes that this user may write; one that cannot be asked says so when it is written to."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 1 << 62
    if found.f_files and found.f_favail < FEWEST_FILES:
        return 0
    return found.f_bavail * found.f_frsize
