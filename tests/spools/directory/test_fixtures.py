"""Files that a real uWSGI wrote, and broken ones made of them: each runs, waits or is kept; none stops the worker."""

import hashlib
import json
import os
import shutil
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from aspool import DirectorySpool
from aspool.outcomes import Done
from aspool.protocol import Claim
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import claimed, message, nothing, put, served, settle

pytestmark = pytest.mark.anyio
FIXTURES = Path(__file__).parents[2] / "fixtures" / "uwsgi"
SHARED = Path(__file__).parents[4] / "shared" / "fixtures" / "uwsgi"  # the originals, where they are at hand
FILES: list[dict[str, Any]] = json.loads((FIXTURES / "MANIFEST.json").read_text())["spool_files"]
NEVER_SCANNED = {"priority_name"}  # no uWSGI runs files in a directory that is no number, and neither do we


def expected(value: Any) -> bytes | None:
    """A value of the manifest; None for one of which only length and hash are listed."""
    if isinstance(value, str):
        return value.encode()
    return b64decode(value["b64"]) if "b64" in value else None


def same(value: Any, found: bytes) -> bool:
    whole = expected(value)
    if whole is not None:
        return whole == found
    return bool(value["len"] == len(found) and value["sha256"] == hashlib.sha256(found).hexdigest())


def place(spool: DirectorySpool, entry: dict[str, Any]) -> Path:
    """Copy a fixture to where uWSGI had written it, with its mtime."""
    below = Path(*Path(entry["file"]).parts[2:])
    target = spool.path / below
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FIXTURES / entry["file"], target)
    mtime = entry["restore_mtime"]
    moment = mtime if isinstance(mtime, float) else 1_700_000_000
    os.utime(target, (moment, moment))
    return target


def is_foreign(entry: dict[str, Any]) -> bool:
    return bool(entry.get("modifier1", 17) != 17)


async def check_claim(claim: Claim, entry: dict[str, Any]) -> None:
    pairs = dict(claim.message.raw)
    assert list(pairs) == [expected(key) for key, _ in entry["pairs"]]
    assert all(same(value, pairs[expected(key) or b""]) for key, value in entry["pairs"])
    body = await claim.body.read()
    assert same(entry["body"], body) if entry["body"] else body == b""


def test_the_copies_are_the_originals() -> None:
    if not SHARED.exists():
        pytest.skip("the originals are not beside this checkout")
    assert (SHARED / "MANIFEST.json").read_bytes() == (FIXTURES / "MANIFEST.json").read_bytes()


@pytest.mark.parametrize("entry", FILES, ids=[entry["id"] for entry in FILES])
async def test_a_real_file(directory: DirectorySpool, entry: dict[str, Any]) -> None:
    await directory.open()
    path = place(directory, entry)
    content = path.read_bytes()
    neighbour = message(priority=0)
    await put(directory, neighbour)
    good = entry["pairs"] is not None and not is_foreign(entry) and entry["id"] not in NEVER_SCANNED
    async with served(directory):
        now = time.time()
        claims = await claimed(directory, 1)
        if entry["restore_mtime"] == 2_000_000_000.0:
            assert not await directory.claim(5, now), "not before its moment"
            now = 2_000_000_001.0
        if good:
            claims += await claimed(directory, 1, now)
            (claim,) = [claim for claim in claims if claim.message.id != neighbour.id]
            await check_claim(claim, entry)
        await settle(directory, claims, Done())
        assert await nothing(directory, now)
    if good:
        assert not path.exists()
    else:
        kept = [path, *(p for p in (directory.path / PRIVATE / "corrupt").iterdir() if p.suffix != ".json")]
        assert [p.read_bytes() for p in kept if p.exists()] == [content], "kept, here or in corrupt/"


async def test_all_of_them_together(directory: DirectorySpool) -> None:
    """Only files of different names fit into one directory; the rest was tried alone."""
    await directory.open()
    placed = {place(directory, entry): entry for entry in FILES}
    good = [e for e in placed.values() if e["pairs"] is not None and not is_foreign(e) and e["id"] not in NEVER_SCANNED]
    async with served(directory):
        await settle(directory, await claimed(directory, len(good), 2_000_000_001.0), Done())
        assert await nothing(directory, 2_000_000_001.0)
