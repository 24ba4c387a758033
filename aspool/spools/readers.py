"""Bodies as bytes: the stored side that tasks read (`FileReader`, `BytesReader`), and the sources that callers give."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import aiofiles
from aiofiles.threadpool import wrap
from anyio import CancelScope, to_thread

from ..body import CHUNK, AsyncFile, Body, Upload, is_upload


class _Reader(ABC):
    """What every reader does with the file that its `open` gives."""

    __slots__ = ()

    @abstractmethod
    def open(self) -> BinaryIO:
        """A seekable file that starts at the body."""

    @asynccontextmanager
    async def open_async(self) -> AsyncIterator[AsyncFile]:
        """The same through aiofiles."""
        file = wrap(cast("Any", await to_thread.run_sync(self.open)))
        try:
            yield file
        finally:
            with CancelScope(shield=True):
                await file.close()

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Copy the body into a file."""
        async with self.open_async() as source, aiofiles.open(path, "wb") as target:
            while chunk := await source.read(CHUNK):
                await target.write(chunk)

    @property
    def name(self) -> str:
        """It has no file of its own."""
        return ""

    @property
    def directory(self) -> str:
        """And so it is in none."""
        return ""

    def owner(self) -> int | None:
        """Nobody's but ours."""
        return None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nothing to hold, unless it is the file of a message."""
        yield

    def note_done(self) -> None:  # noqa: B027 - to note nothing is right for most
        """Nothing to note it on, unless it is the file of a message."""


@dataclass(frozen=True, slots=True)
class BytesReader(_Reader):
    """A body in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """The bytes as a file."""
        return io.BufferedReader(cast("io.RawIOBase", _Slice(io.BytesIO(self.data), 0, len(self.data))))


@dataclass(slots=True)
class FileReader(_Reader):
    """A body that is the part of a file from `start` on. `fallback` is tried when `path` is not there."""

    path: str
    start: int
    size: int
    fallback: str = ""

    @property
    def name(self) -> str:
        """The last part of the path by which people know it."""
        return os.path.basename(self.fallback or self.path)

    @property
    def directory(self) -> str:
        """The rest of it."""
        return os.path.dirname(self.fallback or self.path)

    def owner(self) -> int | None:
        """Who owns the file. Raises OSError."""
        with self.open_raw() as file:
            return os.fstat(file.fileno()).st_uid

    def open(self) -> BinaryIO:
        """The part of the file that is the body."""
        file = self.open_raw()
        return io.BufferedReader(cast("io.RawIOBase", _Slice(file, self.start, self.size)))

    def open_raw(self) -> io.FileIO:
        """The whole file."""
        try:
            return io.FileIO(self.path)
        except OSError:
            if not self.fallback:
                raise
            return io.FileIO(self.fallback)


class _Slice(io.RawIOBase):
    """A part of a file, as a file of its own: offset 0 is the first byte of the part."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a negative position ({base + offset}) in a body")
        self._at = base + offset
        self._file.seek(self._start + self._at)
        return self._at

    def readinto(self, buffer: Any) -> int:
        left = max(0, self._size - self._at)
        view = memoryview(buffer)[:left]
        count = int(self._file.readinto(view) or 0) if left else 0
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def readable(body: Body) -> Body:
    """A body that a direct call can read, made from what a caller gives.

    Raises TypeError for sources that can only be read once, from an event loop.
    """
    source = body.source
    if body.is_stored:
        return body
    if isinstance(source, bytes | bytearray | memoryview):
        return Body(reader=BytesReader(bytes(source)))
    if isinstance(source, os.PathLike):
        path = os.fspath(source)
        return Body(reader=FileReader(path, 0, os.stat(path).st_size))
    if _is_file(source):
        return Body(reader=BytesReader(cast("BinaryIO", source).read()))
    raise TypeError(f"a direct call reads a Body of bytes, a path or an open file, not of {type(source).__name__}")


def in_memory(body: Body | None) -> bytes | None:
    """The bytes of a body that has them at hand, b"" for none; None for one that must be streamed."""
    if body is None:
        return b""
    if body.is_stored:
        return None
    return bytes(body.source) if isinstance(body.source, bytes | bytearray | memoryview) else None


def chunks(body: Body) -> Iterator[bytes]:
    """What a caller gives, piece by piece, without an event loop. Raises TypeError for async sources."""
    data = in_memory(body)
    if body.is_stored:
        yield from body
    elif data is not None:
        yield data
    elif isinstance(body.source, os.PathLike):
        with Path(body.source).open("rb", buffering=0) as file:
            yield from _blocks(file)
    elif _is_file(body.source):
        yield from _blocks(cast("BinaryIO", body.source))
    else:
        raise TypeError(f"a Body of {type(body.source).__name__} needs an event loop: use await task.spool(…)")


def _blocks(file: BinaryIO | io.FileIO) -> Iterator[bytes]:
    while block := file.read(CHUNK):
        yield _checked(block)


async def chunks_async(body: Body) -> AsyncIterator[bytes]:
    """What a caller gives, piece by piece; files through aiofiles. Raises TypeError for what is no source."""
    if body.is_stored or hasattr(body.source, "__aiter__"):
        async for block in body if body.is_stored else cast("AsyncIterator[bytes]", body.source):
            yield _checked(block)
        return
    async with _reading(body.source) as read:
        while block := await read(CHUNK):
            yield _checked(block)


@asynccontextmanager
async def _reading(source: object) -> AsyncIterator[Callable[[int], Awaitable[bytes]]]:
    """The async `read` of a path, an upload or an open file."""
    if isinstance(source, os.PathLike):
        async with aiofiles.open(source, "rb") as opened:
            yield opened.read
    elif is_upload(source):
        yield cast("Upload", source).read
    elif _is_file(source):
        yield partial(to_thread.run_sync, cast("BinaryIO", source).read)
    else:
        raise TypeError(
            f"a Body is made of bytes, a path, an open file, an async iterator or an upload, not {source!r}"
        )


def _is_file(source: object) -> bool:
    return callable(getattr(source, "read", None)) and not is_upload(source)


def _checked(block: object) -> bytes:
    if isinstance(block, bytes | bytearray | memoryview):
        return bytes(block)
    raise TypeError(f"a Body is made of bytes, but its source gave {type(block).__name__}: open files with mode 'rb'")
