"""`aspool listen`, and `aspool worker --listen`: real processes."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from aspool import DirectorySpool
from aspool.wire import encode

from .conftest import Worker, plain_environment, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]
STORED = b"\xff\0\0\1"
HANDLER = """

@spooler.handler
def handler(variables: dict[str, str], body: Body) -> None:
    Path(variables["to"]).write_text(repr(variables))
"""


def say(address: str, packet: bytes) -> bytes:
    """What a listener answers."""
    family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET
    place = address.removeprefix("unix:") if family == socket.AF_UNIX else ("127.0.0.1", int(address.split(":")[1]))
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(place)
        client.sendall(packet)
        found = b""
        while data := client.recv(4096):
            found += data
        return found


@pytest.fixture
def listen() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `aspool listen`; what still lives at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "aspool.cli", "listen", *arguments]
        pipe, environment = subprocess.PIPE, plain_environment()
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_says_where_and_ends_in_order(listen: Callable[..., "subprocess.Popen[str]"], app: Path) -> None:
    options = 'app = "app"\nproject = "p"\nspools = ["./queue", "mail=./post"]\nmax_packet = 1000\n'
    (app / "aspool.toml").write_text(options)
    process = listen("127.0.0.1:0", "unix:{project_name}.socket", "--pidfile", "pid")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    addresses = [line.split()[4] for line in lines]
    assert lines == [f"aspool 0.1.0: listens on {address} for {app}/queue\n" for address in addresses]
    assert addresses[1] == f"unix:{app}/p.socket"
    assert (app / "pid").read_text() == f"{process.pid}\n"
    assert [say(address, encode({b"job": b"x"})) for address in addresses] == [STORED, STORED]
    assert say(addresses[0], encode({b"spooler": b"mail"})) == STORED
    assert say(addresses[0], encode({b"job": b"x" * 1000})) != STORED
    assert [DirectorySpool(app / name).counts()["waiting"] for name in ("queue", "post")] == [2, 1]
    process.send_signal(signal.SIGHUP)  # as SIGTERM, which all the others get
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "refused with 413: 127.0.0.1: " in errors
    assert not (app / f"{app.name}.socket").exists()
    assert not (app / "pid").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "nothing says where to listen: give WHERE"),
        (("nowhere",), 2, "listen must be HOST:PORT"),
        (("*:0",), 2, "give allow and secret_file, or listen on 127.0.0.1"),
        (("192.0.2.99:0",), 2, "this machine has no such address"),
        ((":0", "--secret-file", "none"), 2, "/none cannot be read: No such file"),
        ((":0", "--allow", "10.0.0.1/8"), 2, "allow must be a network, as 10.0.0.0/8"),
        ((":0", "--keep"), 2, "requires an argument"),
        ((":0", "-d", "./none/spool"), 3, "none/spool cannot be used"),
    ],
)
def test_what_cannot_be(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run("listen", *arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr


def test_a_spool_by_the_environment(run: Run, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPOOL_SPOOL", "/none/here")
    monkeypatch.setenv("ASPOOL_LISTEN", ":0 unix:s")
    result = run("listen")
    assert (result.exit_code, "/none/here cannot be used" in result.stderr) == (3, True)


@pytest.mark.parametrize("arguments", [(), ("-d", "./spool", "-d", "mail=./mail")], ids=["its own", "given"])
def test_a_worker_with_a_listener(start_worker: Start, app: Path, arguments: tuple[str, ...]) -> None:
    """In its supervisor; what comes is run by the worker."""
    (app / "app.py").write_text((app / "app.py").read_text() + HANDLER)
    worker = start_worker("app", "--listen", "unix:socket", "--listen", "127.0.0.1:0", *arguments)
    told = next(line for line in worker.process.stdout or () if "tasks are taken on" in line)
    assert f" unix:{app}/socket, 127.0.0.1:" in told
    assert say(f"unix:{app}/socket", encode({b"to": b"one"})) == STORED
    assert say(f"unix:{app}/socket", encode({b"to": b"two", b"spooler": b"mail"})) == STORED
    wait_for(lambda: (app / "one").exists() and (app / "two").exists(), 30)
    worker.signal(signal.SIGTERM)
    assert worker.end()[0] == 0
    assert not (app / "socket").exists()


def test_an_address_in_use_ends_it_before_it_begins(start_worker: Start, app: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        worker = start_worker("app", "--health", "unix:health", "--listen", f"127.0.0.1:{other.getsockname()[1]}")
        code, output = worker.end()
    assert (code, "another program listens there" in output) == (2, True), output
    assert not (app / "spool").exists()
    assert not (app / "health").exists()
