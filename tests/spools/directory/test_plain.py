"""Plain messages: files that are, byte for byte, what uWSGI would write, whatever way they are written."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from aspool import Body, DirectorySpool
from aspool.errors import NotSpooled
from aspool.message import Message
from aspool.outcomes import Done
from aspool.protocol import Stored
from aspool.testing.conformance import claimed, message, served, settle

pytestmark = pytest.mark.anyio

PLAIN = b"\x11\x0f\x00\x00" + b"\x05\x00hello\x06\x00worlds"
BODIES = [b"", b"a body", b"x" * 100_000]


def plain(body: Body | None = None) -> Message:
    return replace(message(task=None, raw={b"hello": b"worlds"}, body=body), plain=True, arguments=b"")


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize("durability", ["disk", "process"])
@pytest.mark.parametrize("data", BODIES, ids=["none", "small", "large"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_the_file_is_what_uwsgi_writes(spool_path: Path, durability: str, data: bytes, streamed: bool) -> None:
    spool = DirectorySpool(spool_path, durability=durability)  # type: ignore[arg-type]  # one of both
    body = Body(pieces(data)) if streamed else Body(data) if data else None
    (stored,) = await spool.put([plain(body)])
    assert isinstance(stored, Stored)
    assert Path(stored.path).parent == spool_path
    assert Path(stored.path).read_bytes() == PLAIN + data


async def test_the_path_leads_into_the_directory_of_a_priority(directory: DirectorySpool) -> None:
    (stored,) = await directory.put([replace(plain(), priority=5)])
    assert isinstance(stored, Stored)
    assert Path(stored.path).parent == directory.path / "5"
    assert Path(stored.path).is_file()


async def test_others_are_not_told_their_path(directory: DirectorySpool) -> None:
    (stored,) = await directory.put([message()])
    assert isinstance(stored, Stored)
    assert stored.path == ""


async def test_they_are_claimed_and_put_off_as_others(directory: DirectorySpool) -> None:
    (stored,) = await directory.put([plain(Body(b"a body"))])
    assert isinstance(stored, Stored)
    async with served(directory):
        (claim,) = await claimed(directory, 1)
        assert claim.message.raw == {b"hello": b"worlds"}
        assert claim.body.reader.name == Path(stored.path).name
        assert claim.body.reader.owner() == Path(stored.path).stat().st_uid
        assert await claim.body.read() == b"a body"
        await settle(directory, [claim], Done())


@pytest.mark.parametrize(("size", "fits"), [(65_535 - 5, True), (65_535 - 4, False)])
async def test_as_much_fits_as_a_packet_holds(directory: DirectorySpool, size: int, fits: bool) -> None:
    full = replace(plain(), raw={b"k": b"v" * size})
    (answer,) = await directory.put([full])
    assert isinstance(answer, Stored) is fits
    if not fits:
        assert isinstance(answer, Exception)
        assert not isinstance(answer, NotSpooled), "it is the caller's mistake"
        assert list(directory.path.glob("uwsgi*")) == []
