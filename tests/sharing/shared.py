"""A directory that a real uWSGI and aspool share: programs for both, what each of them writes, and who ran what."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aspool import DirectorySpool, Spooler

from ..real_uwsgi import RealUwsgi, real_uwsgi

# A run is one line of the log: which task, who ran it, when, and whether its body was all there.
# A task whose id ends with "again" is to be run again by whoever has it first.
NOTING = """
import os, time

def is_to_fail(id):
    if not id.endswith("again"):
        return False
    try:
        os.close(os.open("ROOT/tried/" + id, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True

def note(id, body, size, runner):
    line = f"{id} {runner} {os.getpid()} {time.time()!r} {body == id.encode() * int(size)}"
    time.sleep(0.002)
    descriptor = os.open("ROOT/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line.encode() + b"\\n")
    os.close(descriptor)
"""

# What is to come is in `later.txt`, one task a line: id, at, priority, size. It is spooled before any spooler of uWSGI
# runs: they lstat a file, wait for its lock and do not look again when it is due (`spooler_manage_task`, W7).
UWSGI = """
import uwsgi
from noting import is_to_fail, note

def run(variables):
    if is_to_fail(variables[b"id"].decode()):
        return uwsgi.SPOOL_RETRY
    note(variables[b"id"].decode(), variables.get("body", b""), variables[b"size"], "uwsgi")
    return uwsgi.SPOOL_OK

def spool_all(name):
    for line in open(name):
        id, at, priority, size = line.strip("\\n").split(" ")
        task = {b"id": id.encode(), b"size": size.encode()}
        task |= {b"at": at.encode()} if at else {}
        task |= {b"priority": priority.encode()} if priority else {}
        task |= {b"body": id.encode() * int(size)} if int(size) else {}
        uwsgi.spool(task)

uwsgi.spooler = run
spool_all("later.txt")
"""

WRITER = """
from program import spool_all

spool_all("now.txt")
print("all is spooled")
while True:
    import time
    time.sleep(60)
"""

APP = """
from aspool import Body, Retry, Spooler
from noting import is_to_fail, note

spooler = Spooler("spool")

@spooler.handler
def run(variables: dict[str, str], body: Body) -> None:
    if is_to_fail(variables["id"]):
        raise Retry(delay=0.2)
    note(variables["id"], body.file.read(), variables["size"], "aspool")
"""


# What uWSGI says when somebody took a file away that it held, and when one of its spoolers has died.
TROUBLES = ("something horrible", "unlink()", "unable to", "Traceback", "DAMN", "respawned")


@dataclass(frozen=True)
class Task:
    """What is to be run: with a body of `size` times its id."""

    id: str
    at: float | None = None
    priority: int | None = None
    size: int = 0
    has_chosen_id: bool = False  # if aspool spools it: then its file has two links

    def line(self) -> str:
        """For the writer in uWSGI, which takes whole seconds."""
        at, priority = ("" if value is None else str(math.ceil(value)) for value in (self.at, self.priority))
        return f"{self.id} {at} {priority} {self.size}\n"


@dataclass(frozen=True)
class Ran:
    """One line of the log."""

    id: str
    runner: str
    pid: int
    at: float
    whole: bool


@dataclass
class Shared:
    """The directory, and the programs that work on it."""

    root: Path
    tasks: dict[str, Task] = field(default_factory=dict)
    troubles: tuple[str, ...] = TROUBLES

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    def prepare(self, by_uwsgi: Sequence[Task]) -> None:
        """Write the programs, and what uWSGI shall spool."""
        (self.root / "tried").mkdir()
        (self.root / "noting.py").write_text(NOTING.replace("ROOT", str(self.root)))
        (self.root / "app.py").write_text(APP)
        (self.root / "writer.py").write_text(WRITER)
        (self.root / "later.txt").write_text("".join(task.line() for task in by_uwsgi if task.at is not None))
        (self.root / "now.txt").write_text("".join(task.line() for task in by_uwsgi if task.at is None))
        self.tasks |= {task.id: task for task in by_uwsgi}

    def put(self, tasks: Sequence[Task]) -> None:
        """Spool them as aspool does, one after another."""
        self.tasks |= {task.id: task for task in tasks}
        spooler = Spooler(DirectorySpool(self.spool, durability="process"))
        for task in tasks:
            spooler.spool_sync(
                {"id": task.id, "size": task.size}, at=task.at, priority=task.priority,
                body=task.id.encode() * task.size or None, id=task.id if task.has_chosen_id else None,
            )  # fmt: skip

    def ran(self) -> list[Ran]:
        """All runs so far."""
        log = self.root / "log"
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [Ran(id, runner, int(pid), float(at), whole == "True") for id, runner, pid, at, whole in lines]

    def waiting(self) -> list[Path]:
        """Task files, at the top and in the directories of priorities."""
        return [*self.spool.glob("uwsgi_spoolfile_on_*"), *self.spool.glob("[0-9]*/uwsgi_spoolfile_on_*")]

    def check(self) -> Counter[str]:
        """Each task has run once, none early, nothing is left; how many each program has run."""
        ran = self.ran()
        assert Counter(run.id for run in ran) == Counter(self.tasks.keys())
        self._check_all(ran)
        return Counter(run.runner for run in ran)

    def _check_all(self, ran: Sequence[Ran]) -> None:
        assert [run for run in ran if not run.whole] == []
        assert [(run, task) for run in ran if (task := self.tasks[run.id]).at is not None and run.at < task.at] == []
        assert self.waiting() == []
        assert [path for area in ("dead", "corrupt") for path in (self.spool / ".aspool" / area).iterdir()] == []

    def check_after_kills(self, killed: set[int]) -> None:
        """As `check`, but what a killed process ran may have run once more."""
        ran = self.ran()
        assert {run.id for run in ran} == set(self.tasks)
        counts = Counter(run.id for run in ran if run.pid not in killed)
        assert [id for id, count in counts.items() if count > 1] == []
        self._check_all(ran)

    @contextmanager
    def uwsgi(self, *options: str) -> Iterator[RealUwsgi]:
        """A uWSGI whose spooler works here, and whose mule spools meanwhile."""
        arguments = ("--spooler", str(self.spool), "--spooler-frequency", "0", "--mule=writer.py", "--spooler-quiet")
        with real_uwsgi(self.root, UWSGI, *options, *arguments) as uwsgi:
            yield uwsgi
            log = uwsgi.log()
            for trouble in self.troubles:
                assert trouble not in log, log

    @contextmanager
    def killed_in_turn(self, uwsgi: RealUwsgi, killed: set[int]) -> Iterator[None]:
        """One `aspool worker` more is killed, another one stopped in order, a spooler of uWSGI killed; and again."""
        is_over = threading.Event()

        def kill() -> None:
            while not is_over.is_set():
                with _started(self.root, self.root / "victim.log", ("--concurrency", "4")) as victim:
                    _wait_for_workers([self.root / "victim.log"])
                    is_over.wait(0.2)
                    killed.add(victim.pid)
                    victim.kill()
                with _worker(self.root, self.root / "leaver.log", ("--concurrency", "4")):
                    _wait_for_workers([self.root / "leaver.log"])
                    is_over.wait(0.2)
                found = [int(pid) for pid in re.findall(r"spooler on dir .* with pid (\d+)", uwsgi.log())]
                with contextlib.suppress(ProcessLookupError):
                    killed.add(found[-1])
                    os.kill(found[-1], signal.SIGKILL)

        killing = threading.Thread(target=kill)
        killing.start()
        try:
            yield
        finally:
            is_over.set()
            killing.join(60)

    @contextmanager
    def workers(self, count: int, *options: str) -> Iterator[None]:
        """So many `aspool worker`s."""
        with ExitStack() as running:
            for number in range(count):
                running.enter_context(_worker(self.root, self.root / f"worker-{number}.log", options))
            _wait_for_workers([self.root / f"worker-{number}.log" for number in range(count)])
            yield

    def wait_for_all(self, uwsgi: RealUwsgi, patience: float = 60.0) -> None:
        """Return when nothing waits and all have run, or when that does not happen."""
        deadline = time.monotonic() + patience
        dead = self.spool / ".aspool" / "dead"
        while (len(self.ran()) < len(self.tasks) or self.waiting()) and time.monotonic() < deadline:
            if dead.exists() and os.listdir(dead):
                return
            uwsgi.be_fair()
            time.sleep(0.05)


def _wait_for_workers(logs: Sequence[Path]) -> None:
    deadline = time.monotonic() + 60
    while not all("ready" in log.read_text() for log in logs):
        assert time.monotonic() < deadline, logs[-1].read_text()
        time.sleep(0.01)


@contextmanager
def _started(root: Path, log: Path, options: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "aspool.cli", "worker", "app", *options]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=root, env=dict(os.environ), stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _worker(root: Path, log: Path, options: Sequence[str]) -> Iterator[None]:
    with _started(root, log, options) as process:
        yield
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    told = [line for line in log.read_text().splitlines() if " INFO " not in line]
    assert [line for line in told[1:] if "the task asked for a retry" not in line] == []
