"""Program: what the functions of the module `uwsgi` work with in one process. It is made by `install`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from ..addresses import is_path
from ..spooler import DEFAULT, Spooler

HOOKS = frozenset({"spooler", "mule_msg_hook", "post_fork_hook"})  # what programs set as attributes of the module
Kind = Literal["spooler", "worker", "mule"]


@dataclass(frozen=True, slots=True)
class Role:
    """What a process is in words of uWSGI: a worker of aspool is a spooler, a web process a worker.

    `number` counts from 1 among those of its kind; 0 is the lowest that no other process has, which it takes when it is
    asked for. `master` is the pid of its parent (uwsgi.masterpid()), never 0, as many programs take that for "not under
    uWSGI".
    """

    kind: Kind = "worker"
    number: int = 1
    master: int = field(default_factory=lambda: os.getppid() or os.getpid())  # a container's first has no parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program under the shims, in one process.

    `strict`: as the real uWSGI, with its errors, also where its manual promises more. `network`: `uwsgi.spooler` gets
    messages that came over a network too, as it unpickles nothing of them. `in_main_thread`: tasks run one at a time in
    the main thread, and so block the event loop there; nothing cancels them, so let `harakiri_grace` be short, 0.5 s.
    `workers` and `mules` are how many there are, 0 workers an unknown number. `options` become `uwsgi.opt`. `modules`
    are those that a process of a mule, or of a suspect, imports first.
    """

    spooler: Spooler[Any]
    role: Role = field(default_factory=Role)
    strict: bool = False
    network: bool = False
    in_main_thread: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 0
    mules: int = 0
    farms: Mapping[str, Sequence[int]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    module: ModuleType = field(default_factory=lambda: ModuleType("uwsgi"))  # the attributes that programs set

    def hook(self, name: str) -> Any:
        """What the program has set as an attribute of the module; see HOOKS."""
        return vars(self.module).get(name)

    @property
    def shared(self) -> Path:
        """The directory for what all processes of the program share: signals, cache, locks. It may not exist yet."""
        address = self.spooler.spools[DEFAULT].address
        if is_path(address):
            return Path(address) / ".aspool" / "uwsgi"
        digest = blake2b(address.encode(), digest_size=8).hexdigest()
        return Path("/tmp") / f"aspool-uwsgi-{os.getuid()}-{digest}"  # noqa: S108 - it is made 0700, and checked
