"""`aspool migrate --check`: what it says of options, task files and sources, and that it changes nothing."""

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from aspool import DirectorySpool, Spooler
from aspool.cli.failures import Misuse
from aspool.cli.migration import functions, options, sources, words
from aspool.cli.migration.survey import survey
from aspool.wire import encode

Run = Callable[..., Result]
FIXTURES = Path(__file__).parents[1] / "fixtures" / "uwsgi" / "spool"
PREFIX = "uwsgi_spoolfile_on_"


@pytest.fixture
def spool(app: Path) -> Path:
    """Whose directory is as uWSGI makes it."""
    path = app / "old"
    path.mkdir(mode=0o750)
    path.chmod(0o750)
    return path


def put(spool: Path, name: str, content: bytes, *, age: float = 3600.0) -> Path:
    path = spool / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def all_fixtures(spool: Path) -> None:
    """Each file that a real uWSGI wrote, under a name of its own."""
    for number, path in enumerate(sorted(path for path in FIXTURES.rglob("*") if path.is_file())):
        below = path.relative_to(FIXTURES).parts[1:-1]
        target = spool.joinpath(*below, f"{PREFIX}vm_{number}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        os.utime(target, (1_700_000_000, 1_700_000_000))


def findings(result: Result, *checks: str) -> list[tuple[str, str, str]]:
    """Level, check and text of what is told in a pipe."""
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    return [(level, check, text) for level, check, text, _ in lines if not checks or check in checks]


def told(result: Result, check: str) -> list[tuple[str, str]]:
    return [(level, text) for level, _, text in findings(result, check)]


def advice(result: Result, check: str) -> list[str]:
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    return [advice for _, name, _, advice in lines if name == check]


# --- the verb ----------------------------------------------------------------------------------------------------


def test_it_only_looks(run: Run) -> None:
    refused = run("migrate", "-d", "old")
    assert refused.exit_code == 2
    assert "aspool migrate --check" in refused.stderr
    assert "name a uwsgi.ini" in run("migrate", "--check").stderr
    assert run("migrate", "--check", "--ini", "missing.ini").exit_code == 2


def test_nothing_is_changed_and_nothing_locked(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_fixtures(spool)
    (spool.parent / "uwsgi.ini").write_text(f"[uwsgi]\nspooler = {spool}\nspooler-external = not-there\n")
    before = whole(spool.parent)
    real_open, flags = os.open, []

    def noting_open(path: Any, given: int, *rest: Any, **more: Any) -> int:
        flags.append(given)
        return real_open(path, given, *rest, **more)

    def refuse(*_: object) -> None:
        pytest.fail("it locks something")

    monkeypatch.setattr(os, "open", noting_open)
    for name in ("fcntl", "flock", "lockf"):
        monkeypatch.setattr(fcntl, name, refuse)
    assert run("migrate", "--check", "--ini", "uwsgi.ini", ".").exit_code == 1
    assert whole(spool.parent) == before
    assert len(flags) >= 40
    assert {given & (os.O_ACCMODE | os.O_CREAT | os.O_TRUNC) for given in flags} == {os.O_RDONLY}


def whole(path: Path) -> dict[str, tuple[object, ...]]:
    """All that can change, but the time at which a directory was last listed."""
    found: dict[str, tuple[object, ...]] = {}
    for each in sorted(path.rglob("*")):
        at = each.lstat()
        read = at.st_atime_ns if stat.S_ISREG(at.st_mode) and PREFIX in each.name else 0
        found[str(each)] = (at.st_ino, at.st_mode, at.st_size, at.st_mtime_ns, at.st_ctime_ns, read)
    return found


def test_as_json(run: Run, spool: Path) -> None:
    put(spool, f"{PREFIX}1", encode({b"ud_spool_func": b"send"}))
    (said,) = json.loads(run("migrate", "--check", "-d", str(spool), "--json").stdout)
    assert said["about"] == str(spool)
    assert said["messages"].pop("kinds") == {"uwsgidecorators": {"send": 1}}
    assert said["messages"] == {"pickled": 0, "later": 0, "young": 0, "in_priorities": 0, "broken": 0}
    assert {"check", "level", "text", "advice"} == set(said["findings"][0])


# --- options -----------------------------------------------------------------------------------------------------

INI = """\
[uwsgi]
http-socket = 127.0.0.1:8080
module = django.core.wsgi:get_wsgi_application()
env = DJANGO_SETTINGS_MODULE=my_project.settings
master = true
spooler = old
spooler-ordered = true
spooler-processes = 2
mules = 2
mule = endless.py
threads = 4
"""
CRON = "cron2 = minute=1 /bin/true"


def test_options(run: Run, app: Path, spool: Path) -> None:
    (app / "uwsgi.ini").write_text(INI)
    done = run("migrate", "--check", "--ini", "uwsgi.ini")
    assert done.exit_code == 0, done.output
    assert told(done, "taken") == [
        ("ok", "uwsgi.ini:6: spooler = old becomes spools"),
        ("ok", "uwsgi.ini:7: spooler-ordered = true becomes ordered"),
        ("ok", "uwsgi.ini:8: spooler-processes = 2 becomes processes"),
    ]
    assert [level for level, _ in told(done, "worker too")] == ["warn", "warn"]
    assert told(done, "program") == [("warn", "uwsgi.ini:10: mule = endless.py is a program of its own")]
    assert advice(done, "program") == ["aspool run --uwsgi endless.py --mule 3 --ini uwsgi.ini"]
    assert "install(…, mules=N)" in told(done, "shim")[0][1]
    assert [text.split(":")[1] for _, text in told(done, "superfluous") + told(done, "shim")] == ["5", "9"]
    assert told(done, "web") == [("ok", "http-socket, threads: the web server's, and stay with it")]
    assert told(done, "directory") == [("ok", str(spool))]


def test_what_has_no_counterpart_fails(run: Run, app: Path) -> None:
    (app / "uwsgi.ini").write_text(f"[uwsgi]\nspooler = old\n{CRON}\nspooler-frequenzy = 3\n")
    done = run("migrate", "--check", "--ini", "uwsgi.ini")
    assert done.exit_code == 1
    assert told(done, "unsupported") == [("fail", f"uwsgi.ini:3: {CRON}: aspool has nothing like it")]
    assert "did you mean spooler-frequency?" in told(done, "left out")[0][1]
    assert "does not exist yet" in told(done, "directory")[0][1]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("module = site1.wsgi:application", "--uwsgi site1.wsgi --ini uwsgi.ini"),
        ("wsgi = shop", "--uwsgi shop --ini uwsgi.ini"),
        ("module = django.core.wsgi:get_wsgi_application()", "--uwsgi MODULE"),
        ("wsgi-file = web/app.py", "--uwsgi MODULE"),
    ],
)
def test_the_module_of_the_web_is_named_as_a_module(app: Path, line: str, command: str) -> None:
    (app / "uwsgi.ini").write_text(f"[uwsgi]\n{line}\nspooler = old\n")
    (one,) = [one for one in options.look_at("uwsgi.ini", {}).findings if one.check == "worker too"]
    assert one.advice.endswith(f"aspool worker {command}")


