"""Fixtures of the tests of tables about schedules: nothing fires but in `fires`."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from aspool import Spooler
from aspool.testing import SpoolUnderTest, use

from .firing import NOON


@pytest.fixture
def noon() -> datetime:
    """When the clock of a test begins."""
    return NOON


@pytest.fixture
def spooler(tmp_path: Path) -> Spooler:
    return Spooler(tmp_path / "spool", spools={"mail": tmp_path / "mail"})


@pytest.fixture
def spool(spooler: Spooler, noon: datetime) -> Iterator[SpoolUnderTest]:
    with use(spooler) as spool:
        spool.clock.set(noon)
        yield spool
