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


def test_a_bar_in_the_browser(start: Start) -> None:
    server = start("-m", "uvicorn", "progress_app:app", "--port", "0")
    start(ASPOOL, "worker", "progress_app")
    with httpx.Client(base_url=server.says(r"running on (http://\S+)"), timeout=30) as client:
        assert "new EventSource" in client.get("/").text
        answer = client.post("/bread", params={"loaves": 5}).json()
        assert client.get(f"/tasks/{answer['id']}").status_code == 403
        assert client.get(f"/tasks/{answer['id']}?key=é").status_code == 403
        with client.stream("GET", answer["events"]) as stream:
            lines = list(stream.iter_lines())  # it ends by itself
        told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert told[-1]["state"] == "done"
        fractions = [each["progress"]["fraction"] for each in told if each["progress"]]
        assert fractions == sorted(fractions)
        assert any(0 < fraction < 1 for fraction in fractions)
        assert "event: end" in lines


def test_a_server_does_not_wait_for_streams_when_it_stops(start: Start) -> None:
    server = start("-m", "uvicorn", "progress_app:app", "--port", "0")  # and no worker: the task waits for ever
    with httpx.Client(base_url=server.says(r"running on (http://\S+)"), timeout=30) as client:
        events = client.post("/bread").json()["events"]
        with client.stream("GET", events) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: state"
            server.stop()
            assert "event: end" not in list(lines)
    assert "Application shutdown complete" in server.output.read_text()
