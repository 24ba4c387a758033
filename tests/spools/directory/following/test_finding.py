"""Finding messages by their ids among all names."""

import os
from pathlib import Path

from aspool import DirectorySpool
from aspool.spools.directory.following.finding import all_places, id_of, paths_of
from aspool.spools.directory.names import FileName, foreign
from aspool.spools.directory.tree import PRIVATE
from aspool.testing.conformance import message

FOREIGN = "uwsgi_spoolfile_on_host_77_1_0_1700000000_123456"


def test_wherever_they_are(directory: DirectorySpool) -> None:
    sent = [message(), message(priority=5), message(id="a_b_1_2"), message(id="mine", unique=True)]
    directory.put_blocking(sent)
    (directory.path / "5" / "2").mkdir()
    below = directory.path / "5" / "2" / str(FileName(1, "below"))
    dead = directory.path / PRIVATE / "dead" / str(FileName(1, "dead", 3))
    for path in (below, dead, dead.with_name(f"{dead.name}.json"), directory.path / FOREIGN):
        path.touch()
    ids = [*(one.id for one in sent), "below", "dead", foreign(FOREIGN, 0).id]
    found = paths_of(directory._tree, frozenset([*ids, "nowhere"]))
    assert sorted(found) == sorted(ids)
    assert all((directory.path / path).is_file() for path in found.values())
    assert all(id_of(os.path.basename(path)) == id for id, path in found.items())
    assert [place.path for place in all_places(directory._tree)] == ["5/2", "5", ""]


def test_one_that_waits_comes_before_the_dead_of_the_same_id(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    dead = directory.path / PRIVATE / "dead"
    for due in (1, 3, 2):
        (dead / str(FileName(due, "mine"))).touch()
    assert paths_of(directory._tree, frozenset(["mine"]))["mine"].endswith(str(FileName(3, "mine"))), "the last"
    directory.put_blocking([message(id="mine")])
    assert PRIVATE not in paths_of(directory._tree, frozenset(["mine"]))["mine"]


def test_names_that_only_look_like_it(directory: DirectorySpool) -> None:
    directory.put_blocking([])
    for name in ("uwsgi_spoolfile_on_0000000000000001_mine_x_y", "uwsgi_spoolfile_on_0000000000000001_mine_1",
                 "uwsgi_spoolfile_on_mine_0_0", "0000000000000001_mine_0_0"):  # fmt: skip
        (directory.path / name).touch()
    assert paths_of(directory._tree, frozenset(["mine"])) == {}


def test_a_priority_that_is_removed_meanwhile(directory: DirectorySpool, tmp_path: Path) -> None:
    directory.put_blocking([message(priority=5), message(id="there")])
    all_places(directory._tree)
    (directory.path / "5").rename(tmp_path / "away")
    assert list(paths_of(directory._tree, frozenset(["there"]))) == ["there"]
