"""A terminal that is closed."""

import os
import subprocess
import sys

import pytest

from aspool.supervisor.terminal import Terminal

# In a program of its own: tests have threads, and such a process should not fork.
CLOSED = """
import os, pty, signal
from aspool.supervisor.terminal import Terminal
pid, ours = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    terminal = Terminal()
    was_closed = terminal.is_closed
    os.write(1, b"ready")
    while not terminal.is_closed:
        pass
    os._exit(was_closed)
assert os.read(ours, 5) == b"ready"
os.close(ours)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_without_one_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "tcgetpgrp", refuse)
    assert not Terminal().is_closed


def test_one_that_is_closed_is_told() -> None:
    assert subprocess.run([sys.executable, "-c", CLOSED], check=False, timeout=60).returncode == 0
