"""Fixtures for all tests."""

from pathlib import Path

import pytest

from aspool import DirectorySpool, Spooler


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
