"""A Redis of our own, at a socket in the directory, as long as a block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..processes import running, wait_until

LONGEST_PATH = 107  # bytes that the kernel allows for the path of a socket


@contextmanager
def redis_server(directory: Path, *, appends: bool) -> Iterator[Path]:
    """Without persistence, or writing each change to a file that is synced every second."""
    socket = directory / "redis"
    if len(str(socket)) > LONGEST_PATH:
        raise RuntimeError(f"{socket} is too long for the path of a socket")
    command: list[str | Path] = [
        "redis-server", "--port", "0", "--unixsocket", socket, "--dir", directory,
        "--save", "", "--appendonly", "yes" if appends else "no", "--appendfsync", "everysec",
    ]  # fmt: skip
    with running(command, directory) as process:
        wait_until(socket.exists, 10, "Redis", process)
        yield socket
