"""Publish, claim and finish with each system call made to fail in turn: no false acknowledgement, nothing lost."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from aspool import Body, DirectorySpool, Spooler
from aspool.errors import AspoolError, Uncertain
from aspool.outcomes import Buried, Done, HandedBack, Outcome, PutOff
from aspool.protocol import Claim, Stored
from aspool.spools.directory import bury, claim, descriptors, draft, finish, marks, publish, tree, unique
from aspool.spools.directory.claim import Candidate, Claimer, FileClaim, Skip
from aspool.spools.directory.finish import Finisher
from aspool.testing.conformance import message
from aspool.worker import running

ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS)
CALLS = frozenset(
    [
        "open",
        "close",
        "write",
        "pwrite",
        "pread",
        "read",
        "fstat",
        "stat",
        "link",
        "unlink",
        "rename",
        "utime",
        "fsync",
        "fchmod",
        "chmod",
        "mkdir",
        "setxattr",
        "getxattr",
        "removexattr",
        "lseek",
        "access",
    ]
)
MODULES = (bury, claim, descriptors, draft, finish, marks, publish, tree, unique)


class FailingOs:
    """The os module, whose n-th system call fails. A close still closes, as the kernel's does."""

    def __init__(self) -> None:
        self.fail_at = 0
        self.error = 0
        self.count = 0
        self.failed = ""

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.fail_at and name != "close":
                self.failed = name
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **kwargs)

        return call


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FailingOs:
    proxy = FailingOs()
    for module in MODULES:
        monkeypatch.setattr(module, "os", proxy, raising=False)
    return proxy


def in_turn(failing: FailingOs, attempt: Callable[[], None], check: Callable[[], None]) -> Iterator[str]:
    """Run `attempt` with its first system call failing, then its second, … until none is left; `check` after each."""
    for error in ERRORS:
        n = 0
        while True:
            n += 1
            failing.fail_at, failing.error, failing.count, failing.failed = n, error, 0, ""
            attempt()
            done = failing.count < n
            failing.fail_at = 0
            check()
            if done:
                break
            yield f"{errno.errorcode[error]} at call {n} ({failing.failed})"


def files(spool: DirectorySpool) -> list[str]:
    return sorted(entry.name for entry in spool.browse() if entry.state not in ("dead", "corrupt"))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("durability", ["disk", "process"])
@pytest.mark.parametrize("unique", [False, True], ids=["plain", "chosen id"])
@pytest.mark.parametrize("size", [10, 200_000])
def test_publish(failing: FailingOs, spool_path: Any, durability: Any, unique: bool, size: int) -> None:
    spool = DirectorySpool(spool_path, durability=durability)
    spool.put_blocking([])
    answers: list[Stored | Exception] = []
    before = open_files()

    def attempt() -> None:
        answers[:] = spool.put_blocking([message(id="chosen" if unique else f"id{failing.fail_at}", unique=unique,
                                                 body=Body(b"x" * size))])  # fmt: skip

    def check() -> None:
        (answer,) = answers
        there = files(spool)
        if isinstance(answer, Stored):
            assert len(there) == 1, "acknowledged, so it is there"
        elif isinstance(answer, Uncertain):
            assert len(there) == 1, "not confirmed, but there"
        else:
            assert isinstance(answer, AspoolError)
            assert there == [], "refused, so nothing of it is there"
        for listed in spool.browse():
            assert spool.delete(listed)
        assert open_files() <= before + 1, "descriptors leak"  # one for a pool of threads

    turns = list(in_turn(failing, attempt, check))
    assert len(turns) >= 12
    failing.fail_at = 0
    assert isinstance(spool.put_blocking([message(id="chosen", unique=True)])[0], Stored), "usable afterwards"


def claim_first(spool: DirectorySpool) -> FileClaim | Skip | None:
    """Claim the only file, as the worker's thread would."""
    there = files(spool)
    if not there:
        return None
    return Claimer(spool._tree).claim(Candidate(spool._tree.top, there[0]), time.time())


def test_claim(failing: FailingOs, directory: DirectorySpool) -> None:
    directory.put_blocking([message(id="abc", body=Body(b"body"))])
    answers: list[FileClaim | Skip | None] = []
    finisher = Finisher(directory._tree, durable=False)
    before = open_files()

    def attempt() -> None:
        name = files_untouched[0]
        answers[:] = [Claimer(directory._tree).claim(Candidate(directory._tree.top, name), time.time())]

    def check() -> None:
        (answer,) = answers
        if isinstance(answer, FileClaim):
            assert answer.message.id == "abc"
            finisher.finish(answer, HandedBack())
        (listed,) = directory.browse()
        assert listed.state in ("waiting", "retrying"), "there, whole, and held by nobody"
        assert listed.attempt == 0
        files_untouched[:] = files(directory)
        assert open_files() == before

    files_untouched = files(directory)
    assert len(list(in_turn(failing, attempt, check))) > 20
    (listed,) = directory.browse()
    assert listed.crashes == 0, "a claim that was refused is no death"


