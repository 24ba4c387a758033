"""What `aspool worker benchmarks.worker_app` runs: the benchmarks' jobs, on the directory $BENCH_SPOOL."""

import os
from pathlib import Path

from .jobs import application, delays, stopwatch

stopwatch(), delays()  # before there are threads
spooler = application(Path(os.environ["BENCH_SPOOL"])).spooler
