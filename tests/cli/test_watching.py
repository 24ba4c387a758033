"""`aspool watch` and `aspool send --wait`: lines, bars, results, reasons, and how both end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console

from aspool.cli.bars import Bars
from aspool.cli.following import Followed
from aspool.protocol import Progress
from aspool.spools.memory import MemorySpool
from aspool.ticket import Ticket, Update

from .conftest import Worker, on_terminal, plain_environment, wait_for

Run = Callable[..., Result]
Start = Callable[..., Worker]


def sent(run: Run, *arguments: str) -> str:
    return run("send", "app", *arguments).stdout.strip()


class Watching:
    """`aspool watch`, or another verb, as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aspool.cli", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=plain_environment(),
        )  # fmt: skip

    def line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n").split("\t")

    def end(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=15)
        return self.process.returncode, stdout, stderr


@pytest.fixture
def start() -> Iterator[Callable[..., Watching]]:
    """Start programs; what still lives at the end is killed."""
    started: list[Watching] = []

    def call(*arguments: str) -> Watching:
        started.append(Watching(*arguments))
        return started[-1]

    yield call
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_a_line_for_each_change_until_the_end(
    run: Run, start_worker: Start, start: Callable[..., Watching], app: Path
) -> None:
    id = sent(run, "count", "hold=true")
    watching = start("watch", id[14:])
    assert watching.line() == [id, "waiting", "app.count", "1", "-", "-", "-", "-"]
    start_worker("app")
    while (line := watching.line())[4] != "2.0":
        assert line[1] in ("waiting", "running")
    assert line == [id, "running", "app.count", "1", "2.0", "3.0", r"counting \x1b[31m", "-"]
    (app / "go").touch()
    code, rest, _ = watching.end()
    assert code == 0
    assert rest.splitlines()[-1].split("\t") == [id, "done", "app.count", "1", "-", "-", "-", "-"]


def test_json_lines(run: Run, start_worker: Start) -> None:
    id = sent(run, "count", "--in", "0.3s")
    start_worker("app")
    told = [json.loads(line) for line in run("watch", id, "--json").output.splitlines()]
    assert told[0]["state"] in ("scheduled", "waiting", "running")
    assert (told[-1]["state"], told[-1]["id"], told[-1]["task"]) == ("done", id, "app.count")
    assert {frozenset(one) for one in told} == {
        frozenset({"id", "state", "task", "attempt", "done", "total", "text", "reason", "at"})
    }


def test_a_dead_one_says_why_and_fails(run: Run, start_worker: Start) -> None:
    good, bad = sent(run, "count"), sent(run, "boom")
    assert start_worker("app", "--burst").end()[0] == 0
    result = run("watch", good, bad)
    assert result.exit_code == 1
    lines = sorted(line.split("\t")[1:] for line in result.output.splitlines())
    assert lines == [
        ["dead", "app.boom", "1", "-", "-", "-", r"ValueError: boo\x1b[31m"],
        ["done", "-", "-", "-", "-", "-", "-"],
    ]


def test_several_messages_on_a_terminal(run: Run, start_worker: Start) -> None:
    ids = [sent(run, "count"), sent(run, "boom"), sent(run, "count", "--in", "0.5s")]
    start_worker("app")
    told = on_terminal("watch", *ids)
    assert told.count("done") == 2
    assert "boo\\x1b[31m" in told
    assert "boo\x1b" not in told
    assert "\x1b[?25h" in told, "the cursor is back"


def test_a_message_that_waits_for_a_worker(run: Run) -> None:
    assert "no worker lives here" in on_terminal("watch", sent(run, "count"), "--timeout", "0.3")


def test_bars(run: Run, start_worker: Start, app: Path) -> None:
    id = sent(run, "count", "hold=true")
    start_worker("app")
    wait_for(lambda: "2 of 3" in run("stats").output)
    told = on_terminal("watch", id, "--timeout", "0.5")
    assert "2 of 3" in told
    assert "━" in told
    assert "counting \\x1b[31m" in told
    assert "it took more than 0.5 s" in told
    assert f"{id} goes on" in " ".join(told.split())
    (app / "go").touch()
    assert run("watch", id).exit_code == 0


def followed(id: str, update: Update) -> Followed:
    return Followed(MemorySpool(), Ticket(id), "app.count", update)


def lines_of(bars: Bars, height: int) -> list[str]:
    with open(os.devnull, "w") as nowhere:
        console = Console(width=80, height=height, record=True, force_terminal=True, file=nowhere)
        bars._console = console
        console.print(bars._picture())
    return console.export_text().splitlines()


def test_more_messages_than_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        for number in range(40):
            bars.tell(followed(f"id{number:02}", Update("waiting")))
        bars.tell(followed("late", Update("running", 2, Progress(1, 4, "evil \x1b[2J\n"))))
        lines = lines_of(bars, 10)
        assert len(lines) == 9
        assert lines[-1].strip() == "and 33 more"
        assert lines[0].startswith("running #2 late count"), "what runs comes first"
        assert "1 of 4" in lines[0]
        assert r"evil \x1b[2J\n" in lines[0]
        assert len(lines_of(bars, 60)) == 41
    assert "id00" in capsys.readouterr().out, "what goes on stays on the screen"


