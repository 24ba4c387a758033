"""Fixtures of the worker's tests."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from .storm_workers import APPS


@pytest.fixture
def storm_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """tests/apps/storm.py, imported here too, to spool from this process."""
    monkeypatch.setenv("STORM_ROOT", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    sys.modules.pop("storm", None)
    return importlib.import_module("storm")
