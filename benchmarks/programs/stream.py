"""A client that spools without end: no-ops at a steady rate, and now and then one of priority 0 that says when it left.

`python -m benchmarks.programs.stream RATE PAUSE`
"""

import itertools
import sys
import time

from .draining import noop, urgent


def main(rate: int, pause: float) -> None:
    """`rate` no-ops a second, in ticks of 10 ms; an urgent one every `pause` seconds."""
    begun = time.monotonic()
    urgent_sent = 0
    for sent in itertools.count():
        ahead = begun + sent / rate - time.monotonic()
        if ahead > 0.01:
            time.sleep(ahead)
        noop.spool_sync(sent)
        if (now := time.monotonic()) > begun + urgent_sent * pause:
            urgent.spool_sync(now)
            urgent_sent += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