def test_ctrl_c_ends_the_watching_only(
    run: Run, start_worker: Start, start: Callable[..., Watching], app: Path
) -> None:
    id = sent(run, "count", "hold=true")
    start_worker("app")
    watching = start("watch", id)
    while watching.line()[4] != "2.0":
        pass
    watching.process.send_signal(signal.SIGINT)
    code, _, stderr = watching.end()
    assert code == 130
    assert f"the watching has ended, {id} goes on" in stderr
    (app / "go").touch()
    assert run("watch", id).exit_code == 0


def test_a_worker_that_is_killed_is_seen(run: Run, start_worker: Start, start: Callable[..., Watching]) -> None:
    id = sent(run, "slow")
    worker = start_worker("app")
    watching = start("watch", id)
    while watching.line()[1] != "running":
        pass
    worker.process.kill()
    while (line := watching.line())[1] == "running":
        pass
    assert line[1] == "retrying"
    assert run("rm", id, "--yes").exit_code == 0
    assert watching.end()[0] in (0, 1), "it is over"


def test_what_is_refused(run: Run) -> None:
    id = sent(run, "send_mail", "to=a")
    assert run("watch").exit_code == 2
    nothing = run("watch", id, "0660c72a3df83aa3680a9f")
    assert nothing.exit_code == 1
    assert "nothing is kept of it" in nothing.stderr
    assert run("watch", id, "-d", "nowhere").exit_code == 3


def test_all_spools_of_an_application(run: Run, start_worker: Start) -> None:
    first, second = sent(run, "count"), sent(run, "count", "--spool", "mail")
    assert run("watch", second, "--timeout", "0.1").exit_code == 1
    start_worker("app")
    assert run("watch", first, second, "--app", "app").exit_code == 0
    assert run("watch", first, "--app", "app", "-d", "mail").exit_code == 1


# --- send --wait ---------------------------------------------------------------------------------------------


def test_the_result_is_printed(run: Run, start_worker: Start) -> None:
    start_worker("app")
    result = run("send", "app", "count", "until=2", "--wait")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"counted": 2}
    assert "\tdone\tapp.count\t" in result.stderr
    nothing = run("send", "app", "send_mail", "to=a", "--wait")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    kept = run("send", "app", "send_mail", "to=a", "--wait", "--keep-result", "1m")
    assert (kept.exit_code, kept.stdout) == (0, "null\n")


@pytest.mark.parametrize("options", [(), ("--keep-result", "60")])
def test_a_failure_is_told_with_its_traceback(run: Run, start_worker: Start, options: tuple[str, ...]) -> None:
    start_worker("app")
    result = run("send", "app", "boom", "--wait", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "raise ValueError(text)" in result.stderr
    assert result.stderr.splitlines()[-1].endswith(r"is dead: ValueError: boo\x1b[31m")


def test_a_task_that_runs_inline_has_a_result_at_once(run: Run) -> None:
    result = run("send", "app", "add", "a=1", "b=2", "--wait")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "3\n", "")


def test_waiting_has_an_end(run: Run) -> None:
    result = run("send", "app", "count", "--id", "mine", "--wait", "--timeout", "0.1")
    assert result.exit_code == 1
    assert "it took more than 0.1 s; mine goes on" in result.stderr
    assert run("send", "app", "count", "--timeout", "1").exit_code == 2
    again = run("send", "app", "count", "--id", "mine", "--wait", "--timeout", "0.1")
    assert "no second one was written" in again.stderr


def test_the_bar_of_a_terminal_is_on_stderr(start_worker: Start, app: Path) -> None:
    start_worker("app")
    told = on_terminal("send", "app", "count", "until=2", "--wait")
    assert "done" in told
    assert '"counted": 2' in told
    command = f"{sys.executable} -m aspool.cli send app count --wait 2>/dev/null"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, cwd=app)
    assert json.loads(done.stdout) == {"counted": 3}


# --- what show tells -----------------------------------------------------------------------------------------


def test_show_has_the_last_lines_of_the_log(run: Run, start_worker: Start) -> None:
    id = sent(run, "logs")
    assert start_worker("app", "--burst").end()[0] == 0
    (line,) = [line for line in run("show", id).output.splitlines() if line.startswith("log\t")]
    assert line.endswith(r"WARNING line \x1b[31m of 1")
    assert len(json.loads(run("show", id, "--json").output)["history"]["log"]) == 1


def test_show_has_the_kept_result(run: Run, start_worker: Start) -> None:
    id = sent(run, "count")
    assert start_worker("app", "--burst").end()[0] == 0
    assert run("show", id).output.splitlines() == [f"id\t{id}", "state\tdone", 'result\t{"counted": 3}']
    told = json.loads(run("show", id, "--json").output)
    assert (told["state"], told["result"]) == ("done", {"value": {"counted": 3}})
    assert '"counted": 3' in on_terminal("show", id)
    assert run("show", id[14:]).exit_code == 1


def test_a_forged_record_harms_nobody(run: Run, start_worker: Start, app: Path) -> None:
    id = sent(run, "count")
    assert start_worker("app", "--burst").end()[0] == 0
    record = app / "spool/.aspool/results" / id
    for forged in (b'{"state":"done","value":', b'{"state":"done","value":"\xff\\u001b[2J"}', b"[]", os.urandom(200)):
        record.write_bytes(forged)
        os.utime(record, (2e9, 2e9))
        result = run("show", id)
        assert result.exit_code in (0, 1)
        assert "\x1b" not in result.output
