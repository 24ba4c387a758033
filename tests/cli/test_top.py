"""`aspool top`: what is counted and how, how a picture fits, and the screen of a real terminal."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from rich.console import Console

from aspool import Spooler
from aspool.cli import gauge
from aspool.cli.flow import Flow
from aspool.cli.gathering import View
from aspool.cli.screen import picture
from aspool.protocol import Board, Entry, Progress
from aspool.spools.directory import DirectorySpool, names
from aspool.spools.tally import Tally, tally

from .conftest import Worker, plain_environment, wait_for

Run = Callable[..., Result]
ALWAYS = lambda: True  # noqa: E731 - as a parameter


def put(directory: Path, due: float, id: str, attempt: int = 0) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / names.written(names.microseconds(due), id, attempt, 0)
    path.touch()
    return path


# --- counting ------------------------------------------------------------------------------------------------


def test_messages_are_counted_by_their_names(app: Path) -> None:
    now, spool = time.time(), app / "spool"
    put(spool, now - 100, "a")
    put(spool, now - 50, "b")
    put(spool, now - 500, "runs")
    put(spool, now + 100, "later")
    put(spool, now + 100, "again", attempt=1)
    put(spool / "5", now - 300, "urgent")
    put(spool / "5x", now - 900, "no-priority")
    foreign = spool / "uwsgi_spoolfile_on_host_1_2_3_1500000000_5"
    foreign.touch()
    (spool / "other").touch()
    for area, suffixes in (("dead", ("x", "x.json")), ("corrupt", ("y",))):
        (spool / ".aspool" / area).mkdir(parents=True)
        for suffix in suffixes:
            (spool / ".aspool" / area / f"uwsgi_spoolfile_on_{suffix}").touch()
    found = tally(DirectorySpool(spool), frozenset({"runs", "of-another-spool"}), ALWAYS)
    assert found.counts == {
        "waiting": 4, "scheduled": 1, "running": 2, "retrying": 1, "unknown": 0, "dead": 1, "corrupt": 1,
    }  # fmt: skip
    assert found.oldest == pytest.approx(now - 300, abs=0.001)
    assert set(found.places) == {str(spool), str(spool / "5")}


def test_messages_that_no_worker_knows_are_counted(
    run: Run, start_worker: Callable[..., Worker], app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spooler(app / "spool").task_named("app.sned").spool_sync()
    assert start_worker("app", "--burst").end()[0] == 0
    put(app / "spool", 1.0, "a")
    found = tally(DirectorySpool(app / "spool"), frozenset(), ALWAYS).counts
    assert (found["unknown"], found["waiting"], run("ls").output.count("unknown")) == (1, 1, 1)
    assert "count\tunknown\t1\n" in run("top", "--interval", "0.1").output
    assert "unknown 1" in "\n".join(lines_of([View("/srv/spool", tally=Tally(found))], 120, 24))
    monkeypatch.setattr("aspool.spools.tally.LOOKED_INTO", 0)
    found = tally(DirectorySpool(app / "spool"), frozenset(), ALWAYS).counts
    assert (found["unknown"], found["waiting"]) == (0, 2)


def test_a_count_that_nobody_wants_ends(app: Path) -> None:
    put(app / "spool", 1.0, "a")
    assert tally(DirectorySpool(app / "spool"), frozenset(), lambda: False).counts["waiting"] == 0


def test_an_empty_or_missing_spool(app: Path) -> None:
    found = tally(DirectorySpool(app / "nowhere"), frozenset(), ALWAYS)
    assert (sum(found.counts.values()), found.oldest) == (0, None)


# --- rates ---------------------------------------------------------------------------------------------------


@pytest.fixture
def flow(app: Path) -> Iterator[Flow]:
    (app / "spool" / ".aspool").mkdir(parents=True)
    flow = Flow()
    flow.watch([str(app / "spool")])
    yield flow
    flow.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no inotify")
def test_what_comes_and_goes(app: Path, flow: Flow) -> None:
    spool = app / "spool"
    paths = [put(spool, 1.0, f"id{number}") for number in range(10)]
    (spool / "no-message").touch()
    for path in paths[:5]:
        path.unlink()
    paths[5].rename(spool / names.written(2_000_000, "id5", 1, 0))  # put off
    paths[6].rename(spool / ".aspool" / "buried")
    flow.read()
    assert (flow._put, flow._ended) == (10, 5)

    def buried() -> bool:
        flow.read()
        return flow._ended == 6

    wait_for(buried)
    assert flow._put == 10
    rates = flow.rates()
    assert rates is not None
    assert rates.put > 0
    assert not rates.lost


def test_rates_where_the_kernel_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspool.cli.flow._started", lambda: (None, None))
    flow = Flow()
    flow.watch(["/"])
    flow.read()
    assert flow.rates() is None
    flow.close()


# --- words and bars ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(9, 20, "decoding"), "9 of 20 (45 %) decoding"),
        (Progress(9, None, "decoding"), "decoding"),
        (Progress(2500, 1e6), "2,500 of 1,000,000 (0 %)"),
        (Progress(float("nan"), float("inf")), "nan of inf (0 %)"),
        (Progress(30, 20), "30 of 20 (100 %)"),
        (Progress(), ""),
    ],
)
def test_progress_in_words(progress: Progress, words: str) -> None:
    assert gauge.words(progress) == words


@pytest.mark.parametrize(
    ("progress", "elapsed", "left"),
    [
        (Progress(1, 4), 10.0, 30.0),
        (Progress(4, 4), 10.0, 0.0),
        (Progress(0, 4), 10.0, None),
        (Progress(1, None), 10.0, None),
        (Progress(float("nan"), 4), 10.0, None),
        (None, 10.0, None),
        (Progress(1, 4), None, None),
    ],
)
def test_how_long_it_may_take(progress: Progress | None, elapsed: float | None, left: float | None) -> None:
    assert gauge.remaining(progress, elapsed) == left


# --- a picture -----------------------------------------------------------------------------------------------


def view(jobs: int, workers: int = 1) -> View:
    entry = Entry("0000000000000046052a84", "app.resize", 2, time.time() - 10, 1, 4, "evil \x1b[2J\n\x9b31m 漢字")
    boards = [Board(100 + number, "host", time.time(), 100, (entry,) * jobs) for number in range(workers)]
    return View("/srv/spool", tuple(boards), Tally({"waiting": 1_234_567, "dead": 1}, time.time() - 60))


def lines_of(views: list[View], width: int, height: int) -> list[str]:
    with open(os.devnull, "w") as nowhere:
        console = Console(width=width, height=height, record=True, force_terminal=True, file=nowhere)
        console.print(picture(views, (width, height), "q quits"))
    return console.export_text().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 10), (20, 3), (200, 60)])
@pytest.mark.parametrize("jobs", [0, 1, 5, 100])
@pytest.mark.parametrize("spools", [1, 3])
def test_a_picture_fits(size: tuple[int, int], jobs: int, spools: int) -> None:
    lines = lines_of([view(jobs, 6)] * spools, *size)
    assert len(lines) <= size[1]
    assert all(len(line) <= size[0] for line in lines)


def test_a_picture_shows_all() -> None:
    text = "\n".join(lines_of([view(2, 1)], 120, 24))
    assert "waiting 1,234,567" in text
    assert "the oldest waits for 60 s" in text
    assert "1 of 4" in text
    assert "10 s, 30 s left" in text
    assert "app.resize #2" in text
    assert "\x1b" not in text
    assert "evil \\x1b[2J" in text


def test_what_does_not_fit_is_counted() -> None:
    lines = lines_of([view(100, 1)], 80, 22)
    assert lines[-1].strip() == f"and {100 - sum('1 of 4' in line for line in lines)} more"
    assert "no worker lives here" in "\n".join(lines_of([view(0, 0)], 80, 24))
    assert "app.resize" not in "\n".join(lines_of([view(3, 1)], 80, 24)), "the last part must do"


# --- the verb ------------------------------------------------------------------------------------------------


def test_once_and_in_a_pipe(run: Run, start_worker: Callable[..., Worker], app: Path) -> None:
    run("send", "app", "slow", "--id", "long")
    run("send", "app", "send_mail", "to=a", "--id", "later", "--in", "1h")
    start_worker("app")
    wait_for(lambda: "sleeping" in run("stats").output)
    lines = [line.split("\t") for line in run("top", "--interval", "0.3").output.splitlines()]
    assert ["count", "running", "1"] in lines
    assert ["count", "scheduled", "1"] in lines
    assert [line[1:4] for line in lines if line[0] == "job"] == [["long", "app.slow", "1"]]
    assert {line[0] for line in lines} == {"count", "put", "ended", "worker", "job"}
    (told, mail) = json.loads(run("top", "app", "--json", "--interval", "0.1").output)
    assert told["workers"][0]["running"][0]["total"] == 4
    assert told["rates"]["put"] == 0
    assert told["paused"] == {"spool": False, "tasks": []}
    assert mail["spool"] == str(app / "mail")


class Screen:
    """`aspool top` on a terminal of its own."""

    def __init__(self, columns: int, lines: int, *arguments: str) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.theirs)
        self.shown = b""
        environment = {key: value for key, value in plain_environment().items() if key not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aspool.cli", "top", *arguments],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env={**environment, "TERM": "xterm-256color"},
            start_new_session=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self.ours, 65536):
                self.shown += data
        except OSError:
            return

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def text(self) -> str:
        return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", self.shown).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.theirs)
        os.close(self.ours)


@pytest.fixture
def screen(run: Run) -> Iterator[Screen]:
    run("send", "app", "send_mail", "to=a")
    screen = Screen(80, 24, "--interval", "0.2")
    wait_for(lambda: "waiting 1" in screen.text())
    yield screen
    screen.close()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda screen: screen.press(b"q"), 0),
        (lambda screen: screen.process.send_signal(signal.SIGINT), 0),
        (lambda screen: screen.process.send_signal(signal.SIGTERM), 143),
    ],
    ids=["q", "Ctrl-C", "SIGTERM"],
)
def test_the_terminal_is_given_back(screen: Screen, end: Callable[[Screen], None], code: int) -> None:
    assert b"\x1b[?1049h" in screen.shown, "the other screen"
    end(screen)
    assert screen.process.wait(10) == code
    wait_for(lambda: b"\x1b[?1049l" in screen.shown)
    assert b"\x1b[?25h" in screen.shown, "the cursor"
    assert termios.tcgetattr(screen.theirs) == screen.before


def test_it_goes_on_and_follows_the_size(screen: Screen, run: Run) -> None:
    run("send", "app", "send_mail", "to=b")
    wait_for(lambda: "waiting 2" in screen.text())
    screen.resize(30, 5)
    screen.process.send_signal(signal.SIGWINCH)
    screen.shown = b""
    wait_for(lambda: screen.text().count("aspool top") >= 3)
    last = screen.text().split("aspool top")[-2]
    assert len(last.splitlines()) <= 6
    screen.press(b"x")
    assert screen.process.poll() is None


def test_no_spool_is_said_before_the_screen_is_taken(run: Run) -> None:
    assert run("top", "-d", "nowhere").exit_code == 3
