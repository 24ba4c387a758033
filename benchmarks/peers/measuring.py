"""The scenarios of the peers: all of them, aspool among them, are measured in the same ways."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..jobs import NOTES
from ..latency import P50, P99
from ..places import settle
from ..processes import Running, program, running, wait_for_jobs, wait_until
from ..reports import ROOT, wait_for_report
from ..scale import scaled
from ..scenario import Contender, Figures, Scenario
from ..stopwatch import samples
from .peer import HERE, PEERS, Peer
from .redis_server import redis_server
from .surroundings import DATA, REDIS, VARIANT

PATIENCE = 300.0  # seconds
CALLS, PROBES = 2_000, 200
COROUTINES = 100
RATE = "tasks/s"

Environment = Mapping[str, object]
Measure = Callable[[Peer, Environment, Path], Figures]


def scenarios() -> Sequence[Scenario]:
    peers = {name: peer for name, peer in PEERS.items() if not peer.missing}
    for lacking in dict.fromkeys(peer.missing for peer in PEERS.values() if peer.missing):
        without = "; ".join(name for name, peer in PEERS.items() if peer.missing == lacking)
        print(f"peers: left out, as {lacking} cannot be found: {without}", file=sys.stderr)
    waiting = {name: peer for name, peer in peers.items() if peer.is_async}
    workers = {name: peer for name, peer in peers.items() if peer.module != "aspool_coroutines"}
    return [
        _scenario("spooling, one call after the other", peers, partial(spool, coroutines=1), _SPOOLED),
        _scenario(f"spooling, {COROUTINES} coroutines", waiting, partial(spool, coroutines=COROUTINES), _SPOOLED),
        _scenario("no-ops, one worker process", workers, drain, _DRAINED),
        _scenario("latency of an idle worker", workers, probe, _PROBED),
    ]


_SPOOLED = (
    f"{CALLS:,} tasks with one argument of 100 characters. What is safe when the call returns differs: aspool with "
    'durability "disk" and the SQLite queues have it on the disk, unless they are named "no fsync"; Redis has it in '
    "its memory, or in a file that it syncs once a second where it appends."
)
_DRAINED = (
    "From the start of the first job to the end of the last. Each peer runs in one process: huey in one thread, "
    "persist-queue in a loop that we wrote, as it has no worker, the others with up to 100 coroutines. Results are not "
    "kept. taskiq has uvloop, as aspool has; arq and repid run on the loop that they take by themselves."
)
_PROBED = (
    f"From the call in one process to the start of the job in another, {PROBES} times, 5 to 15 ms apart. Peers that "
    "poll do so every 10 ms here, which is far more often than they do by themselves (huey: 0.1 s rising to 10 s; arq: "
    "0.5 s), but repid, whose 0.1 s cannot be set."
)


def _scenario(name: str, peers: Mapping[str, Peer], measure: Measure, notes: str) -> Scenario:
    contenders = {each: _contender(peer, measure) for each, peer in peers.items()}
    return Scenario(group="peers", name=name, contenders=contenders, rounds=3, notes=notes)


def _contender(peer: Peer, measure: Measure) -> Contender:
    def run(directory: Path) -> Figures:
        with surroundings(peer, directory) as environment:
            return measure(peer, environment, directory)

    return run


@contextmanager
def surroundings(peer: Peer, directory: Path) -> Iterator[Environment]:
    """What the processes of a peer must know, and the Redis that it needs."""
    environment = {DATA: directory, ROOT: directory, NOTES: directory, VARIANT: peer.variant}
    if peer.appends is None:
        yield environment
    else:
        with redis_server(directory, appends=peer.appends) as socket:
            yield environment | {REDIS: socket}


# --- the measurements ------------------------------------------------------------------------------------


def spool(peer: Peer, environment: Environment, directory: Path, *, coroutines: int) -> Figures:
    """Tasks in a second, as the client saw it."""
    return {RATE: call(peer, environment, directory, "send", scaled(CALLS, 300), coroutines)}


def drain(peer: Peer, environment: Environment, directory: Path) -> Figures:
    """Tasks in a second, as the jobs noted."""
    tasks = scaled(peer.tasks, peer.tasks // 10)
    call(peer, environment, directory, "send", tasks, 1)
    settle()
    with worker(peer, environment, directory) as process:
        return {RATE: wait_for_jobs(directory, tasks + 1, PATIENCE, process).per_second}  # and the one that opened it


def probe(peer: Peer, environment: Environment, directory: Path) -> Figures:
    """How soon a job starts."""
    probes = scaled(PROBES, 30)
    with worker(peer, environment, directory) as process:
        call(peer, environment, directory, "probe", 1, 1)
        wait_until(lambda: len(samples(directory)) > 0, 60, "start of the worker", process)
        time.sleep(0.5)
        call(peer, environment, directory, "probe", probes, 1)
        wait_until(lambda: len(samples(directory)) > probes, 60, f"{probes} samples", process)
    hundredths = statistics.quantiles(samples(directory)[1:], n=100, method="inclusive")
    return {P50: 1000 * hundredths[49], P99: 1000 * hundredths[98]}


def call(peer: Peer, environment: Environment, directory: Path, what: str, count: int, coroutines: int) -> float:
    """Let a client process spool so many; calls in a second."""
    arguments = [peer.module, what, str(count), str(coroutines)]
    with running([sys.executable, "-m", f"{HERE}.client", *arguments], directory, environment=environment) as client:
        figures = wait_for_report(directory, what, PATIENCE, client)
        client.wait(PATIENCE)
    return figures["tasks/s"]


@contextmanager
def worker(peer: Peer, environment: Environment, directory: Path) -> Iterator[Running]:
    """The worker process of a peer."""
    name, *arguments = peer.command
    command = [name if Path(name).is_absolute() else program(name), *arguments]
    with running(command, directory, environment=environment) as process:
        yield process
