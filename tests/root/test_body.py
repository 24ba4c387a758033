"""Body: what it may be made of, and how a task reads it, whatever keeps the bytes."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aspool import Body
from aspool.body import CHUNK, is_upload
from aspool.spools.readers import BytesReader

DATA = bytes(range(256)) * (2 * CHUNK // 256 + 1)  # three pieces, the last one short


class Upload:
    async def read(self, size: int = -1) -> bytes:
        return b""[:size]


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.mark.parametrize(
    "source", [b"", b"x", bytearray(b"x"), memoryview(b"x"), Path("f"), io.BytesIO(b"x"), Upload(), pieces()]
)
def test_what_a_body_is_made_of(source: Any) -> None:
    body = Body(source)
    assert body.source is source
    assert not body.is_stored
    assert repr(body) == f"Body({type(source).__name__})"


@pytest.mark.parametrize("source", ["text", 5, 1.5, None, ["x"], {"a": 1}, object(), iter([b"x"])])
def test_what_no_body_is_made_of(source: Any) -> None:
    with pytest.raises(TypeError):
        Body(source)


def test_text_is_refused_with_advice() -> None:
    with pytest.raises(TypeError, match=r"pathlib.Path\(…\) for a file, or .encode\(\) the text"):
        Body("file.txt")  # type: ignore[arg-type]  # the point of it


def test_only_a_stored_body_can_be_read() -> None:
    body = Body(b"x")
    for read in (lambda: body.size, lambda: body.file, lambda: body.reader, lambda: list(body), body.open):
        with pytest.raises(RuntimeError, match="only a running task can read it"):
            read()
    body.close()


def test_a_sync_task_reads_a_file_that_starts_at_the_body() -> None:
    body = Body(reader=BytesReader(DATA))
    assert body.is_stored
    assert body.size == len(DATA)
    assert repr(body) == f"Body({len(DATA)} bytes)"
    assert body.file.read(5) == DATA[:5]
    assert body.file.tell() == 5  # the same file each time
    body.file.seek(-4, io.SEEK_END)
    assert body.file.read() == DATA[-4:]
    assert [len(piece) for piece in body] == [CHUNK, CHUNK, 256]
    assert b"".join(body) == DATA


def test_closing_a_body_closes_its_file_and_a_later_use_opens_it_again() -> None:
    body = Body(reader=BytesReader(DATA))
    file = body.file
    body.close()
    body.close()
    assert file.closed
    assert body.file is not file
    assert body.file.read(1) == DATA[:1]
    body.close()


def test_an_async_task_reads_a_body(tmp_path: Path) -> None:
    async def task(body: Body) -> None:
        assert await body.read() == DATA
        assert await body.read() == DATA  # from the start each time
        assert [len(piece) async for piece in body] == [CHUNK, CHUNK, 256]
        async with body.open() as file:
            assert await file.read(3) == DATA[:3]
            assert await file.seek(10) == 10
            assert await file.read() == DATA[10:]
        await body.save(tmp_path / "copy")
        await body.save(str(tmp_path / "copy"))  # replaces it

    asyncio.run(task(Body(reader=BytesReader(DATA))))
    assert (tmp_path / "copy").read_bytes() == DATA


@pytest.mark.parametrize(
    ("source", "expected"), [(Upload(), True), (io.BytesIO(), False), (b"", False), (pieces, False), (None, False)]
)
def test_an_upload_has_an_async_read(source: Any, expected: bool) -> None:
    assert is_upload(source) is expected
