"""What a supervisor does about its workers, with fake processes."""

from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from aspool.supervisor.order import Leaving

from .fake_processes import supervised

pytestmark = pytest.mark.anyio


async def test_it_keeps_as_many_as_are_wanted() -> None:
    async with supervised(processes=3) as fakes:
        await fakes.settle()
        assert len(fakes.started) == 1, "if one cannot begin, none can"
        processes = await fakes.ready(3)
        assert [process.number for process in processes] == [1, 2, 3]
        processes[1].end(-9)
        await fakes.ready(4)
        assert processes[3].number == 2
        assert (fakes.supervisor.deaths, len(fakes.supervisor.claiming)) == (1, 3)
        assert "was killed by signal 9 after 5.0 s" in fakes.supervisor.places[1].last_failure


async def test_one_that_keeps_dying_is_started_ever_later() -> None:
    async with supervised(restart_wait=0.001, longest_restart_wait=1000.0) as fakes:
        for count in range(1, 6):
            (await fakes.ready(count))[-1].end(1)
        place = fakes.supervisor.places[0]
        await fakes.until(lambda: place.backoff.deaths == 5)
        assert place.backoff.died(1) == pytest.approx(0.032)


async def test_one_that_wants_a_successor_has_it_while_it_drains() -> None:
    async with supervised() as fakes:
        (old,) = await fakes.ready(1)
        old.says(Leaving("max_tasks=5 is reached", wants_successor=True))
        await fakes.ready(2)
        assert old.state.exit_code is None
        old.end(0)
        await fakes.settle()
        assert (len(fakes.started), fakes.supervisor.places[0].backoff.deaths) == (2, 0)


async def test_one_that_somebody_else_stopped_is_replaced() -> None:
    async with supervised() as fakes:
        (await fakes.ready(1))[0].drain()
        await fakes.ready(2)
        await fakes.settle()
        assert len(fakes.started) == 2


@pytest.mark.parametrize("burst", [False, True])
async def test_one_that_ends_without_a_word_counts_as_dead(burst: bool) -> None:
    async with supervised(burst=burst) as fakes:
        (await fakes.ready(1))[0].end(0)
        await fakes.ready(2)
        assert (fakes.supervisor.places[0].backoff.deaths, fakes.supervisor.deaths) == (1, 1)


async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    async with supervised(processes=2) as fakes:
        first, second = await fakes.ready(2)
        fakes.refuses = 3
        first.end(-9)
        await fakes.ready(3)
        assert (fakes.refuses, fakes.started[2].number) == (0, 1)
        assert "no process could be started: Too many open files" in fakes.supervisor.places[0].last_failure
        assert not second.was_stopped
        fakes.refuses = 1
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: not fakes.refuses and not fakes.supervisor.is_reloading)
        assert fakes.supervisor.claiming == [second, fakes.started[2]]


# --- stopping ----------------------------------------------------------------------------------------------------


async def test_a_stop_drains_all_and_starts_none() -> None:
    async with supervised(processes=2, grace=60.0) as fakes:
        processes = await fakes.ready(2)
        fakes.supervisor.stop("SIGTERM")
        await fakes.until(lambda: all(process.was_stopped for process in processes))
        processes[0].drain()
        await fakes.settle()
        assert (fakes.exit_code, processes[1].was_hurried) == (None, False)
        processes[1].drain()
        await fakes.until(lambda: fakes.exit_code is not None)
        assert (fakes.exit_code, len(fakes.started)) == (0, 2)


async def test_a_second_stop_hurries() -> None:
    async with supervised(grace=60.0) as fakes:
        (process,) = await fakes.ready(1)
        fakes.supervisor.stop("SIGTERM")
        await fakes.until(lambda: process.was_stopped)
        fakes.supervisor.stop("SIGTERM")
        await fakes.until(lambda: process.was_hurried)
        assert process.signals == [SIGTERM, SIGINT], "each once"
        process.drain()
        await fakes.until(lambda: fakes.exit_code == 0)


async def test_each_is_told_to_stop_once() -> None:
    async with supervised(grace=60.0) as fakes:
        (old,) = await fakes.ready(1)
        fakes.supervisor.reload("SIGHUP")
        await fakes.ready(2)
        await fakes.until(lambda: old.was_stopped)
        fakes.supervisor.stop("SIGTERM")
        await fakes.until(lambda: fakes.started[1].was_stopped)
        assert len(old.signals) == 1


# --- beginning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [2, 3])
async def test_an_application_that_cannot_begin_ends_it(code: int) -> None:
    async with supervised(processes=2) as fakes:
        await fakes.until(lambda: fakes.started)
        await fakes.settle()
        fakes.started[0].end(code, lived=0.1)
        await fakes.until(lambda: fakes.exit_code is not None)
        assert (fakes.exit_code, len(fakes.started)) == (code, 1), "what one says need not be said by all"


