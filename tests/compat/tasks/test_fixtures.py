"""Every spool file of the fixtures, written by a real uWSGI, through the shim: what `uwsgi.spooler` gets of it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from aspool.compat import Program
from aspool.testing import drain

FIXTURES = Path(__file__).parents[2] / "fixtures" / "uwsgi"
FILES: list[dict[str, Any]] = json.loads((FIXTURES / "MANIFEST.json").read_text())["spool_files"]

LONG = 3000  # characters of a repr

pytestmark = pytest.mark.anyio


def put(fixture: dict[str, Any], spool: Path) -> None:
    """Put a file where it was below its spool, with the modification time that it had there."""
    source = FIXTURES / fixture["file"]
    target = spool / source.relative_to(FIXTURES / "spool" / fixture["id"])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    moment = fixture.get("restore_mtime")
    if isinstance(moment, int | float):
        os.utime(target, (moment, moment))


def shown(value: bytes) -> str:
    """As the manifest has it: long values by their length."""
    return repr(value) if len(repr(value)) <= LONG else f"len {len(value)}"


@pytest.mark.parametrize("fixture", FILES, ids=lambda fixture: fixture["id"])
async def test_uwsgi_spooler_gets_what_the_real_one_gives(
    program: Program, fixture: dict[str, Any], spool_path: Path
) -> None:
    got: list[list[list[str]]] = []

    def spooler(env: dict[str | bytes, bytes]) -> int:
        got.append([[repr(key), shown(value)] for key, value in env.items()])
        return -2

    expected = fixture["uwsgi_ordered_outcome"]["handler_env_repr"]

    program.module.spooler = spooler  # type: ignore[attr-defined]  # as programs set it
    spool_path.mkdir(mode=0o700)
    put(fixture, spool_path)
    await drain(program.spooler, raise_errors=True)
    assert got == ([] if expected is None else [expected])
