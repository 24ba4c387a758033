"""Body: what a caller gives beside the arguments, and what a task reads. The I/O is done by the reader passed in."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from os import PathLike
from typing import Any, BinaryIO, Protocol

CHUNK = 64 * 1024  # bytes: a thread hop is cheap beside it, and many bodies at the same time take little memory


class AsyncFile(Protocol):
    """What `Body.open` yields: the reading part of an aiofiles binary file."""

    async def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for -1."""
        ...

    async def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset in bytes from the start of the body."""
        ...


class Upload(Protocol):
    """Starlette's UploadFile, or anything else with an async `read`."""

    async def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        ...


class BodyReader(Protocol):
    """The stored side of a body: each spool brings its own. Must be picklable for the process executor."""

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        ...

    @property
    def name(self) -> str:
        """What the file of the message is called, "" if it has none."""
        ...

    @property
    def directory(self) -> str:
        """The path of the directory in which that file is, "" if there is none."""
        ...

    def owner(self) -> int | None:
        """The user (uid) whose file it is; None if it is in the memory of this process. Raises OSError."""
        ...

    def open(self) -> BinaryIO:
        """A seekable, read-only binary file whose offset 0 is the first byte of the body."""
        ...

    def open_async(self) -> AbstractAsyncContextManager[AsyncFile]:
        """The same through aiofiles."""
        ...

    async def save(self, path: "str | PathLike[str]") -> None:
        """Copy the body into a file."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Keep the message from being claimed, also for the moment that a child process outlives its worker."""
        ...

    def note_done(self) -> None:
        """Note on the message that its job is done, in case the worker dies before it can settle it. Never fails."""
        ...


_PLAIN = (bytes, bytearray, memoryview, PathLike)
Source = bytes | bytearray | memoryview | PathLike[str] | BinaryIO | AsyncIterable[bytes] | Upload


class Body:
    """A stream of bytes that travels with a message and is never whole in memory unless asked.

    A caller makes one from bytes, a path (`pathlib.Path`), an open binary file, an async iterator of bytes
    or an upload (Starlette's `UploadFile`). A task that has a parameter annotated `Body` reads it.
    """

    def __init__(self, source: Source = b"", *, reader: BodyReader | None = None) -> None:
        if reader is None:
            _check_source(source)
        self.source = source
        self._reader = reader
        self._file: BinaryIO | None = None

    def __repr__(self) -> str:
        return f"Body({self._reader.size} bytes)" if self._reader else f"Body({type(self.source).__name__})"

    @property
    def reader(self) -> BodyReader:
        """The stored side. Raises RuntimeError on a body that is not in a spool yet."""
        if self._reader is None:
            raise RuntimeError("this Body has not been spooled: only a running task can read it")
        return self._reader

    @property
    def is_stored(self) -> bool:
        """Whether it came out of a spool: a task may pass it on to another one."""
        return self._reader is not None

    @property
    def size(self) -> int:
        """The length in bytes, for a stored body."""
        return self.reader.size

    @property
    def file(self) -> BinaryIO:
        """For sync tasks: a seekable read-only binary file that starts at the body; closed when the job ends."""
        if self._file is None:
            self._file = self.reader.open()
        return self._file

    def close(self) -> None:
        """Close `file` if it was used. The worker does this at the end of each run."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> Iterator[bytes]:
        with self.reader.open() as file:
            while chunk := file.read(CHUNK):
                yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with self.reader.open_async() as file:
            while chunk := await file.read(CHUNK):
                yield chunk

    async def read(self) -> bytes:
        """The whole body, in memory."""
        async with self.reader.open_async() as file:
            return await file.read()

    def open(self) -> AbstractAsyncContextManager[AsyncFile]:
        """`async with body.open() as f`: an aiofiles binary file that starts at the body."""
        return self.reader.open_async()

    async def save(self, path: "str | PathLike[str]") -> None:
        """Write the body into the file `path`, replacing what is there."""
        await self.reader.save(path)


def _check_source(source: object) -> None:
    if isinstance(source, str):
        raise TypeError("Body(str) is ambiguous: give pathlib.Path(…) for a file, or .encode() the text")
    if not isinstance(source, _PLAIN) and not hasattr(source, "read") and not hasattr(source, "__aiter__"):
        raise TypeError(
            f"a Body is made of bytes, a path, an open file, an async iterator or an upload, not {source!r}"
        )


def is_upload(source: Any) -> bool:
    """Whether a source has an async `read`, as Starlette's UploadFile."""
    from inspect import iscoroutinefunction

    return iscoroutinefunction(getattr(source, "read", None))
