"""`aspool ls`, `show`, `stats`, and how they print."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from aspool import Bury, DirectorySpool, Spooler
from aspool.escape import safe
from aspool.testing import drain_sync
from aspool.wire import encode

from .conftest import Worker, on_terminal, wait_for

Run = Callable[..., Result]


@pytest.fixture
def three(run: Run, start_worker: Callable[..., Worker]) -> None:
    """A dead message, a waiting one and a scheduled one."""
    run("send", "app", "boom", "--id", "ended-1")
    assert start_worker("app", "--burst").end()[0] == 0
    run("send", "app", "send_mail", "to=a", "--id", "waits-1")
    run("send", "app", "send_mail", "to=a", "--id", "waits-2", "--in", "1h")


@pytest.mark.usefixtures("three")
def test_plain_lines(run: Run) -> None:
    rows = [line.split("\t") for line in run("ls").output.splitlines()]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("waits-1", "waiting", "app.send_mail"),
        ("waits-2", "scheduled", "app.send_mail"),
        ("ended-1", "dead", "app.boom"),
    ]
    assert {len(row) for row in rows} == {9}
    assert rows[2][8] == r"ValueError: boo\x1b[31m"
    assert len(run("ls", "--state", "dead", "--state", "waiting").output.splitlines()) == 2
    assert len(run("ls", "--limit", "1").output.splitlines()) == 1
    assert run("ls", "app").output == run("ls").output


@pytest.mark.usefixtures("three")
def test_json(run: Run, app: Path) -> None:
    listed = json.loads(run("ls", "app", "--json").output)
    assert [item["id"] for item in listed] == ["waits-1", "waits-2", "ended-1"]
    assert {item["spool"] for item in listed} == {str(app / "spool")}
    details = json.loads(run("show", "ended", "--json").output)
    assert details["arguments"] == {}
    assert "ValueError" in details["history"]["traceback"]


@pytest.mark.usefixtures("three")
def test_a_terminal_gets_tables_without_control_characters() -> None:
    table = on_terminal("ls")
    assert "reason" in table
    assert "boo\\x1b[31m" in table
    assert "boo\x1b" not in table
    details = on_terminal("show", "ended-1")
    assert "traceback" in details
    assert "raise ValueError(text)" in details
    assert "boo\x1b" not in details
    assert "no worker lives here" in on_terminal("stats")


@pytest.mark.usefixtures("three")
def test_ids_may_be_abbreviated(run: Run) -> None:
    assert run("show", "ended").exit_code == 0
    assert run("show", "s-2").exit_code == 0
    several = run("show", "waits")
    assert several.exit_code == 2
    assert "waits-1" in several.stderr
    assert "waits-2" in several.stderr
    assert run("show", "waits", "--state", "waiting").exit_code == 0
    assert run("show", "nothing").exit_code == 1


def test_what_uwsgi_wrote(run: Run, app: Path) -> None:
    (app / "spool").mkdir(mode=0o700)
    for number, variables in enumerate([{b"ud_spool_func": b"send\x1b"}, {b"a": b"b"}]):
        path = app / "spool" / f"uwsgi_spoolfile_on_vm_{number}"
        path.write_bytes(encode(variables))
        path.chmod(0o600)
    tasks = [line.split("\t")[2] for line in run("ls").output.splitlines()]
    assert tasks == [r"(raw) send\x1b", "(raw)"]
    assert "task\t(raw) send\\x1b\n" in run("show", "uwsgi_spoolfile_on_vm_0").output
    spooler = Spooler(DirectorySpool("spool"))

    @spooler.handler
    def handler(variables: dict[str, str]) -> None:
        raise Bury("no such function")

    assert [ran.state for ran in drain_sync(spooler)] == ["dead", "dead"]
    (row,) = [line.split("\t") for line in run("ls", "--state", "dead").output.splitlines() if "send" in line]
    assert row[2] == r"(raw) send\x1b"
    shown = run("show", row[0], "--state", "dead").output
    assert "buried\t20" in shown
    assert "spooled" not in shown, "uWSGI does not say when"


def test_a_long_id_is_shortened_and_the_short_one_will_do(run: Run) -> None:
    ids = [f"invoice-{number:04}-{'of-a-customer-' * 4}{number:04}" for number in (1, 2)]
    for id in ids:
        run("send", "app", "send_mail", "to=a", "--id", id)
    table = on_terminal("ls", columns=80)
    assert [line.split()[0] for line in table.splitlines() if "app.send_mail" in line] == [
        "invoice-00…omer-0001", "invoice-00…omer-0002",
    ]  # fmt: skip
    assert ids[0] in run("ls").output, "whole in a pipe"
    assert f"id\t{ids[1]}\n" in run("show", "invoice-00…omer-0002").output
    assert run("rm", "invoice-0001…", "--yes").stdout == f"{ids[0]} is removed\n"
    assert run("show", "…").exit_code == 1


@pytest.mark.usefixtures("three")
def test_a_file_name_is_an_id_too(run: Run, app: Path) -> None:
    (name,) = (path.name for path in (app / "spool").glob("uwsgi_spoolfile_on_*_waits-1_*"))
    assert run("show", f"spool/{name}").output.startswith("id\twaits-1\n")


def test_what_runs_now(run: Run, start_worker: Callable[..., Worker], app: Path) -> None:
    run("send", "app", "slow", "--id", "long")
    worker = start_worker("app")
    wait_for(lambda: "sleeping" in run("stats").output)
    lines = [line.split("\t") for line in run("stats").output.splitlines()]
    assert ["count", "running", "1"] in lines
    assert [line[1] for line in lines if line[0] == "worker"] == [str(worker.process.pid)]
    assert [line[1:4] for line in lines if line[0] == "job"] == [["long", "app.slow", "1"]]
    (stats,) = json.loads(run("stats", "--json").output)
    assert stats["workers"][0]["running"][0]["done"] == 1
    assert f"worker\t{worker.process.pid} on" in run("show", "long").output
    assert r"1 of 4 (25 %) sleeping \x1b[31m" in run("show", "long").output
    refused = run("rm", "long", "--yes")
    assert (refused.exit_code, "a worker runs it" in refused.stderr) == (1, True)
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)  # two of the same could become one
    assert worker.end()[0] == 0


@pytest.mark.parametrize(
    "verb", [("ls",), ("show", "x"), ("stats",), ("doctor",), ("retry", "x"), ("rm", "x"), ("purge",)]
)
def test_looking_makes_no_spool(run: Run, app: Path, verb: tuple[str, ...]) -> None:
    result = run(*verb, "-d", "nowhere")
    assert result.exit_code == 3
    assert not (app / "nowhere").exists()
    (app / "pictures").mkdir()
    (app / "pictures" / "cat.png").touch()
    if verb != ("doctor",):
        assert run(*verb, "-d", "pictures").exit_code == 3
        assert os.listdir(app / "pictures") == ["cat.png"]


def test_spools_that_cannot_be_looked_at(run: Run) -> None:
    assert run("ls", "-d", "memory:").exit_code == 2
    assert run("ls", "-d", "gopher://x").exit_code == 2
    assert "no spool called 'post'" in run("ls", "app", "-d", "post").stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\tb\nc\x1b[0m\x7f", r"a\tb\nc\x1b[0m\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\xff"),
        ("\x9b31m", r"\x9b31m"),
        ("\u2028", r"\u2028"),
    ],
)
def test_escaping(text: str, expected: str) -> None:
    assert safe(text) == expected