def test_values_that_cannot_be_are_told_among_the_others(run: Run, app: Path, spool: Path) -> None:
    (app / "uwsgi.ini").write_text("[uwsgi]\nspooler-processes = two\nmules = many\nmule = m.py\nspooler = old\n")
    done = run("migrate", "--check", "--ini", "uwsgi.ini")
    assert done.exit_code == 1
    assert told(done, "refused") == [
        ("fail", "uwsgi.ini:2: spooler-processes must be a whole number, not 'two'"),
        ("fail", "uwsgi.ini:3: mules must be a whole number, not 'many'"),
    ]
    assert told(done, "taken") == [("ok", "uwsgi.ini:5: spooler = old becomes spools")]
    assert told(done, "directory") == [("ok", str(spool))]


def test_an_ini_without_a_spooler(run: Run, app: Path) -> None:
    (app / "uwsgi.ini").write_text("[uwsgi]\nhttp = :80\n")
    assert told(run("migrate", "--check", "--ini", "uwsgi.ini"), "spools") == [("warn", "it names no spooler")]


def test_spools_that_do_not_fit_together(app: Path) -> None:
    (app / "uwsgi.ini").write_text("[uwsgi]\nspooler = a/mail\nspooler = b/x\nspooler = c/x\n")
    (finding,) = [one for one in options.look_at("uwsgi.ini", {}).findings if one.level == "fail"]
    assert "two spools are called 'x'" in finding.text


