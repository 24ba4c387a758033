"""What systemd is told, and what it gives."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspool.errors import CallError
from aspool.observe.systemd import Notifier, listen_fds, watchdog_interval

OWN = os.getpid()


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, Notifier]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@aspool-test-{OWN}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address.replace("@", "\0"))
        ear.settimeout(20)
        yield ear, Notifier(address)


def test_what_it_is_told(heard: tuple[socket.socket, Notifier]) -> None:
    ear, notifier = heard
    before = time.monotonic_ns() // 1000
    notifier.ready("2 workers")
    notifier.ready()
    notifier.status("1 worker\nMAINPID=1")
    notifier.status("")
    notifier.reloading()
    notifier.watchdog()
    notifier.stopping("draining")
    words = [ear.recv(4096).decode() for _ in range(6)]
    reloading, moment = words.pop(3).split("\n")
    assert words == [
        "READY=1\nSTATUS=2 workers",
        "READY=1",
        "STATUS=1 worker\\nMAINPID=1",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=draining",
    ]
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify", "@nobody-hears-this", "x" * 300, "a\0b", "vsock:2:3"])
def test_it_never_fails(address: str | None) -> None:
    before = os.listdir("/proc/self/fd")
    Notifier(address).ready("up")
    assert os.listdir("/proc/self/fd") == before, "and leaves nothing open"


def test_nobody_takes_what_it_says(tmp_path: Path) -> None:
    """A full queue."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    filler.sendto(b"x", str(tmp_path / "notify"))
        Notifier(str(tmp_path / "notify")).watchdog()


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [("30000000", None, 15.0), ("30000000", "own", 15.0), ("30000000", "1", None), (None, None, None),
     ("", None, None), ("0", None, None), ("soon", None, None), ("-5", None, None)],
)  # fmt: skip
def test_watchdog_interval(usec: str | None, pid: str | None, interval: float | None) -> None:
    pid = str(OWN) if pid == "own" else pid  # whose number is another in each process of the tests
    assert watchdog_interval(usec, pid, OWN) == interval


def test_sockets() -> None:
    with socket.socket() as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(("127.0.0.1", 0))
        one.listen()
        other.bind("")
        other.listen()
        first = 700  # where nobody else has descriptors
        for at, given in enumerate((one, other)):
            os.dup2(given.fileno(), first + at, inheritable=True)
        found = listen_fds("2", str(OWN), OWN, first=first)
        assert [each.getsockname() for each in found] == [one.getsockname(), other.getsockname()]
        assert [each.family for each in found] == [socket.AF_INET, socket.AF_UNIX]
        assert not any(each.get_inheritable() for each in found)
        for each in found:
            each.close()


@pytest.mark.parametrize(
    ("count", "pid"), [(None, None), ("1", None), ("1", "1"), ("0", "own"), ("x", "own")]
)
def test_no_sockets(count: str | None, pid: str | None) -> None:
    pid = str(OWN) if pid == "own" else pid
    assert listen_fds(count, pid, OWN, first=700) == []


def test_descriptors_that_are_no_listening_sockets(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file, pytest.raises(CallError, match="which is no socket"):
        listen_fds("1", str(OWN), OWN, first=file.fileno())
    with pytest.raises(CallError, match="descriptor 701, which is no socket: Bad file descriptor"):
        listen_fds("1", str(OWN), OWN, first=701)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_UNIX, kind) as given, pytest.raises(CallError, match="which does not listen"):
            listen_fds("1", str(OWN), OWN, first=given.fileno())
