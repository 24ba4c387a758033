"""Spools tasks one at a time, with the moment of the call in each. For `pyuwsgi --mule` or `--pyrun`.

With BENCH_BUSY (seconds) a task that sleeps so long runs already when the next one is spooled.
"""

import os
import time
from pathlib import Path

import uwsgi

from benchmarks.probing import pause, some_of
from benchmarks.stopwatch import CALLS, Samples, now, samples

count, busy = int(os.environ["BENCH_COUNT"]), float(os.environ.get("BENCH_BUSY", "0"))
notes = Path(os.environ["BENCH_NOTES"])
known = len(samples(notes))
calls = Samples(notes, CALLS)

time.sleep(0.5)  # until the spooler process, if it is one of ours, has imported its handler
for number in range(count):
    pause()
    if busy:
        uwsgi.spool({b"seconds": str(busy).encode()})
        time.sleep(some_of(busy))
    began = now()
    uwsgi.spool({b"sent": repr(began).encode()})
    calls.add(now() - began)
    while busy and len(samples(notes)) <= known + number:
        time.sleep(0.002)
os._exit(0)