def test_each_option_is_one_of_uwsgi_and_in_one_table() -> None:
    uwsgi = str(Path(sys.executable).with_name("uwsgi"))
    known = subprocess.run([uwsgi, "--help"], check=True, capture_output=True, text=True).stdout
    named = [*words.UNSUPPORTED, *words.WORKER_TOO, *words.SHIM, *words.SUPERFLUOUS]
    assert len(named) == len(set(named))
    assert [name for name in named if f"--{name} " not in known and f"--{name}\n" not in known] == []


# --- files -------------------------------------------------------------------------------------------------------


def test_each_file_of_a_real_uwsgi(run: Run, spool: Path) -> None:
    all_fixtures(spool)
    done = run("migrate", "--check", "-d", str(spool))
    assert done.exit_code == 1
    assert "5 messages (" in told(done, "uwsgi_tasks")[0][1]
    assert "jobs.plain 1" in told(done, "uwsgi_tasks")[0][1]
    assert "send_mail 2" in told(done, "uwsgidecorators")[0][1]
    assert told(done, "pickles")[0][0] == "ok"
    assert "modifier1" in "".join(text for _, text in told(done, "broken"))
    assert told(done, "broken")[-1][1].startswith("and ")
    assert told(done, "files") == [("fail", "high never runs: there are task files in it, but its name is no number")]
    assert [level for level, _ in told(done, "priorities")] == ["warn", "warn"]


def test_one_that_all_runs(run: Run, spool: Path) -> None:
    put(spool, f"{PREFIX}1", encode({b"ud_spool_func": b"send", b"args": b"\x80\x04)."}))
    put(spool, f"{PREFIX}2", encode({b"ToGroup": b"customers"}) + b"a body")
    put(spool, f"{PREFIX}3", encode({b"at": b"3000000000"}), age=-3600)
    Spooler(DirectorySpool(spool)).spool_sync({"a": "b"})
    done = run("migrate", "--check", "-d", str(spool))
    assert done.exit_code == 0, done.output
    assert told(done, "uwsgidecorators")[0][1].startswith("1 message (send 1): ")
    assert told(done, "raw")[0][1].startswith("2 messages: ")
    assert told(done, "aspool")[0][1].startswith("1 message: ")
    assert told(done, "later")[0][1].startswith("1 message for later, the last for 20")
    assert told(done, "pickles")[0][1].startswith("1 message with pickles: they are read under --uwsgi only")


def test_an_empty_one(run: Run, spool: Path) -> None:
    assert told(run("migrate", "--check", "-d", str(spool)), "messages") == [("ok", "no task files wait in it")]


