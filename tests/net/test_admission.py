"""Who is let in, and who has to go for it."""

from dataclasses import dataclass, field

from aspool.net.admission import Admission, Limits


@dataclass(eq=False)
class Fake:
    """A connection; `key` is that of its peer."""

    key: str = ""
    quiet_since: float | None = None
    log: list[object] = field(default_factory=list)

    def evict(self) -> None:
        self.log.append(self)


def test_the_oldest_that_is_half_open_goes_first() -> None:
    admission, log = Admission(Limits(3, 1)), list[object]()
    conversations = [Fake(log=log) for _ in range(5)]
    assert [admission.admit(one, 0.0) for one in conversations[:3]] == ["welcome"] * 3
    admission.heard(conversations[0])
    assert [admission.admit(one, 0.0) for one in conversations[3:]] == ["welcome"] * 2
    assert log == [conversations[1], conversations[2]]
    assert len(admission) == 5
    for one in conversations:
        admission.leave(one)
    assert len(admission) == 0


def test_bodies_that_rest_go_next_the_longest_first() -> None:
    admission, log = Admission(Limits(3, 1)), list[object]()
    conversations = [Fake(quiet_since=since, log=log) for since in (5.0, 3.0, None)]
    for one in conversations:
        admission.admit(one, 0.0)
        admission.heard(one)
    late = [Fake(log=log) for _ in range(2)]
    assert admission.admit(late[0], 3.5) == "surplus"  # nobody rests for as long as that is allowed
    admission.leave(late[0])
    assert admission.admit(late[1], 6.0) == "welcome"
    assert log == [conversations[1]]


def test_those_who_are_stored_never_go() -> None:
    admission = Admission(Limits(10, 1))
    for one in [Fake() for _ in range(10)]:
        admission.admit(one, 0.0)
        admission.heard(one)
    others = [Fake() for _ in range(4)]
    verdicts = []
    for one in others:
        verdicts.append(admission.admit(one, 100.0))
        admission.heard(one)
    assert verdicts == ["surplus", "surplus", "closed", "closed"]


def test_one_address_of_another_machine_has_a_share() -> None:
    admission = Admission(Limits(10, 2))
    first, second, third = Fake("a"), Fake("a"), Fake("a")
    assert [admission.admit(one, 0.0) for one in (first, second, third)] == ["welcome", "welcome", "beyond its share"]
    assert admission.admit(Fake("b"), 0.0) == "welcome"
    for one in (first, third):
        admission.leave(one)
    assert admission.admit(third, 0.0) == "welcome"


def test_who_is_beyond_the_share_is_heard_and_goes_first() -> None:
    """Whatever it has said, as long as it has not shown the secret; and nobody has to go for it."""
    admission, log = Admission(Limits(10, 2)), list[object]()
    half_open = Fake(log=log)
    admission.admit(half_open, 0.0)
    many = [Fake("a", log=log) for _ in range(14)]
    verdicts = [admission.admit(one, 0.0) for one in many]
    assert verdicts == ["welcome"] * 2 + ["beyond its share"] * 7 + ["surplus"] * 2 + ["closed"] * 3
    for one in many[:11]:
        admission.heard(one)
    admission.known(many[2])
    assert log == []
    assert admission.admit(newcomer := Fake(log=log), 0.0) == "welcome"
    assert log == [many[3]]
    admission.evict_half_open()
    assert log == [*many[3:11], half_open, newcomer]


def test_who_knows_the_secret_has_no_share() -> None:
    admission = Admission(Limits(10, 2))
    first, second, third = Fake("a"), Fake("a"), Fake("a")
    for one in (first, second):
        admission.admit(one, 0.0)
        admission.known(one)
        admission.known(one)  # which is no more
    assert admission.admit(third, 0.0) == "welcome"
    for one in (first, second, third):
        admission.leave(one)
    assert [admission.admit(Fake("a"), 0.0) for _ in range(3)] == ["welcome", "welcome", "beyond its share"]


def test_all_that_are_half_open_go_at_the_end() -> None:
    admission, log = Admission(Limits(10, 1)), list[object]()
    half_open, heard = Fake(log=log), Fake(log=log)
    for one in (half_open, heard):
        admission.admit(one, 0.0)
    admission.heard(heard)
    admission.evict_half_open()
    assert log == [half_open]
