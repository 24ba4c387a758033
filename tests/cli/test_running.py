"""`aspool run`, and `aspool worker --uwsgi`: scripts and programs that were written for uWSGI."""

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from aspool.compat.tasks import handler

from ..compat.commands import aspool, wait_until, worker

Run = Callable[..., Result]
JOBS = """
import os, signal, sys, time
import uwsgi
from uwsgidecorators import spool

def note(*values):
    with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as file:
        print(*values, file=file)

@spool(pass_arguments=True)
def add(first, second=0):
    uwsgi.cache_update("sum", str(first + second))
    note("add", first, second, uwsgi.i_am_the_spooler(), os.path.basename(os.getcwd()))

@spool
def stuck(env):
    note("stuck")
    time.sleep(600)

@spool
def die(env):
    note("die", os.getpid() == uwsgi.masterpid())
    os.kill(os.getpid(), signal.SIGKILL)

@spool
def suspect(env):
    note("suspect", uwsgi.i_am_the_spooler(), uwsgi.opt["mode"])

@spool
def leave(env):
    sys.exit(3)
"""
SCRIPT = """
import os, sys
import uwsgi, jobs
print(__name__, sys.argv, uwsgi.worker_id(), uwsgi.mule_id(), uwsgi.i_am_the_spooler(), uwsgi.opt["mode"])
print(jobs.add(1, second=2).startswith(os.fsencode(os.getcwd())))
sys.exit(7)
"""


@pytest.fixture(autouse=True)
def program(app: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    for name in ("uwsgi", "uwsgidecorators"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # those of this process come back in the end
    for name in ("_program", "spooler"):
        monkeypatch.setattr(handler, name, None)  # and its Program
    (app / "jobs.py").write_text(JOBS)
    (app / "script.py").write_text(SCRIPT)
    return app


def notes(program: Path) -> list[str]:
    path = program / "notes"
    return path.read_text().splitlines() if path.exists() else []


def test_a_script_and_a_worker(program: Path) -> None:
    script = ["run", "--uwsgi", "script.py", "-d", "sp", "--uwsgi-option", "mode=test", "one", "-d", "--two"]
    done = aspool(program, *script)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.splitlines() == [
        "__main__ ['script.py', 'one', '-d', '--two'] 1 0 None b'test'",
        "True",
    ]
    done = aspool(program, "worker", "--uwsgi", "./jobs.py", "-d", "sp", "--burst", "--no-supervisor")
    assert done.returncode == 0, done.stderr
    assert f"jobs works on {program}/sp" in done.stdout
    assert notes(program) == ["add 1 2 True sp"]
    (program / "seen.py").write_text("import uwsgi\nprint(uwsgi.cache_get('sum'))\n")
    assert aspool(program, "run", "-m", "seen", "-d", "sp").stdout == "b'3'\n", "the web side sees it"


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            "def f():\n    1 / 0\nf()\n",
            1,
            ["Traceback (most recent call last):", '  File "bad.py", line 3, in <module>'],
        ),
        ("import sys\nsys.exit('enough')\n", 1, ["enough"]),
        ("raise KeyboardInterrupt\n", 130, ["Traceback (most recent call last):"]),
        ("import uwsgi\nuwsgi.sharedarea_read(0)\n", 1, ["Traceback (most recent call last):"]),
    ],
)
def test_a_script_that_fails(run: Run, program: Path, text: str, code: int, told: list[str]) -> None:
    (program / "bad.py").write_text(text)
    result = run("run", "--uwsgi", "bad.py", "-d", "sp")
    assert result.exit_code == code
    lines = (result.stderr or result.stdout).splitlines()
    assert lines[: len(told)] == told or told == [str(result.exception)]
    assert not any("aspool/cli" in line or "runpy" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("run -d sp", "name one program to run: --uwsgi SCRIPT or -m MODULE"),
        ("run --uwsgi script.py -m script -d sp", "name one program to run"),
        ("run --uwsgi nowhere.py -d sp", "there is no file nowhere.py to run"),
        ("run --uwsgi script.py", "give it one with --spool"),
        ("run --uwsgi script.py -d sp --mule 1", "--mule 1: the program has 0 mules; say how many with --mules"),
        ("worker --uwsgi nothing -d sp --no-supervisor", "there is no module nothing in"),
        ("worker jobs --uwsgi jobs -d sp", "app contradicts uwsgi"),
        ("worker --uwsgi ./jobs.py:spooler -d sp", "without 'spooler': it sets uwsgi.spooler itself; try"),
        ("worker --uwsgi no-where.py -d sp --no-supervisor", "no-where.py"),
    ],
)
def test_what_is_refused(run: Run, arguments: str, sentence: str) -> None:
    result = run(*arguments.split())
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert sentence in result.stderr