def test_pickles_where_others_may_write(run: Run, spool: Path) -> None:
    put(spool, f"{PREFIX}1", encode({b"function_name": b"a.b", b"setup": b"x"}))
    spool.chmod(0o770)
    done = run("migrate", "--check", "-d", str(spool))
    assert told(done, "pickles") == [("fail", "1 message with pickles: nothing is unpickled where others may write")]
    assert done.exit_code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_pickles_of_somebody_else(run: Run, spool: Path) -> None:
    os.chown(put(spool, f"{PREFIX}1", encode({b"msg": b"ucfg_function"})), 12345, -1)
    done = run("migrate", "--check", "-d", str(spool))
    assert "belongs to another user" in told(done, "pickles")[0][1]
    assert told(done, "files") == [("fail", f"{PREFIX}1 never runs: it belongs to the user 12345")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it has 0 bytes only: its writer has died"),
        (b"\x11\x00", "it has 2 bytes only: its writer has died"),
        (b"\x11\x05\x00\x00\x01", "the header promises 5 bytes of variables, 1 are there"),
        (b"\x11\x05\x00\x00\x00\x00\x01\x00x", "an empty key"),
        (encode({b"aspool.v": b"1", b"aspool.len": b"9"}) + b"body", "its body should have 9 bytes, but has 4"),
    ],
)
def test_what_is_broken_and_what_is_only_new(spool: Path, content: bytes, why: str) -> None:
    path = put(spool, f"{PREFIX}1", content)
    assert survey(str(spool), time.time()).broken == [(path.name, why)]
    put(spool, f"{PREFIX}1", content, age=1)
    found = survey(str(spool), time.time())
    assert (found.broken, found.young) == ([], 1)


def test_modes_and_what_is_aside(run: Run, spool: Path) -> None:
    put(spool, f"{PREFIX}1", encode({b"a": b"b"})).chmod(0o440)
    dead = spool / ".aspool" / "dead"
    dead.mkdir(parents=True)
    put(dead, f"{PREFIX}2", encode({b"a": b"b"}))
    done = run("migrate", "--check", "-d", str(spool))
    why = "its mode is 0440: its owner may not write it, and so not lock it"
    assert told(done, "broken") == [("fail", f"{PREFIX}1: {why}")]
    assert told(done, "dead") == [("warn", "1 in .aspool/dead")]


def test_priorities(run: Run, spool: Path) -> None:
    put(spool, f"5/{PREFIX}1", encode({b"priority": b"5"}))
    put(spool, f"7/{PREFIX}2", encode({b"priority": b"../x"}))
    done = run("migrate", "--check", "-d", str(spool))
    assert [text[:55] for _, text in told(done, "priorities")] == [
        "2 messages in numbered directories (5: 1, 7: 1): withou",
        "1 message with a priority that is no number: '../x'",
    ]
    assert done.exit_code == 0