OUTCOMES: dict[str, Outcome] = {
    "done": Done(),
    "put off": PutOff(time.time() + 1000, 1, 0),
    "handed back": HandedBack(),
    "buried": Buried("no", "", 1, 0),
}


AFTERWARDS: dict[str, list[list[tuple[str, int]]]] = {
    "done": [[]],
    "put off": [[("retrying", 1)]],
    "handed back": [[("waiting", 0)]],
    "buried": [[("dead", 1)]],
}


@pytest.mark.parametrize("unique", [False, True], ids=["plain", "chosen id"])
@pytest.mark.parametrize("kind", OUTCOMES)
def test_finish(failing: FailingOs, directory: DirectorySpool, kind: str, unique: bool) -> None:
    """Whatever fails: afterwards the file is either settled, or still held; it never lies there free to run again."""
    finisher = Finisher(directory._tree, durable=True)
    held: list[Claim] = []
    raised: list[OSError | None] = []
    outcome = OUTCOMES[kind]

    def attempt() -> None:
        keep, failing.fail_at = failing.fail_at, 0
        directory.put_blocking([message(id="abc", unique=unique)])
        taken = claim_first(directory)
        assert isinstance(taken, FileClaim)
        held[:] = [taken]
        failing.fail_at, failing.count = keep, 0
        try:
            finisher.finish(taken, outcome)
            raised[:] = [None]
        except OSError as error:
            raised[:] = [error]

    def check() -> None:
        if raised[0] is not None:
            (listed,) = directory.browse()
            assert listed.state in ("running", "dead"), "what could not be settled is still held"
            finisher.finish(held[0], outcome)  # type: ignore[arg-type]  # it is a FileClaim
        listed_now = directory.browse()
        assert [(listed.state, listed.attempt) for listed in listed_now] in AFTERWARDS[kind]
        for listed in listed_now:
            assert directory.delete(listed)

    assert len(list(in_turn(failing, attempt, check))) >= 3
    assert isinstance(directory.put_blocking([message(id="abc", unique=True)])[0], Stored)


class RefusingOs(FailingOs):
    """The os module with one call that always fails, until it is allowed again."""

    def __init__(self, name: str, error: int) -> None:
        super().__init__()
        self.name, self.error, self.refuses, self.refused = name, error, True, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.refuses:
                self.refused += 1
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **kwargs)

        return call if name == self.name else real


@pytest.mark.anyio
@pytest.mark.parametrize("error", [errno.EROFS, errno.EIO, errno.ENOSPC])
async def test_what_is_done_but_cannot_be_deleted_is_not_run_again(
    spooler: Spooler, directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr("aspool.spools.directory.settling.UNSETTLED_WAIT", 0.02)
    refusing = RefusingOs("unlink", error)
    monkeypatch.setattr(finish, "os", refusing)
    ran: list[int] = []

    @spooler.task
    async def task() -> None:
        ran.append(1)

    await task.spool()
    async with running(spooler, frequency=0.05):
        with anyio.fail_after(10):
            while refusing.refused < 3:
                await anyio.sleep(0.01)
            assert [item.state for item in directory.browse()] == ["running"], "held"
            refusing.refuses = False
            while directory.browse():
                await anyio.sleep(0.01)
    assert ran == [1]


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "name"), [(errno.EROFS, "pwrite"), (errno.EIO, "pread"), (errno.EMFILE, "fstat")])
async def test_a_disk_that_refuses_claims_is_no_hot_loop(
    spooler: Spooler, directory: DirectorySpool, monkeypatch: pytest.MonkeyPatch, error: int, name: str
) -> None:
    monkeypatch.setattr("aspool.spools.directory.look.PAUSE", 0.1)
    refusing = RefusingOs(name, error)
    monkeypatch.setattr(claim, "os", refusing)
    monkeypatch.setattr(marks, "os", refusing)
    ran = anyio.Event()

    @spooler.task
    async def task() -> None:
        ran.set()

    await task.spool()
    async with running(spooler, frequency=0.05):
        started = time.monotonic()
        with anyio.fail_after(20):
            while refusing.refused < 3:
                await anyio.sleep(0.01)
            assert time.monotonic() - started > 0.15, "it pauses in between"
            assert not ran.is_set(), "what could not be acknowledged is not run"
            refusing.refuses = False
            await ran.wait()
