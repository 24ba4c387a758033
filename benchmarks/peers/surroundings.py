"""Where the data of a peer lies, and its Redis: told to its processes by environment variables."""

import os
from pathlib import Path

DATA, REDIS, VARIANT = "BENCH_DATA", "BENCH_REDIS", "BENCH_VARIANT"


def data() -> Path:
    """A directory for files."""
    return Path(os.environ[DATA])


def redis_socket() -> str:
    """The path of the socket at which Redis listens."""
    return os.environ[REDIS]


def redis_url() -> str:
    return f"unix://{redis_socket()}"


def variant() -> str:
    """Which setting of the peer is measured."""
    return os.environ[VARIANT]
