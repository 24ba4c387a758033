"""Held: what a worker has claimed from a spool and not let go of, and whether its process is about to end."""

import threading

from ...protocol import Claim


class Held:
    """Claimed files are changed under `lock`, one at a time: a process that leaves may do so from any thread.

    Once it `has_left`, nothing is claimed, changed or let go of any more.
    """

    __slots__ = ("claims", "has_left", "lock")
    claims: set[Claim]

    def __init__(self) -> None:
        self.claims = set()
        self.lock = threading.Lock()
        self.has_left = False
