"""What calls of the module `uwsgi` give, in a real uWSGI and here: a table of expressions, run in both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..real_uwsgi import run_in_uwsgi

# What a call gives, in both: its value, or the class and text of what it raises.
_TRY = """
def handler(num): pass
def other(num): pass

def results(calls, names):
    found = []
    for call in calls:
        try:
            found.append(repr(eval(call, names)))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found
"""
_PROGRAM = """
import json, uwsgi
{attempt}
calls = json.loads({calls!r})
names = {{"uwsgi": uwsgi, "handler": handler, "other": other}}

def is_there():
    where = "mule" if uwsgi.mule_id() else "worker" if uwsgi.worker_id() else "master"
    number = uwsgi.mule_id() or uwsgi.worker_id()
    return where == {where!r} and number in (0, 1)

def run():
    if is_there():
        print(json.dumps(results(calls, names)))
        print("END")

uwsgi.post_fork_hook = run
run()
"""


def real(directory: Path, where: str, calls: Sequence[str], *arguments: str) -> list[str]:
    """What calls give in the master, in the first worker or in the first mule of a real uWSGI."""
    program = _PROGRAM.format(attempt=_TRY, calls=json.dumps(calls), where=where)
    found: list[str] = json.loads(run_in_uwsgi(directory, program, *arguments).splitlines()[0])
    return found


def ours(uwsgi: Any, calls: Sequence[str]) -> list[str]:
    """What they give here."""
    names: dict[str, Any] = {"__name__": __name__}
    exec(_TRY, names)  # the text above
    names["uwsgi"] = uwsgi
    found: list[str] = names["results"](calls, names)
    return found


def differences(calls: Sequence[str], real: Sequence[str], ours: Sequence[str]) -> list[tuple[str, str, str]]:
    """Where they differ. An error here may say more after the words of uWSGI; those of TypeError are Python's own."""
    return [
        (call, there, here)
        for call, there, here in zip(calls, real, ours, strict=True)
        if there != here
        and not (there.startswith("TypeError") and here.startswith("TypeError"))
        and not (here.partition(": ")[0] == there.partition(": ")[0] and here.startswith(there))
    ]
