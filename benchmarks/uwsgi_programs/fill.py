"""Spools tasks by uWSGI's own C call and writes down how many it did in a second. For `pyuwsgi --pyrun`."""

import os
import sys
import time
from pathlib import Path

import uwsgi

count = int(os.environ["BENCH_COUNT"])
text = b"x" * int(os.environ["BENCH_SIZE"])
due = {b"at": os.environ["BENCH_AT"].encode()} if "BENCH_AT" in os.environ else {}

started = time.perf_counter()
for _ in range(count):
    uwsgi.spool({b"task": b"nothing", b"text": text, **due})
taken = time.perf_counter() - started

Path(os.environ["BENCH_RATE"]).write_text(str(count / taken))
sys.stdout.flush()
os._exit(0)  # uWSGI would start serving now
