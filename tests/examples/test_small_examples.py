"""Each small example, run as its first lines say."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx

from .conftest import ASPOOL, EXAMPLES, Start

Run = Callable[..., str]


def example(name: str) -> str:
    return str(EXAMPLES / name)


def test_standalone(run: Run) -> None:
    assert run(example("standalone.py")).startswith("spooled ")
    assert "Hello, world!" in run(ASPOOL, "worker", "standalone", "--burst")


def test_raw_messages_reach_the_handler(run: Run, home: Path) -> None:
    run(example("raw_handler.py"))
    assert len(list((home / "spool" / "5").iterdir())) == 1  # the magic key "priority"
    run(ASPOOL, "spool", "-d", "spool", "ToGroup=family")
    text = run(ASPOOL, "worker", "raw_handler", "--burst")
    assert "to customers: 'good news'" in text
    assert "to friends: 'hello'" in text
    assert "to family: ''" in text


def test_a_large_body_is_never_whole_in_memory(run: Run) -> None:
    spooled = run(example("large_body.py"))
    worked = run(ASPOOL, "worker", "large_body", "--burst")
    block = b"".join(b"%07d\n" % number for number in range(131_072))
    expected = hashlib.sha256()
    for _ in range(200):
        expected.update(block)
    assert f"sha256 {expected.hexdigest()}" in worked
    for text in (spooled, worked):
        assert int(re.findall(r"at most (\d+) MB", text)[0]) < 120


def test_retries_end_as_their_tasks_say(run: Run, start: Start) -> None:
    run(example("retries.py"))
    worker = start(ASPOOL, "worker", "retries")
    worker.says("flaky: done at attempt 3")
    worker.says("polite: done at attempt 2")
    worker.says("buried: there is no order 42")
    assert worker.stop() == 0
    (dead,) = json.loads(run(ASPOOL, "ls", "-d", "spool", "--json"))
    assert (dead["id"], dead["state"], dead["reason"]) == ("order-42", "dead", "there is no order 42")


def test_fastapi_with_the_worker_inside(start: Start) -> None:
    server = start("-m", "uvicorn", "fastapi_app:app", "--port", "0")
    address = server.says(r"running on (http://\S+)")
    answer = httpx.post(f"{address}/greet", params={"name": "Ada"})
    assert answer.status_code == 202
    assert answer.json()["id"]
    server.says("Hello, Ada!")
    server.stop()
    assert "Application shutdown complete" in server.output.read_text()
