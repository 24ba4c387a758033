"""Bodies as bytes: a part of a file as a file of its own, and everything that a caller may give."""

import asyncio
import io
import os
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspool import Body
from aspool.body import CHUNK
from aspool.spools.readers import BytesReader, FileReader, chunks, chunks_async, in_memory, readable

DATA = os.urandom(CHUNK + 1000)
HEAD, TAIL = b"the packet", b"what follows"

Reader = BytesReader | FileReader


@pytest.fixture(params=["bytes", "file"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Reader:
    if request.param == "bytes":
        return BytesReader(DATA)
    (tmp_path / "task").write_bytes(HEAD + DATA + TAIL)
    return FileReader(str(tmp_path / "task"), len(HEAD), len(DATA))


class Upload:
    """As Starlette's UploadFile."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


async def pieces(*given: Any) -> AsyncIterator[Any]:
    for piece in given:
        yield piece


async def collected(body: Body) -> bytes:
    return b"".join([chunk async for chunk in chunks_async(body)])


# --- what tasks read -------------------------------------------------------------------------------------


def test_a_reader_is_a_seekable_read_only_file(reader: Reader) -> None:
    with reader.open() as file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert file.read(10) == DATA[:10]
        assert file.tell() == 10
        assert file.seek(-5, os.SEEK_CUR) == 5
        assert file.read(5) == DATA[5:10]
        assert file.seek(-3, os.SEEK_END) == len(DATA) - 3
        assert file.read() == DATA[-3:]
        assert file.read(1) == b""
        assert file.seek(0) == 0
        assert file.read() == DATA
        assert file.seek(5, os.SEEK_END) == len(DATA) + 5
        assert file.read() == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()  # it would start at the packet, not at the body
        file.seek(0)
        assert b"".join(file) == DATA
    assert file.closed
    assert reader.size == len(DATA)


def test_a_reader_travels_to_another_process(reader: Reader) -> None:
    copy = pickle.loads(pickle.dumps(reader))
    with copy.open() as file:
        assert file.read() == DATA


def test_a_reader_is_saved_and_read_with_an_event_loop(reader: Reader, tmp_path: Path) -> None:
    async def main() -> None:
        async with reader.open_async() as file:
            assert await file.read(7) == DATA[:7]
            assert await file.seek(0) == 0
            assert await file.read() == DATA
        await reader.save(tmp_path / "copy")

    asyncio.run(main())
    assert (tmp_path / "copy").read_bytes() == DATA


steps = st.lists(
    st.tuples(st.just("read"), st.integers(0, 40)) | st.tuples(st.just("seek"), st.integers(0, 60)), max_size=12
)


@given(st.binary(max_size=50), steps)
@settings(max_examples=60)
def test_it_reads_as_a_file_of_its_own(tmp_path_factory: pytest.TempPathFactory, data: bytes, steps: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "slice"
    path.write_bytes(HEAD + data + TAIL)
    model = io.BytesIO(data)
    with BytesReader(data).open() as first, FileReader(str(path), len(HEAD), len(data)).open() as second:
        for verb, number in steps:
            assert getattr(first, verb)(number) == getattr(second, verb)(number) == getattr(model, verb)(number)


def test_the_fallback_is_read_when_the_file_has_moved(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(HEAD + b"body")
    moved = FileReader(str(tmp_path / "old"), len(HEAD), 4, str(tmp_path / "new"))
    with moved.open() as file:
        assert file.read() == b"body"
    with pytest.raises(FileNotFoundError):
        FileReader(str(tmp_path / "old"), 0, 4).open()


def test_a_file_that_was_cut_meanwhile_ends_there(tmp_path: Path) -> None:
    (tmp_path / "task").write_bytes(HEAD + b"half")
    with FileReader(str(tmp_path / "task"), len(HEAD), 100).open() as file:
        assert file.read() == b"half"


# --- what callers give -----------------------------------------------------------------------------------

Make = Callable[[Path], Any]
SYNC: dict[str, Make] = {
    "bytes": lambda _: DATA,
    "bytearray": lambda _: bytearray(DATA),
    "memoryview": lambda _: memoryview(DATA),
    "path": lambda path: path,
    "bytesio": lambda _: io.BytesIO(DATA),
}
ASYNC: dict[str, Make] = {
    "iterator": lambda _: pieces(DATA[:1000], DATA[1000:]),
    "upload": lambda _: Upload(DATA),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "source").write_bytes(DATA)
    return tmp_path / "source"


@pytest.mark.parametrize("make", SYNC.values(), ids=list(SYNC))
def test_sources_that_can_be_read_without_an_event_loop(make: Make, path: Path) -> None:
    assert b"".join(chunks(Body(make(path)))) == DATA
    with readable(Body(make(path))).file as file:
        assert file.read() == DATA


@pytest.mark.parametrize("make", [*list(SYNC.values())[3:], *ASYNC.values()], ids=[*list(SYNC)[3:], *ASYNC])
def test_sources_that_are_streamed(make: Make, path: Path) -> None:
    assert in_memory(Body(make(path))) is None
    assert asyncio.run(collected(Body(make(path)))) == DATA


@pytest.mark.parametrize("make", ASYNC.values(), ids=list(ASYNC))
def test_async_sources_need_an_event_loop(make: Make, path: Path) -> None:
    with pytest.raises(TypeError, match=r"needs an event loop: use await task.spool"):
        list(chunks(Body(make(path))))
    with pytest.raises(TypeError, match="a direct call reads a Body of bytes, a path or an open file"):
        readable(Body(make(path)))


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_are_at_hand(data: bytes) -> None:
    assert in_memory(Body(data)) == b"x"
    assert in_memory(None) == b""


def test_an_open_file_is_read_from_where_it_stands(path: Path) -> None:
    def opened() -> BinaryIO:
        file = path.open("rb")
        file.seek(1000)
        return file

    with opened() as file:
        assert b"".join(chunks(Body(file))) == DATA[1000:]
    with opened() as file:
        assert asyncio.run(collected(Body(file))) == DATA[1000:]
    with opened() as file:
        assert b"".join(readable(Body(file))) == DATA[1000:]


def test_nothing_is_read_whole(path: Path) -> None:
    assert max(len(chunk) for chunk in chunks(Body(path))) == CHUNK

    async def largest(source: Any) -> int:
        return max([len(chunk) async for chunk in chunks_async(Body(source))])

    assert asyncio.run(largest(path)) == CHUNK
    assert asyncio.run(largest(Upload(DATA))) == CHUNK


@pytest.mark.parametrize("make", [lambda: io.StringIO("text"), lambda: pieces("text"), lambda: pieces(b"x", 5)])
def test_text_is_refused_with_advice(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="open files with mode 'rb'"):
        asyncio.run(collected(Body(make())))


def test_a_text_file_is_refused_without_an_event_loop_too() -> None:
    with pytest.raises(TypeError, match="open files with mode 'rb'"):
        list(chunks(Body(io.StringIO("text"))))  # type: ignore[arg-type]  # the point of it


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    for read in (lambda body: list(chunks(body)), readable, lambda body: asyncio.run(collected(body))):
        with pytest.raises(FileNotFoundError):
            read(Body(tmp_path / "missing"))


def test_a_stored_body_can_be_passed_on(reader: Reader) -> None:
    body = Body(reader=reader)
    assert in_memory(body) is None
    assert b"".join(chunks(body)) == DATA
    assert asyncio.run(collected(body)) == DATA
    assert readable(body) is body
