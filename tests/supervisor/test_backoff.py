"""How long a place stays empty."""

from aspool.supervisor.backoff import HEALTHY, Backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 1.0)
    assert [backoff.died(5) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.deaths == 6


def test_a_worker_that_lived_long_was_well() -> None:
    backoff = Backoff(0.1, 30.0)
    for _ in range(5):
        backoff.died(1)
    assert backoff.died(HEALTHY) == 0.1
    assert backoff.deaths == 1


def test_it_can_be_told_that_all_is_well() -> None:
    backoff = Backoff(0.1, 30.0)
    backoff.died(1)
    backoff.forget()
    assert (backoff.deaths, backoff.died(1)) == (0, 0.1)


def test_the_longest_is_never_shorter_than_the_first() -> None:
    assert [wait for backoff in [Backoff(5.0, 1.0)] for wait in (backoff.died(1), backoff.died(1))] == [5.0, 5.0]
