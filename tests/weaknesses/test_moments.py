"""W7: uWSGI sets the moment of a file last, and reads it before it has the lock: some run an hour early there."""

import threading
import time
from pathlib import Path

import anyio
import pytest

from aspool import DirectorySpool
from aspool.outcomes import Done
from aspool.testing.conformance import claimed, nothing, served, settle

from .uwsgi_writer import steps, write

pytestmark = pytest.mark.anyio
HOUR = 3600.0


async def test_a_file_is_not_claimed_while_uwsgi_writes_it(directory: DirectorySpool) -> None:
    await directory.open()
    due = float(int(time.time() + HOUR))
    async with served(directory):
        seen = []
        for step in steps(path_in(directory, 1), {b"n": b"1"}, due):
            seen.append(step)
            assert await nothing(directory), step
        assert seen == ["created", "locked", "header written", "written", "moment set", "closed"]
        assert await nothing(directory, due - 0.001)
        await settle(directory, await claimed(directory, 1, due), Done())


async def test_none_is_early_however_often_one_looks(directory: DirectorySpool) -> None:
    await directory.open()
    due = time.time() + HOUR

    def write_many() -> None:
        for number in range(500):
            write(path_in(directory, number), {b"n": b"1"}, due)

    writer = threading.Thread(target=write_many)
    async with served(directory):
        writer.start()
        with anyio.fail_after(60):
            while writer.is_alive():
                assert await directory.claim(10, time.time()) == []
                await directory.wait(0.0)
        writer.join()
        assert await nothing(directory)
        await settle(directory, await claimed(directory, 500, due), Done())


def path_in(directory: DirectorySpool, number: int) -> Path:
    """A name as uWSGI makes it."""
    return directory.path / f"uwsgi_spoolfile_on_vm_1_{number}_123_1795225754_{number}"
