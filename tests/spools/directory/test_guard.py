"""A job that is done is not run again, though its worker died before it could say so."""

import pickle
import time

from aspool import Body, DirectorySpool
from aspool.protocol import Claim
from aspool.spools.directory.claim import BUSY, GONE, Candidate, Claimer, FileClaim, Skip
from aspool.spools.directory.finish import Finisher
from aspool.spools.directory.limits.gate import LIMITED, Gate
from aspool.testing.conformance import message


def claim(directory: DirectorySpool) -> FileClaim | Skip:
    (path,) = directory.path.glob("uwsgi_*")
    return Claimer(directory._tree).claim(Candidate(directory._tree.top, path.name), time.time())


def die(directory: DirectorySpool, taken: Claim) -> None:
    """What the kernel does when a worker dies: the lock goes, the mark stays."""
    assert isinstance(taken, FileClaim)
    Finisher(directory._tree, durable=False).let_go(taken)


def test_done_but_not_settled(directory: DirectorySpool) -> None:
    directory.put_blocking([message(id="chosen", unique=True)])
    first = claim(directory)
    assert isinstance(first, FileClaim)
    first.body.reader.note_done()
    die(directory, first)
    second = claim(directory)
    assert isinstance(second, Skip)
    assert second.why == GONE
    assert not list(directory.path.glob("uwsgi_*"))
    answer = directory.put_blocking([message(id="chosen", unique=True)])[0]
    assert not isinstance(answer, Exception)
    assert not answer.duplicate


def test_not_done_is_a_crash(directory: DirectorySpool) -> None:
    directory.put_blocking([message()])
    first = claim(directory)
    assert isinstance(first, FileClaim)
    die(directory, first)
    second = claim(directory)
    assert isinstance(second, FileClaim)
    assert (second.crashed, second.message.crashes) == (True, 1)
    die(directory, second)


def test_a_child_that_still_lives_keeps_its_message(directory: DirectorySpool) -> None:
    """The kernel frees a dead worker's lock a moment before it ends the worker's children."""
    directory.put_blocking([message(body=Body(b"x"))])
    first = claim(directory)
    assert isinstance(first, FileClaim)
    (path,) = directory.path.glob("uwsgi_*")
    reader = type(first.body.reader)(str(path), 0, 1)  # type: ignore[call-arg]  # the child's own, on the same file
    with reader.hold():
        die(directory, first)
        again = claim(directory)
        assert isinstance(again, Skip)
        assert again.why == BUSY
    second = claim(directory)
    assert isinstance(second, FileClaim)
    die(directory, second)


def test_a_child_that_still_lives_keeps_the_slot_of_its_task(directory: DirectorySpool) -> None:
    directory.put_blocking([message(), message()])
    tree, (path, other) = directory._tree, sorted(directory.path.glob("uwsgi_*"))
    gates = Gate(tree, lambda _: 1), Gate(tree, lambda _: 1)
    first = Claimer(tree, gates[0]).claim(Candidate(tree.top, path.name), time.time())
    assert isinstance(first, FileClaim)
    reader = pickle.loads(pickle.dumps(first.body.reader))  # as it travels to the child
    with reader.hold():
        die(directory, first)
        refused = Claimer(tree, gates[1]).claim(Candidate(tree.top, other.name), time.time())
        assert isinstance(refused, Skip)
        assert refused.why == LIMITED
    second = Claimer(tree, gates[1]).claim(Candidate(tree.top, other.name), time.time())
    assert isinstance(second, FileClaim)
    die(directory, second)
