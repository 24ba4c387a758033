"""Signals, timers and mules of a whole program: real workers, a script that raises, a process that waits, mules."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ..commands import aspool, environment, wait_until, worker

JOBS = """
import os, uwsgi

def say(*words):
    with open("said", "a") as file:
        print(*words, file=file, flush=True)

def free():
    return next(number for number in range(256) if not uwsgi.signal_registered(number))

def on(target, add, *what):
    def registered(function):
        number = free()
        uwsgi.register_signal(number, target, function)
        add(number, *what)
        return function
    return registered

@on("spooler", uwsgi.add_timer, 0.2)
def tick(num): say("tick", num)

@on("", uwsgi.add_rb_timer, 0, 2)
def twice(num): say("twice", num)

@on("", uwsgi.add_file_monitor, "watched")
def changed(num): say("changed", num)

@on("", uwsgi.add_cron, -1, -1, -1, -1, -1)
def minute(num): say("minute", num)

def everywhere(num): say("everywhere", num, os.getpid())
uwsgi.register_signal(17, "workers", everywhere)

def second(num): say("second", num, uwsgi.i_am_the_spooler())
uwsgi.register_signal(18, "worker2", second)

def in_mule(num): say("in mule", num, uwsgi.mule_id())
uwsgi.register_signal(19, "mule2", in_mule)

def hook(message): say("hook", message, uwsgi.mule_id())
uwsgi.mule_msg_hook = hook

uwsgi.post_fork_hook = lambda: say("forked")
"""
RAISES = """
import uwsgi
print(uwsgi.signal_registered(17), uwsgi.signal_registered(99))
for number in (17, 18, 19):
    uwsgi.signal(number)
print(uwsgi.mule_msg("hello", 1), uwsgi.mule_msg("nobody", 9))

def later(num): ...
"""
WAITS = """
import uwsgi

def here(num):
    print("here", num, flush=True)

uwsgi.register_signal(30, "", here)
uwsgi.add_rb_timer(30, 0, 1)
print(uwsgi.signal_wait(30), uwsgi.signal_received())
"""
MULE = """
import uwsgi

def say(*words):
    with open("said", "a") as file:
        print(*words, file=file, flush=True)

uwsgi.mule_msg_hook = lambda message: say("mule", uwsgi.mule_id(), message)
say("mule is there")
"""
PROCESSES = ("--processes", "2", "--mules", "2")


def said(directory: Path) -> list[str]:
    """What the program has said."""
    file = directory / "said"
    return file.read_text().splitlines() if file.exists() else []


def is_said(directory: Path, line: str, count: int) -> bool:
    """Whether it was said so many times."""
    return said(directory).count(line) == count


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the program is."""
    for name, text in (("jobs", JOBS), ("raises", RAISES), ("waits", WAITS), ("beast", MULE)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_a_program_of_two_workers_and_two_mules(directory: Path) -> None:
    with worker(directory, "--uwsgi", "jobs", "-d", "spool", *PROCESSES):
        wait_until(lambda: said(directory).count("forked") == 2 and "tick 0" in said(directory), directory)
        wait_until(lambda: (directory / "log").read_text().count("ready: ") == 2, directory)
        done = aspool(directory, "run", "--mules", "2", "-d", "spool", "--uwsgi", "raises.py")
        assert (done.stdout, done.stderr) == ("True None\nTrue False\n", "")
        (directory / "watched").touch()
        wanted = {"changed 2", "second 18 True", "in mule 19 2", "hook b'hello' 1"}
        wait_until(lambda: wanted <= set(said(directory)), directory)
        wait_until(lambda: len([line for line in said(directory) if line.startswith("everywhere 17")]) == 2, directory)
    lines = said(directory)
    assert len({line for line in lines if line.startswith("everywhere 17")}) == 2, "one of each worker"
    assert lines.count("twice 1") == 2
    assert lines.count("second 18 True") == 1


@pytest.mark.heavy
def test_a_script_waits_for_a_timer_that_it_adds(directory: Path) -> None:
    with worker(directory, "--uwsgi", "jobs", "-d", "spool", *PROCESSES):
        wait_until(lambda: "tick 0" in said(directory), directory)
        done = aspool(directory, "run", "-d", "spool", "--uwsgi", "waits.py")
    assert (done.stdout, done.stderr) == ("here 30\nb'' 30\n", "")


@pytest.mark.heavy
def test_iterations_begin_anew_with_each_start(directory: Path) -> None:
    for start in (1, 2):
        with worker(directory, "--uwsgi", "jobs", "-d", "spool", *PROCESSES):
            wait_until(partial(is_said, directory, "twice 1", 2 * start), directory)


@pytest.mark.heavy
def test_a_process_of_a_mule_has_the_messages(directory: Path) -> None:
    command = [sys.executable, "-m", "aspool.cli", "run", "--mules", "2", "--mule", "1", "-d", "spool"]
    with worker(directory, "--uwsgi", "jobs", "-d", "spool", *PROCESSES):
        wait_until(lambda: said(directory).count("forked") == 2, directory)
        with subprocess.Popen([*command, "--uwsgi", "beast.py"], cwd=directory, env=environment()) as mule:
            waiting = directory / "spool" / ".aspool" / "uwsgi" / "waiting"
            wait_until(lambda: waiting.exists() and list(waiting.glob("mule.1.*")), directory)
            aspool(directory, "run", "--mules", "2", "-d", "spool", "--uwsgi", "raises.py")
            wait_until(lambda: "mule 1 b'hello'" in said(directory), directory)
            mule.kill()
        aspool(directory, "run", "--mules", "2", "-d", "spool", "--uwsgi", "raises.py")
        wait_until(lambda: "hook b'hello' 1" in said(directory), directory)


@pytest.mark.heavy
def test_a_cron_fires_once_on_the_minute(directory: Path) -> None:
    with worker(directory, "--uwsgi", "jobs", "-d", "spool", *PROCESSES):
        wait_until(lambda: "tick 0" in said(directory), directory)
        wait_until(lambda: "minute 3" in said(directory), directory, 120)
    seconds = re.findall(r"uwsgi\.cron\.jobs\.minute\.\d{8}T\d{4}(\d{2})Z done", (directory / "log").read_text())
    assert set(seconds) == {"00"}, "not when the workers began (W26)"
