"""The handler of a uWSGI spooler that does nothing but note that it ran. For `pyuwsgi --spooler-import`."""

import os
from pathlib import Path

import uwsgi

from benchmarks.stopwatch import Stopwatch
from benchmarks.uwsgi_programs.being_fair import be_as_others

be_as_others()
stopwatch = Stopwatch(Path(os.environ["BENCH_NOTES"]))


def spooler(_: dict[bytes, bytes]) -> int:
    stopwatch.start()
    stopwatch.end()
    return int(uwsgi.SPOOL_OK)


uwsgi.spooler = spooler
