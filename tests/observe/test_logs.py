"""Logging, set up as the settings say: in this process, in child processes, and from files."""

import errno
import fcntl
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aspool.errors import CallError
from aspool.job import Job
from aspool.observe import logs
from aspool.observe.forms import TextFormatter
from aspool.observe.logs import LogsOfChildren, set_up_logs
from aspool.settings import Settings

from .conftest import within

pytestmark = pytest.mark.usefixtures("logging_untouched")


def test_text_goes_to_stderr(job: Job[Any], capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_level="warning"))
    within(job, logging.getLogger("library").warning, "careful")
    logging.getLogger("library").info("quiet")
    logging.getLogger("aspool.worker").info("quiet")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0].endswith(f" WARNING library: [app.send {job.id} #2] careful")
    assert len(told.err.splitlines()) == 1


def test_json_goes_to_stderr(job: Job[Any], capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_format="json", log_level="debug"))
    within(job, logging.getLogger("library").debug, "two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "two\nlines"
    assert json.loads(line)["task_id"] == job.id


def test_an_application_keeps_what_it_set_up(job: Job[Any], capsys: pytest.CaptureFixture[str]) -> None:
    logging.basicConfig(stream=sys.stderr, format="own %(task_id)s %(message)s", level="ERROR")
    set_up_logs(Settings(log_format="json", log_level="info"))
    within(job, logging.getLogger("library").error, "x")
    logging.getLogger("library").info("quiet")
    logging.getLogger("aspool.worker").info("ours")
    assert capsys.readouterr().err.splitlines() == [f"own {job.id} x", "own  ours"]


class Terminal:
    """A stderr that is a terminal."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.openpty()
        self.file = open(self.theirs, "w", buffering=1)  # noqa: SIM115 - closed below

    def read(self) -> str:
        self.file.close()
        told = os.read(self.ours, 65536).decode()
        os.close(self.ours)
        return told


def test_rich_on_a_terminal(job: Job[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal.file)
    made = set_up_logs(Settings(log_format="rich"))
    within(job, logging.getLogger("library").info, "[red]not red[/red] \x1b[2J")
    told = terminal.read()
    assert "INFO" in told
    assert "[red]not red[/red]" in re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert "\x1b[2J" not in told
    assert made.form == "rich"


def test_rich_is_text_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up_logs(Settings(log_format="rich")).form == "text"
    assert isinstance(logging.root.handlers[0].formatter, TextFormatter)


# --- child processes -------------------------------------------------------------------------------------------


def test_a_child_logs_as_its_worker(job: Job[Any], capfd: pytest.CaptureFixture[str]) -> None:
    made = set_up_logs(Settings(log_format="json", log_level="info"))
    logging.root.handlers[:] = []
    travelled: LogsOfChildren = pickle.loads(pickle.dumps(made))
    travelled(job)
    travelled(Job("second", "app.other"))
    logging.getLogger("library").info("x" * 100_000)
    (line,) = capfd.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["task_id"], found["task"], len(found["message"])) == ("second", "app.other", 100_000)


def test_a_child_whose_worker_is_gone_goes_on(job: Job[Any]) -> None:
    program = """
import logging, os
from aspool.job import Job
from aspool.observe.logs import LogsOfChildren
read, write = os.pipe()
os.close(read)
os.dup2(write, 2)
LogsOfChildren("info", "json")(Job("id", "task"))
logging.info("nobody hears it")
logging.info("%d", "x")
print("still here")
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "still here\n"


LONG_LINES = """
import logging, os, sys
from aspool.job import Job
from aspool.observe.logs import LogsOfChildren
os.dup2(os.open(sys.argv[1], os.O_WRONLY), 2)
LogsOfChildren("info", "json")(Job(sys.argv[2], "task"))
for _ in range(100):
    logging.info("x" * 40_000)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="a child opens the pipe below /proc")
def test_lines_of_many_children_stay_whole() -> None:
    """Longer than what a pipe takes at once."""
    read, write = os.pipe()
    path = f"/proc/{os.getpid()}/fd/{write}"
    children = [subprocess.Popen([sys.executable, "-c", LONG_LINES, path, name]) for name in ("a", "b")]

    def close_at_the_end() -> None:
        for child in children:
            child.wait()
        os.close(write)

    ended = threading.Thread(target=close_at_the_end)
    ended.start()
    with open(read) as lines:
        found = [json.loads(line) for line in lines]
    ended.join()
    assert Counter(one["task_id"] for one in found) == {"a": 100, "b": 100}
    assert {len(one["message"]) for one in found} == {40_000}


def test_a_writer_that_is_stopped_holds_up_nobody_for_long(
    job: Job[Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(logs, "LOCK_WAIT", 0.01)
    LogsOfChildren("info", "json")(job)
    logging.getLogger("library").info("x" * 40_000)
    assert len(capfd.readouterr().err) > 40_000


def test_a_child_keeps_what_its_application_set_up(job: Job[Any], capfd: pytest.CaptureFixture[str]) -> None:
    logging.basicConfig(stream=sys.stderr, format="own %(task_id)s %(message)s")
    LogsOfChildren("info", "json")(job)
    logging.getLogger("library").error("x")
    assert capfd.readouterr().err.splitlines() == [f"own {job.id} x"]


def test_a_child_without_its_file_goes_on(job: Job[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LogsOfChildren("info", "json", str(tmp_path / "gone.toml"))(job)
    assert "gone.toml cannot be used: No such file" in capsys.readouterr().err


# --- files -----------------------------------------------------------------------------------------------------

TOML = """
[formatters.own]
format = "%(levelname)s %(task_id)s %(message)s"
[handlers.own]
class = "logging.FileHandler"
formatter = "own"
filename = "FILE"
[root]
handlers = ["own"]
level = "INFO"
"""
JSON = json.dumps(
    {
        "formatters": {"own": {"format": "%(levelname)s %(task_id)s %(message)s"}},
        "handlers": {"own": {"class": "logging.FileHandler", "formatter": "own", "filename": "FILE"}},
        "root": {"handlers": ["own"], "level": "INFO"},
    }
)
INI = """
[loggers]
keys = root
[handlers]
keys = own
[formatters]
keys = own
[logger_root]
handlers = own
level = INFO
[handler_own]
class = FileHandler
args = ("FILE",)
formatter = own
[formatter_own]
format = %(levelname)s %(task_id)s %(message)s
"""


@pytest.mark.parametrize(("name", "text"), [("logs.toml", TOML), ("logs.json", JSON), ("logs.INI", INI)])
def test_a_file_says_all(name: str, text: str, tmp_path: Path, job: Job[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_text(text.replace("FILE", str(tmp_path / "log")))
    monkeypatch.chdir(tmp_path)
    before = logging.getLogger("made.before")
    made = set_up_logs(Settings(log_config=name))
    within(job, before.info, "x")
    assert (tmp_path / "log").read_text() == f"INFO {job.id} x\n"
    assert made.config == str(tmp_path / name)


def test_our_forms_in_a_file(tmp_path: Path, job: Job[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs.toml").write_text("""
[formatters.json]
"()" = "aspool.observe.forms.JsonFormatter"
[handlers.stderr]
class = "logging.StreamHandler"
formatter = "json"
[root]
handlers = ["stderr"]
""")
    set_up_logs(Settings(log_config=str(tmp_path / "logs.toml")))
    within(job, logging.getLogger("library").warning, "x")
    assert json.loads(capsys.readouterr().err)["task_id"] == job.id


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("logs.yaml", "", "its name must end with .toml, .json, .ini"),
        ("logs.toml", None, "No such file or directory"),
        ("logs.toml", "a =", "Invalid value"),
        ("logs.toml", "[handlers.own]\nclass = 'nowhere.Handler'", "Unable to configure handler 'own'"),
        ("logs.toml", "[root]\nhandlers = ['own']", "Unable to configure root logger"),
        ("logs.json", "[]", "it must be a table"),
        ("logs.json", "{", "Expecting property name"),
        ("logs.json", '{"version": 2}', "Unsupported version: 2"),
        ("logs.ini", "nothing", "no section headers"),
        ("logs.ini", "[loggers]\nkeys=root", "it has no section [handlers]"),
        ("logs.ini", "[loggers]\n[handlers]\n[formatters]", "KeyError"),
        ("logs.ini", b"\xff", "can't decode byte 0xff"),
    ],
)
def test_a_file_that_cannot_be_used(name: str, text: str | bytes | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CallError) as caught:
        set_up_logs(Settings(log_config=str(tmp_path / name)))
    assert str(caught.value).startswith(f"the log configuration {tmp_path / name} cannot be used: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