async def test_while_it_is_developed_it_waits_for_the_fix() -> None:
    async with supervised(reload=True) as fakes:
        await fakes.until(lambda: fakes.started)
        fakes.started[0].end(2, lived=0.1)
        await fakes.settle()
        assert (fakes.exit_code, len(fakes.started)) == (None, 1)
        fakes.supervisor.reload("app.py changed")
        await fakes.ready(2)


async def test_what_ran_once_is_tried_for_ever() -> None:
    async with supervised() as fakes:
        (await fakes.ready(1))[0].end(1)
        for count in range(2, 5):
            await fakes.until(lambda count=count: len(fakes.started) == count)  # type: ignore[misc]  # bound early
            fakes.started[-1].end(2, lived=0.1)
        assert fakes.exit_code is None


async def test_a_burst_is_over_when_all_are_done() -> None:
    async with supervised(processes=2, burst=True) as fakes:
        first, second = await fakes.ready(2)
        first.drain()
        await fakes.settle()
        assert len(fakes.started) == 2
        second.says(Leaving("max_tasks=1 is reached", wants_successor=True))
        second.end(0)
        await fakes.ready(3)
        fakes.started[2].drain()
        await fakes.until(lambda: fakes.exit_code == 0)


# --- reloading ---------------------------------------------------------------------------------------------------


async def test_a_reload_replaces_one_after_another_the_new_one_first() -> None:
    async with supervised(processes=3, grace=60.0) as fakes:
        await fakes.ready(3)
        fakes.supervisor.reload("SIGHUP")
        for old in range(3):
            await fakes.until(lambda old=old: len(fakes.started) == 4 + old)  # type: ignore[misc]  # bound early
            await fakes.settle()
            assert not fakes.started[old].was_stopped, "its successor is not ready yet"
            fakes.started[3 + old].is_ready()
            await fakes.until(lambda old=old: fakes.started[old].was_stopped)  # type: ignore[misc]  # bound early
            await fakes.settle()
            assert len(fakes.started) == 4 + old, "the next one waits until this one has drained"
            assert len(fakes.supervisor.claiming) == 3
            fakes.started[old].drain()
        await fakes.until(lambda: fakes.supervisor.reloads == 1)
        assert [process.number for process in fakes.started[3:]] == [1, 2, 3]
        assert (fakes.supervisor.deaths, len(fakes.supervisor.processes)) == (0, 3)


@pytest.mark.parametrize("code", [1, 2, -11])
async def test_a_new_one_that_cannot_begin_leaves_the_old_ones(code: int) -> None:
    async with supervised(processes=2) as fakes:
        old = list(await fakes.ready(2))
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 3)
        fakes.started[2].end(code, lived=0.1)
        await fakes.until(lambda: not fakes.supervisor.is_reloading)
        await fakes.settle()
        assert fakes.supervisor.claiming == old
        assert (fakes.supervisor.reloads, len(fakes.started)) == (0, 3)
        old[0].end(-9)  # and is kept as before
        await fakes.ready(4)


async def test_an_old_one_that_dies_meanwhile_is_not_replaced_twice() -> None:
    async with supervised() as fakes:
        (old,) = await fakes.ready(1)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 2)
        old.end(-9)
        await fakes.settle()
        fakes.started[1].is_ready()
        await fakes.until(lambda: fakes.supervisor.reloads == 1)
        await fakes.settle()
        assert fakes.supervisor.claiming == [fakes.started[1]]
        assert len(fakes.started) == 2


async def test_both_that_die_are_replaced_by_one() -> None:
    async with supervised() as fakes:
        (old,) = await fakes.ready(1)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 2)
        old.end(-9)
        fakes.started[1].end(-9)
        await fakes.ready(3)
        await fakes.settle()
        assert len(fakes.started) == 3


async def test_another_reload_does_not_wait_for_a_new_one_that_never_begins() -> None:
    async with supervised() as fakes:
        (old,) = await fakes.ready(1)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 2)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 3)
        assert fakes.started[1].signals == [SIGKILL]
        fakes.started[2].is_ready()
        await fakes.until(lambda: old.was_stopped)
        old.drain()
        await fakes.until(lambda: fakes.supervisor.reloads == 1)


async def test_a_stop_while_it_reloads_ends_all() -> None:
    async with supervised(processes=2, grace=60.0) as fakes:
        await fakes.ready(2)
        fakes.supervisor.reload("SIGHUP")
        await fakes.until(lambda: len(fakes.started) == 3)
        fakes.supervisor.stop("SIGTERM")
        await fakes.until(lambda: all(process.was_stopped for process in fakes.started))
        for process in fakes.started:
            process.drain()
        await fakes.until(lambda: fakes.exit_code == 0)
        assert len(fakes.started) == 3