def test_one_of_another_user(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may do everything
    done = run("migrate", "--check", "-d", str(spool))
    assert done.exit_code == 1
    assert [check for _, check, _ in findings(done)] == ["directory", "writable"], "nothing else is looked at"
    assert "may not read and write it; it belongs to " in told(done, "writable")[0][1]
    assert advice(done, "writable")[0].startswith("run as ")


def test_one_below_a_directory_of_another_user(run: Run, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def lstat(path: Any, **more: Any) -> os.stat_result:
        if path == str(spool):
            raise PermissionError(13, "Permission denied")
        return real(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    assert told(run("migrate", "--check", "-d", str(spool)), "directory") == [
        ("fail", f"{spool} cannot be reached by this user")
    ]


def test_what_is_no_directory(run: Run, spool: Path) -> None:
    (spool.parent / "link").symlink_to(spool)
    assert run("migrate", "--check", "-d", "link").exit_code == 1
    assert run("migrate", "--check", "-d", "no/such").exit_code == 1


# --- sources -----------------------------------------------------------------------------------------------------

PROGRAM = """
import uwsgi as server
from uwsgidecorators import thread, nothing_like_it
try:
    from uwsgi_tasks import task
except ImportError:
    pass

server.spool({})
server.spooler = print
getattr(server, "sharedarea_write")(0)
hasattr(server, "opt")
server.signal, server.signal
uwsgi.is_not_imported_here
raise SystemExit("it was run")
"""


def test_what_a_program_uses(run: Run, app: Path) -> None:
    (app / "jobs").mkdir()
    (app / "jobs/mail.py").write_text(PROGRAM)
    done = run("migrate", "--check", "jobs")
    assert done.exit_code == 1
    assert told(done, "uwsgi") == [
        ("ok", "as it is: opt, spool, spooler"),
        ("fail", "sharedarea_write (jobs/mail.py:11): not supported"),
        ("ok", "signal: it waits in the spool until a worker has run it, and is never dropped"),
    ]
    assert told(done, "uwsgidecorators") == [
        ("fail", "nothing_like_it (jobs/mail.py:3): not supported"),
        ("ok", "as it is: thread"),
    ]
    assert told(done, "uwsgi_tasks") == [("ok", "as it is: task")]


@pytest.mark.parametrize("target", ["pack.inner.mail", "pack", "pack/inner/mail.py", "pack/inner"])
def test_it_is_found_and_not_imported(app: Path, target: str) -> None:
    inner = app / "pack" / "inner"
    inner.mkdir(parents=True)
    for package in (inner, inner.parent):
        (package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    (inner / "mail.py").write_text("import uwsgi\n")
    found = [use for file in sources.files_of(target) for use in sources.uses_in(file)]
    assert [(use.module, use.name, use.where) for use in found] == [("uwsgi", "", "pack/inner/mail.py:1")]


@pytest.mark.parametrize("target", ["no.such.module", "no/such/file.py", "_socket"])
def test_what_is_not_there(target: str) -> None:
    with pytest.raises(Misuse):
        sources.files_of(target)


def test_old_python_is_told(app: Path) -> None:
    (app / "old.py").write_text("import uwsgi\nprint 'hello'\n")
    (app / "binary.py").write_bytes(b"\0")
    assert [(one.level, one.text[:25]) for one in functions.look_at(["old.py", "binary.py"])[:2]] == [
        ("warn", "old.py:2 is no Python 3: "),
        ("warn", "binary.py:1 is no Python "),
    ]


def test_a_file_that_is_no_python_is_not_said_to_be_fine(app: Path) -> None:
    (app / "old.py").write_text("print 'hello'\n")
    assert [one.level for one in functions.look_at(["old.py"])] == ["warn"]
    (app / "new.py").write_text("print('hello')\n")
    assert [one.text for one in functions.look_at(["old.py", "new.py"])][1:] == ["1 file: nothing of uWSGI is used"]


PACKAGES = """
import uwsgi_tasks
import uwsgi_tasks.tasks as inner
from uwsgi_tasks import nonsense, task
from uwsgi_tasks.tasks import SpoolerTask
from uwsgiconf.runtime.spooler import Spooler
uwsgi_tasks.cron, uwsgi_tasks.__name__, inner.SpoolerTask
"""


def test_names_that_a_package_has_not(run: Run, app: Path) -> None:
    (app / "jobs.py").write_text(PACKAGES)
    done = run("migrate", "--check", "jobs.py")
    assert told(done, "uwsgi_tasks") == [
        ("ok", "as it is: __name__, cron, task, tasks.SpoolerTask"),
        ("fail", "nonsense (jobs.py:4): not supported"),
    ]
    assert told(done, "uwsgiconf") == [("ok", "as it is: runtime.spooler.Spooler")]
    assert done.exit_code == 1


def test_the_names_of_uwsgi_tasks_are_those_of_the_package() -> None:
    program = "import uwsgi_tasks; print(*vars(uwsgi_tasks))"  # in a process of its own: it keeps what it finds
    there = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert {name for name in there.split() if not name.startswith("_")} == functions.EXPORTS["uwsgi_tasks"]


def test_only_what_may_need_a_change_is_a_warning(run: Run, app: Path) -> None:
    (app / "jobs.py").write_text("from uwsgidecorators import cron, mulefunc, spool, spoolraw, timer\n")
    done = run("migrate", "--check", "jobs.py")
    assert [(level, text[: text.index(":")]) for level, text in told(done, "uwsgidecorators")] == [
        ("warn", "cron (jobs.py"),
        ("warn", "mulefunc (jobs.py"),
        ("ok", "spool"),
        ("ok", "spoolraw"),
        ("ok", "timer"),
    ]
    assert "`" not in done.stdout
    assert "install(…, mules=1)" in done.stdout
