"""`aspool worker --processes`: real programs, real signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aspool import DirectorySpool
from aspool.testing.conformance import message

from ..cli.conftest import plain_environment
from .conftest import Program, lives, title, wait_for

Start = Callable[..., Program]


def test_a_life(start: Start, directory_of_app: Path) -> None:
    program = start("--processes=2", "--pidfile=pid", "--grace=0.3")
    first, second = program.ready(2)

    # Titles, sessions of their own, and one job runs in one of them.
    assert title(program.process.pid) == "aspool: supervisor of app"
    assert (title(first), title(second)) == ("aspool: worker 1 of app", "aspool: worker 2 of app")
    assert (os.getpgid(first), os.getpgid(second)) == (first, second)
    assert program.run("note", "one") in (f"VERSION {first}", f"VERSION {second}")

    # Whoever is killed is replaced, and what it had started goes with it.
    child = int(program.run("program", "child"))
    holder = os.getpgid(child)
    os.kill(holder, signal.SIGKILL)
    wait_for(lambda: not lives(child))
    wait_for(lambda: holder not in program.workers() and len(program.workers()) == 2)

    # A reload: the new code is there, and other processes.
    before = program.workers()
    app = directory_of_app / "app.py"
    app.write_text(app.read_text().replace("VERSION", "SECOND"))
    program.signal(signal.SIGHUP)
    wait_for(lambda: program.says("reloaded"))
    after = program.ready(2)
    assert not set(before) & set(after)
    assert program.run("note", "two").startswith("SECOND")

    # A stop: all of it ends in order.
    assert (directory_of_app / "pid").read_text() == f"{program.process.pid}\n"
    program.signal(signal.SIGTERM)
    assert program.end() == 0
    assert not any(map(lives, after))
    assert not (directory_of_app / "pid").exists()
    assert program.spool.notices() == []


def test_workers_do_not_outlive_it(start: Start) -> None:
    program = start("--processes=2", "--grace=0.1")
    workers = program.ready(2)
    child = int(program.run("program", "child"))
    program.process.kill()
    wait_for(lambda: not any(map(lives, [*workers, child])))
    wait_for(lambda: program.spool.counts()["waiting"] == 1)  # what they ran is handed back, once all threads are gone
    assert program.spool.counts()["dead"] == 0
    assert program.spool.notices() == []


def test_max_tasks_replaces_it(start: Start) -> None:
    program = start("--max-tasks=3", "--concurrency=1")
    (first,) = program.ready(1)
    for number in range(7):
        program.send("note", f"n{number}")
    wait_for(lambda: all((program.directory / f"n{number}").exists() for number in range(7)))
    pids = {(program.directory / f"n{number}").read_text() for number in range(7)}
    assert len(pids) == 3
    assert f"VERSION {first}" in pids
    program.signal(signal.SIGTERM)
    assert program.end() == 0


def test_a_touched_file_reloads(start: Start, directory_of_app: Path) -> None:
    program = start("--touch-reload=touched")
    (first,) = program.ready(1)
    (directory_of_app / "touched").touch()
    wait_for(lambda: program.says("reloaded"))
    assert program.says(f"reloading ({directory_of_app}/touched was touched)")
    assert program.workers() != [first]


def test_cheap_works_when_there_is_work(start: Start) -> None:
    program = start("--cheap", "--cheap-idle=0.3", "--processes=2")
    program.ready(1)
    wait_for(lambda: [notice["state"] for notice in program.spool.notices()] == ["cheap"] and not program.workers())
    assert program.run("note", "one").startswith("VERSION")
    wait_for(lambda: program.workers() == [])


def test_a_broken_application_ends_it(start: Start, directory_of_app: Path) -> None:
    (directory_of_app / "app.py").write_text("1 / 0")
    program = start("--processes=2")
    assert program.end() == 2
    assert program.says("ZeroDivisionError")
    assert program.says("aspool: the module app raised ZeroDivisionError when it was imported")


def test_while_it_is_developed_a_broken_one_is_waited_for(start: Start, directory_of_app: Path) -> None:
    app = directory_of_app / "app.py"
    right = app.read_text()
    app.write_text("1 / 0")
    program = start("--reload")
    wait_for(lambda: program.says("waiting until a file changes"))
    app.write_text(right)
    assert program.run("note", "one").startswith("VERSION")
    app.write_text(right.replace("VERSION", "SECOND"))
    wait_for(lambda: program.says("reloaded"))
    assert program.run("note", "two").startswith("SECOND")


def test_one_that_dies_at_every_start_is_no_storm(start: Start, directory_of_app: Path) -> None:
    app = directory_of_app / "app.py"
    app.write_text(f"{app.read_text()}\nif Path('broken').exists(): os.kill(os.getpid(), 9)\n")
    program = start("--processes=2", "--restart-wait=0.2")
    workers = program.ready(2)
    (directory_of_app / "broken").touch()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: program.says("started in 0.8 s"))
    (notice,) = program.spool.notices()
    assert (notice["state"], notice["deaths"] < 20) == ("failing", True)
    assert "was killed by signal 9" in notice["last_failure"]
    (directory_of_app / "broken").unlink()
    program.ready(2)


def test_a_task_with_harakiri_asks_for_a_supervisor(start: Start, directory_of_app: Path) -> None:
    app = directory_of_app / "app.py"
    app.write_text(app.read_text().replace('name="note"', 'name="note", harakiri=60'))
    program = start()
    (worker,) = program.ready(1)
    assert worker != program.process.pid
    assert program.run("note", "one") == f"VERSION {worker}"


def test_alone_it_reloads_by_itself(start: Start, directory_of_app: Path) -> None:
    program = start()
    assert program.run("note", "one") == f"VERSION {program.process.pid}"
    app = directory_of_app / "app.py"
    app.write_text(app.read_text().replace("VERSION", "SECOND"))
    program.signal(signal.SIGHUP)
    wait_for(lambda: program.told.read_text().count("ready:") == 2)
    assert program.run("note", "two") == f"SECOND {program.process.pid}"
    program.signal(signal.SIGTERM)
    assert program.end() == 0


def test_a_program_of_ones_own(directory_of_app: Path) -> None:
    (directory_of_app / "own.py").write_text(
        "from aspool import Settings\nfrom aspool.supervisor import run\n"
        "if __name__ == '__main__':\n    raise SystemExit(run('app:spooler', Settings(processes=2, burst=True)))\n"
    )
    spool = DirectorySpool(directory_of_app / "spool", durability="process")
    spool.put_blocking([message(task="note", arguments=b'{"name":"one"}')])
    command = [sys.executable, "own.py"]
    done = subprocess.run(command, cwd=directory_of_app, env=plain_environment(), capture_output=True, text=True)
    assert (done.returncode, (directory_of_app / "one").exists()) == (0, True), done.stderr
    assert f"app:spooler works on {spool.address}" in done.stdout
