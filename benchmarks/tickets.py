"""How soon a web process hears what a job in a worker process says, and what it costs that it listens."""

import http.client
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .kernel import cpu_seconds
from .places import settle
from .probing import pause
from .processes import Running, running, wait_for_jobs, wait_until
from .reports import ROOT, script, worker
from .scale import scaled
from .scenario import Figures, Goal, Scenario

PROBES, TASKS = 200, 10_000
PATIENCE = 120.0  # seconds
AT_MOST = 5.0  # ms
AT_REST = 3  # seconds in which followers are watched that hear nothing
KINDS = ("progress", "result", "failure", "cancellation")
FOLLOWERS = (0, 1, 100, 500)
NEEDS = ("fastapi", "uvicorn")
P50, P99, RATE = "p50 ms", "p99 ms", "tasks/s"


def scenarios() -> Sequence[Scenario]:
    return (_hearing(), _beside_followers(), _drains())


def _hearing() -> Scenario:
    return Scenario(
        group="tickets",
        name="from what a job says to its ticket in another process",
        contenders={kind: partial(hear, kind, 0) for kind in KINDS},
        goals=tuple(Goal(figure=P50, of=kind, at_most=AT_MOST) for kind in KINDS),
        rounds=3,
        notes="A FastAPI application under uvicorn spools a task for each request and waits for what its job says, by "
        "watch() or result(); a worker process runs it. The job stamps what it says, by the clock that all processes "
        "share: progress(), the return, the exception, the end of a coroutine that was cancelled. It says so 5 to "
        "15 ms after it began, when the ticket waits already. One request at a time, 5 to 15 ms apart.",
        needs=NEEDS,
    )


def _beside_followers() -> Scenario:
    return Scenario(
        group="tickets",
        name="a result beside others that are followed",
        contenders={_named(count): partial(hear, "result", count) for count in FOLLOWERS},
        goals=tuple(Goal(figure=P50, of=_named(count), at_most=AT_MOST) for count in FOLLOWERS),
        rounds=3,
        notes="The same for results, while the web process follows so many more tickets, of tasks that wait until "
        f"tomorrow. % CPU: what that process takes in {AT_REST} s in which nothing happens, as each follower looks "
        "once a second, in case an event was lost.",
        needs=NEEDS,
    )


def _drains() -> Scenario:
    names = [_named(count) for count in FOLLOWERS]
    return Scenario(
        group="tickets",
        name="no-ops while other tasks are followed",
        contenders={_named(count): partial(drain, count) for count in FOLLOWERS},
        goals=(Goal(figure=RATE, of=names[2], to=names[0], at_least=0.9),),
        notes="A worker process drains no-ops; a web process follows so many tickets of tasks in the same directory "
        "that wait until tomorrow. The worker does not know of them.",
        needs=NEEDS,
    )


def _named(followers: int) -> str:
    return f"{followers} followers" if followers != 1 else "1 follower"


# --- measuring -------------------------------------------------------------------------------------------


def hear(kind: str, followers: int, directory: Path) -> Figures:
    """Percentiles of how late the web process heard it."""
    with _web(directory) as web, worker(directory, "telling") as process:
        for _ in range(3):  # imports, threads and watches
            web.post(f"/{kind}")
        figures = _followed(web, followers) if followers else {}
        heard = []
        for _ in range(scaled(PROBES, 20)):
            pause()
            heard.append(web.post(f"/{kind}"))
        assert not process.has_ended
    percentiles = statistics.quantiles([each.pop("ms") for each in heard], n=100, method="inclusive")
    others = {figure: statistics.median(each[figure] for each in heard) for figure in heard[0]}
    return {P50: percentiles[49], P99: percentiles[98]} | others | figures


def _followed(web: "_Web", followers: int) -> dict[str, float]:
    """Let it follow so many; what that takes while nothing happens."""
    web.post(f"/follow/{followers}")
    seconds = scaled(AT_REST, 1)
    worked, begun = cpu_seconds(web.pid), time.monotonic()
    time.sleep(seconds)
    return {"% CPU": 100 * (cpu_seconds(web.pid) - worked) / (time.monotonic() - begun)}


def drain(followers: int, directory: Path) -> Figures:
    """How many no-ops a worker runs in a second."""
    count = scaled(TASKS, TASKS // 10)
    with _web(directory) as web:
        web.post(f"/follow/{followers}")
        with script(directory, "waiting", "telling", count) as client:
            client.wait(PATIENCE)
        settle()
        with worker(directory, "telling", "--burst") as process:
            return {RATE: wait_for_jobs(directory, count, PATIENCE, process).per_second}


# --- the web process -------------------------------------------------------------------------------------


class _Connection(http.client.HTTPConnection):
    """To a unix socket, whose name no other benchmark can have."""

    def __init__(self, path: Path) -> None:
        super().__init__("web", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Web:
    """A uvicorn that runs."""

    def __init__(self, process: Running, connection: _Connection) -> None:
        self.pid = process.process.pid
        self._connection = connection

    def post(self, path: str) -> Any:
        """What it answers. Raises RuntimeError for an error."""
        self._connection.request("POST", path)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status} {text}")
        return json.loads(text)


@contextmanager
def _web(directory: Path) -> Iterator[_Web]:
    """The application `web`, until the block ends."""
    options = ("--log-level", "warning", "--timeout-keep-alive", str(round(PATIENCE)))
    server = (sys.executable, "-m", "uvicorn", "benchmarks.programs.web:app")
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 bytes at most
        path = Path(short, "web")
        command: list[str | Path] = [*server, "--uds", path, *options]
        with running(command, directory, environment={ROOT: directory}) as process:
            wait_until(lambda: _answers(path), PATIENCE, "web server", process)
            connection = _Connection(path)
            yield _Web(process, connection)
            connection.close()


def _answers(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as caller:
        return path.exists() and not caller.connect_ex(str(path))
