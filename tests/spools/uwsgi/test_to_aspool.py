"""Messages that are sent to a real listener of aspool, and run by a real worker."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aspool import Body, DirectorySpool, Spooler
from aspool.errors import NotSpooled, Unsupported
from aspool.net.listener import listening
from aspool.settings import ListenerSettings
from aspool.testing.conformance import claimed, message, served
from aspool.worker import running

pytestmark = pytest.mark.anyio
SECRET = "correct horse battery staple"


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text(SECRET)
    return str(path)


@asynccontextmanager
async def there(
    spool: DirectorySpool, listen: str = "127.0.0.1:0", secret_file: str | None = None
) -> AsyncIterator[str]:
    """A listener's URL."""
    settings = ListenerSettings(listen=(listen,), secret_file=secret_file, min_free=0)
    async with listening({"default": spool}, settings) as listener:
        (address,) = listener.addresses
        yield "uwsgi://" + address.removeprefix("unix:")


async def test_a_task_runs_at_the_other_end(directory: DirectorySpool, secret_file: str) -> None:
    runs_there, ran = Spooler(directory), anyio.Event()
    got: list[tuple[str, bytes, str]] = []

    @runs_there.task(name="store")
    async def store(name: str, body: Body) -> None:
        got.append((name, await body.read(), body.reader.name))
        ran.set()

    data = os.urandom(5_000_000)
    async with there(directory, secret_file=secret_file) as address, running(runs_there):
        sender = Spooler(f"{address}?secret_file={secret_file}")
        sent = sender.task(name="store")(store.function)
        await sent.spool("n" * 70_000, Body(data))
        with anyio.fail_after(30):
            await ran.wait()
    ((name, body, _),) = got
    assert (name == "n" * 70_000, body == data) == (True, True)


async def test_what_was_said_of_it_arrives(directory: DirectorySpool, tmp_path: Path) -> None:
    """Over a unix socket, where our own user is trusted."""
    async with there(directory, f"unix:{tmp_path}/s") as address:
        spool = Spooler(address).spool_of(None)
        sent = message(id="chosen", unique=True, priority=3, options={"retries": 1}, buffer={"a": 1}, body=Body(b"x"))
        (first,), (second,) = await spool.put([sent]), await spool.put([sent])
    assert first == ("chosen", False, "")
    assert second == ("chosen", True, "")
    async with served(directory) as served_there:
        (claim,) = await claimed(served_there, 1)
        got = claim.message
        assert (got.id, got.priority, got.options, got.buffer) == ("chosen", 3, {"retries": 1}, {"a": 1})
        assert got.due == pytest.approx(sent.due, abs=1e-5)
        assert got.origin == "net"
        assert await claim.body.read() == b"x"


async def test_a_wrong_secret_is_told(directory: DirectorySpool, secret_file: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(0o600)
    wrong.write_text("another one, of enough bytes")
    async with there(directory, secret_file=secret_file) as address:
        with pytest.raises(NotSpooled, match="know the secret"):
            await Spooler(f"{address}?secret_file={wrong}").task_named("t").spool()
        with pytest.raises(NotSpooled, match="know the secret"):  # while the body is on its way
            await Spooler(f"{address}?secret_file={wrong}").spool({"a": "b"}, body=bytes(20_000_000))


async def test_without_a_secret_raw_messages_only(directory: DirectorySpool) -> None:
    async with there(directory) as address:
        spooler = Spooler(address)
        with pytest.raises(Unsupported, match="no tasks"):
            await spooler.task_named("t").spool()
        ticket = await spooler.spool({"a": "b", "priority": 4})
    (path,) = (directory.path / "4").iterdir()
    assert ticket.id in path.name


async def test_a_message_that_is_refused_there(directory: DirectorySpool, tmp_path: Path) -> None:
    async with there(directory, f"unix:{tmp_path}/s") as address:
        (answer,) = await Spooler(address).spool_of(None).put([message(id="../../etc/passwd")])
    assert isinstance(answer, NotSpooled)
    assert "the id" in str(answer)
