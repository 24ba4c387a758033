"""Very many connections that are no use to anybody, and an honest client among them."""

import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .clients import http, web
from .listening_process import Process, listening_process, wait_until

NUMBER = 10_000
LONGEST_WAIT = 2.0  # seconds for an honest client, on a machine that is as fast as others
USUAL = 0.03  # seconds for the loop below, on such a machine
FLOODING = Path(__file__).parent / "flooding.py"

EXHAUSTING = """
import os, resource, sys
import anyio
from aspool import DirectorySpool
from aspool.net import listening
from aspool.settings import ListenerSettings

async def main():
    spool = DirectorySpool("spool", durability="process")
    async with listening({"default": spool}, ListenerSettings(listen=("127.0.0.1:0",))) as listener:
        held = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 10, hard))
        print(listener.addresses[0], flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            print("exhausted", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        for descriptor in held:
            os.close(descriptor)
        print("free", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        print(listener.addresses, os.times().user + os.times().system, flush=True)

anyio.run(main)
"""


def slowness() -> float:
    """How many times slower this machine is now."""
    started = time.perf_counter()
    sum(number * number % 7 for number in range(500_000))
    return max(1.0, (time.perf_counter() - started) / USUAL)


def ask(port: int) -> tuple[float, int]:
    """How long an honest client waits, and what it is answered; 0 if it is closed."""
    started = time.monotonic()
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(web(b"hello", job="honest"))
        while data := client.recv(65_536):
            answer += data
    return time.monotonic() - started, http(answer).status if answer else 0


@contextmanager
def flood(port: int) -> Iterator[threading.Event]:
    """The connections are there until the block ends; the event says that all have been tried."""
    up = threading.Event()
    command = [sys.executable, str(FLOODING), str(port), str(NUMBER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = process.stdout

        def watch() -> None:
            lines.readline()
            up.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        yield up
        process.communicate(timeout=60)
        watcher.join()


def honest_clients(listener: Process, up: threading.Event) -> list[tuple[float, int]]:
    """One after another, while the others come, and for some time after."""
    answers = []
    while not up.is_set():
        answers.append(ask(listener.port))
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        answers.append(ask(listener.port))
    return answers


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("most", "growth"), [(1_000, 20), (6_000, 60)])  # megabytes that the first flood may leave
def test_an_honest_client_among_ten_thousand(tmp_path: Path, most: int, growth: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= NUMBER + 100, "this test needs `ulimit -Hn` of more than 10,000"
    with listening_process(tmp_path, "127.0.0.1:0", "--max-connections", str(most)) as listener:
        for _ in range(20):
            assert ask(listener.port)[1] == 202
        memory, descriptors = [listener.megabytes()], listener.descriptors()
        for _ in range(2):
            factor = slowness()
            with flood(listener.port) as up:
                answers = honest_clients(listener, up)
                assert {status for _, status in answers} == {202}
                assert max(wait for wait, _ in answers) < LONGEST_WAIT * max(factor, slowness())
                assert listener.descriptors() <= 3 * most + 100
            wait_until(lambda: listener.descriptors() <= descriptors + 3, "all descriptors are given back")
            memory.append(listener.megabytes())
        print(f"{most} connections: {max(answers)[0]:.2f} s at most, memory {memory} MB")
        assert memory[1] < memory[0] + growth  # Python keeps some of what it had
        assert memory[2] < memory[1] + 8  # but needs no more for the next flood
        assert ask(listener.port)[1] == 202
    assert sum(path.stat().st_size > 10_000 for path in listener.files()) == 0


def test_descriptors_that_are_used_up(tmp_path: Path) -> None:
    """Whoever connects then is sent away at once, without a loop that takes all of the processor; later all is well."""
    program = [sys.executable, "-c", EXHAUSTING]
    with subprocess.Popen(
        program, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert ask(port)[1] == 202

        def go_on() -> None:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

        go_on()
        assert process.stdout.readline() == "exhausted\n"
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < started + 60:
                assert ask(port)[1] == 0
                raise ConnectionResetError  # closed in order is as good
        go_on()
        assert process.stdout.readline() == "free\n"
        assert ask(port)[1] == 202
        go_on()
        assert float(process.stdout.readline().split()[-1]) < 60
        _, errors = process.communicate(timeout=60)
    assert "a connection cannot be accepted: Too many open files" in errors
    assert process.returncode == 0, errors