def test_config_knows_it(run: Run, program: Path) -> None:
    (program / "uwsgi.ini").write_text("[uwsgi]\nspooler = sp\nmules = 2\nlocks = 4\n")
    told = run("config", "--uwsgi", "jobs", "--ini", "uwsgi.ini").output.splitlines()
    assert "uwsgi\tjobs\t--uwsgi" in told
    assert "mules\t2\tuwsgi.ini:3" in told


def test_the_directory_of_a_script_comes_before_the_current_one(run: Run, program: Path) -> None:
    (program / "scripts").mkdir()
    (program / "scripts" / "s.py").write_text("import sys\nprint(*sys.path[:2])\n")
    assert run("run", "--uwsgi", "scripts/s.py", "-d", "sp").stdout == f"{program}/scripts {program}\n"


def test_a_module_is_looked_for_in_the_current_directory(run: Run, program: Path) -> None:
    (program / "where.py").write_text("import sys\nprint(sys.path[0], sys.argv)\n")
    result = run("run", "-m", "where", "-d", "sp", "x")
    assert result.stdout.startswith(f"{program} ")
    assert str(program.parent) not in sys.path


@pytest.mark.heavy
def test_harakiri_and_deaths_are_counted_and_nothing_runs_for_ever(program: Path) -> None:
    """What blocks the main thread is ended with its process; what kills that runs alone at last, and then never."""
    spool = "import jobs\njobs.stuck({})\njobs.die({})\njobs.leave({})\njobs.suspect({})\njobs.add(1)\n"
    (program / "all.py").write_text(spool)
    assert aspool(program, "run", "--uwsgi", "all.py", "-d", "sp").returncode == 0
    arguments = ["--uwsgi", "jobs", "-d", "sp", "--harakiri", "1", "--harakiri-grace", "0.2", "--restart-wait", "0.05"]
    with worker(program, *arguments, "--uwsgi-option", "mode=test"):
        wait_until(lambda: "suspect True b'test'" in notes(program), program)
        wait_until(lambda: any(line.startswith("add 1 0") for line in notes(program)), program)
        wait_until(lambda: notes(program).count("die False") == 3, program)
        wait_until(lambda: notes(program).count("stuck") >= 2, program)
    listed = aspool(program, "ls", "-d", "sp", "--json").stdout
    assert listed.count('"dead"') >= 1


@pytest.mark.heavy
def test_a_listener_beside_it_takes_text_and_no_pickles(program: Path) -> None:
    """The worker's process imports the program; the supervisor's, which listens, does not."""
    with worker(program, "--uwsgi", "jobs", "-d", "sp", "--uwsgi-option", "mode=net", "--listen", "127.0.0.1:0"):
        wait_until(lambda: _listens(program) and b"ready:" in (program / "log").read_bytes(), program)
        (program / "send.py").write_text(
            "import pickle, sys, uwsgi\n"
            "def send(**variables): print(b''.join(uwsgi.send_message(sys.argv[1], 17, 0, variables)))\n"
            "send(ud_spool_func='add', args=pickle.dumps((1,)), kwargs=pickle.dumps({}))\n"
            "send(ud_spool_func='suspect', ud_spool_ret='-2')\n"
        )
        sent = aspool(program, "run", "--uwsgi", "send.py", "-d", "sp", _listens(program))
        assert sent.stdout == "b'\\xff\\x00\\x00\\x01'\n" * 2, sent.stderr
        wait_until(lambda: "suspect True b'net'" in notes(program), program)
        wait_until(lambda: b"its arguments were not unpickled" in (program / "log").read_bytes(), program)
    assert len(notes(program)) == 1


def _listens(program: Path) -> str:
    found = re.search(r"tasks are taken on (127\.0\.0\.1:\d+)", (program / "log").read_text())
    return found[1] if found else ""


@pytest.mark.heavy
def test_a_signal_reloads_it(program: Path) -> None:
    with worker(program, "--uwsgi", "jobs", "-d", "sp") as process:
        wait_until(lambda: b"ready:" in (program / "log").read_bytes(), program)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: (program / "log").read_bytes().count(b"ready:") == 2, program)
