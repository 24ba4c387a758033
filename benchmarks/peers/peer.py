"""What a peer is: which program works for it, what it needs, and where its tasks are. And the peers themselves."""

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec

HERE = __package__
CONCURRENCY = 100  # as many as aspool's worker runs at a time, where a peer runs several at all
HUEY = ("huey_consumer", f"{HERE}.huey_tasks.huey", "-w", "1", "-k", "thread", "-n", "-q", "-d", "0.01", "-m", "0.01")
TASKIQ = (
    "taskiq", "worker", f"{HERE}.taskiq_tasks:broker", "--workers", "1", "--log-level", "WARNING",
    "--max-async-tasks", str(CONCURRENCY),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A queue in one setting. `appends`: whether its Redis writes to a file; None if it has no Redis."""

    module: str  # with its tasks, in this package
    command: tuple[str, ...]  # a program of the virtualenv and its arguments
    needs: tuple[str, ...] = ()  # modules
    variant: str = ""
    is_async: bool = False
    appends: bool | None = None
    tasks: int = 5_000  # that are drained

    @property
    def missing(self) -> str:
        """What it needs and is not there; empty if it can be measured."""
        modules = [module for module in self.needs if find_spec(module) is None]
        if self.appends is not None and shutil.which("redis-server") is None:
            modules.append("redis-server")
        return ", ".join(modules)


_ASPOOL = ("aspool", "worker", f"{HERE}.aspool_tasks", "--log-level", "warning")
_ARQ = ("arq", f"{HERE}.arq_tasks.WorkerSettings")
_PYTHON = (sys.executable, "-m")

PEERS = {
    "aspool": Peer(module="aspool_tasks", command=_ASPOOL, variant="process", tasks=20_000),
    'aspool, durability "disk"': Peer(module="aspool_tasks", command=_ASPOOL, variant="disk"),
    "aspool, await": Peer(module="aspool_coroutines", command=_ASPOOL, variant="process", is_async=True),
    'aspool, await, durability "disk"': Peer(
        module="aspool_coroutines", command=_ASPOOL, variant="disk", is_async=True
    ),
    "huey, files": Peer(module="huey_tasks", command=HUEY, needs=("huey",), variant="files", tasks=1_000),
    "huey, SQLite": Peer(module="huey_tasks", command=HUEY, needs=("huey",), variant="SQLite", tasks=2_000),
    "huey, SQLite, no fsync": Peer(module="huey_tasks", command=HUEY, needs=("huey",), variant="SQLite, no fsync"),
    "persist-queue, SQLite": Peer(
        module="persistqueue_tasks", command=(*_PYTHON, f"{HERE}.persistqueue_tasks"), needs=("persistqueue",),
        tasks=2_000,
    ),
    "huey, Redis": Peer(
        module="huey_tasks", command=HUEY, needs=("huey", "redis"), variant="Redis", appends=False
    ),
    "huey, Redis that appends": Peer(
        module="huey_tasks", command=HUEY, needs=("huey", "redis"), variant="Redis", appends=True
    ),
    "arq": Peer(module="arq_tasks", command=_ARQ, needs=("arq",), is_async=True, appends=False),
    "arq, Redis that appends": Peer(module="arq_tasks", command=_ARQ, needs=("arq",), is_async=True, appends=True),
    "taskiq, lists": Peer(
        module="taskiq_tasks", command=TASKIQ, needs=("taskiq", "taskiq_redis"), variant="lists", is_async=True,
        appends=False,
    ),
    "taskiq, streams": Peer(
        module="taskiq_tasks", command=TASKIQ, needs=("taskiq", "taskiq_redis"), variant="streams", is_async=True,
        appends=False,
    ),
    "repid": Peer(
        module="repid_tasks", command=(*_PYTHON, f"{HERE}.repid_tasks"), needs=("repid", "redis"), is_async=True,
        appends=False, tasks=1_000,
    ),
}  # fmt: skip
