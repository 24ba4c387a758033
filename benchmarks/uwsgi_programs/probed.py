"""The handler of a uWSGI spooler that notes how late each task starts. For `pyuwsgi --spooler-import`."""

import os
import time
from pathlib import Path

import uwsgi

from benchmarks.stopwatch import Samples, now
from benchmarks.uwsgi_programs.being_fair import be_as_others

be_as_others()
delays = Samples(Path(os.environ["BENCH_NOTES"]))


def spooler(variables: dict[bytes, bytes]) -> int:
    started = now()
    if b"sent" in variables:
        delays.add(started - float(variables[b"sent"]))
    else:
        time.sleep(float(variables[b"seconds"]))
    return int(uwsgi.SPOOL_OK)


uwsgi.spooler = spooler
