"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from aspool import DirectorySpool, MemorySpool, Spooler
from aspool.testing.clock import Clock, virtual_clock

from .start import START

# The hundreds of processes that the tests start would each compile aspool, and those of pytest rewrite its plugins.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Each run tries others.
settings.register_profile("aspool", max_examples=40)
settings.load_profile("aspool")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def spool_path(tmp_path: Path) -> Path:
    """A spool directory that does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture
def directory(spool_path: Path) -> DirectorySpool:
    """A directory spool that does not wait for the disk."""
    return DirectorySpool(spool_path, durability="process")


@pytest.fixture
def spooler(directory: DirectorySpool) -> Spooler:
    return Spooler(directory)


@pytest.fixture
def memory() -> MemorySpool:
    return MemorySpool()


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The wall clock, which stands until the test moves it."""
    with virtual_clock() as clock:
        clock.set(START)
        yield clock
