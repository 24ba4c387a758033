"""The tables of keys, returns, decorators and functions for people who come from uWSGI: each row is so."""

import ast
import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from aspool import SPOOL_IGNORE, SPOOL_OK, SPOOL_RETRY, Body, DirectorySpool, Spooler
from aspool.cli.migration.functions import DIFFERENT, REFUSED, offered
from aspool.compat import Program
from aspool.outcomes import PutOff
from aspool.testing import Ran, drain_sync

from ..compat.conftest import MakeProgram, make_program  # noqa: F401 - a fixture
from .pages import ROOT
from .tables import Tables

PAGE = ROOT / "docs" / "coming-from-uwsgi.md"
KEYS = Tables(PAGE, "key", ("Keys",))
INNER = {"farm_loop", "mule_brain", "mule_brainloop", "mulemsg_loop", "spool_decorate"}  # what its decorators leave
HANDLER = Callable[[dict[Any, bytes]], Any]
row = KEYS.row


def cells(head: str) -> list[list[str]]:
    """The cells of a table that begins with this head."""
    lines = PAGE.read_text().splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def by_name(head: str) -> dict[str, str]:
    """What the second column says of each name of the first."""
    found: dict[str, str] = {}
    for names, told, *_ in cells(head):
        for name in names.replace("`", "").split(", "):
            assert name not in found, name
            found[name] = told
    return found


# --- functions and decorators ------------------------------------------------------------------------------------


def test_functions_are_those_of_the_shim_and_differ_as_it_is_said() -> None:
    names = {name for name in offered()["uwsgi"] if not name.startswith("__")}
    assert by_name("function") == {name: DIFFERENT["uwsgi"].get(name, "as there") for name in names}


def test_what_is_not_supported_says_what_to_use_instead() -> None:
    assert by_name("not supported") == REFUSED["uwsgi"]


def test_decorators_are_those_of_uwsgi() -> None:
    told = by_name("decorator")
    assert {name for name in told if told[name] == "refused"} == set(REFUSED["uwsgidecorators"])
    refused = dict.fromkeys(REFUSED["uwsgidecorators"], "refused")
    assert told == {name: DIFFERENT["uwsgidecorators"].get(name, "as there") for name in told} | refused
    assert set(told) <= offered()["uwsgidecorators"]
    assert real_decorators() - set(told) == INNER


def real_decorators() -> set[str]:
    """The names that uWSGI's own module, which cannot be imported here, has for programs."""
    spec = find_spec("uwsgidecorators")
    assert spec is not None
    assert spec.origin is not None
    found: set[str] = set()
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.add(node.name)
    return found


# --- what a handler returns --------------------------------------------------------------------------------------


def ending(_: object) -> None:
    sys.exit(3)


def failing(_: object) -> None:
    raise ValueError("no")


RETURNS: Mapping[str, tuple[Any, ...]] = {  # by rows: handlers under the shim, then native ones
    "SPOOL_OK, -2": (-2, SPOOL_OK),
    "SPOOL_RETRY, -1": (-1, SPOOL_RETRY),
    "SPOOL_IGNORE, 0, False": (0, SPOOL_IGNORE),
    "1, True, another number": (True, 5),
    "None, text, a float": (None, "text"),
    "a number that is no C int": (2**32 - 2, None),
    "an exception": (failing, failing),
    "sys.exit()": (ending, ending),
}


def test_every_return_has_a_test() -> None:
    assert [each[0].replace("`", "") for each in cells("returned")] == list(RETURNS)


@pytest.mark.parametrize("line", cells("returned"), ids=lambda line: line[0])
def test_what_a_handler_returns(line: list[str], make_program: MakeProgram, directory: DirectorySpool) -> None:  # noqa: F811 - a fixture
    under_the_shim, native = RETURNS[line[0].replace("`", "")]
    program = make_program()
    program.module.spooler = handler(under_the_shim)  # type: ignore[attr-defined]  # as programs set it
    program.module.spool({b"a": b"b"})
    said = told(drain_sync(program.spooler)[0])
    assert line[2].startswith(said)

    spooler = Spooler(DirectorySpool(directory.path.with_name("native")))
    answering = handler(native)

    @spooler.handler
    def native_handler(variables: dict[str, str], body: Body) -> Any:
        return answering({})

    spooler.spool_sync({"a": "b"})
    assert told(drain_sync(spooler)[0]) == (said if line[3].startswith("the same") else "done")


def handler(value: Any) -> HANDLER:
    return value if callable(value) else lambda _: value


def told(ran: Ran) -> str:
    """In the words of the table."""
    if isinstance(ran.outcome, PutOff) and ran.outcome.attempt:
        return "a failure, which is counted"
    if isinstance(ran.outcome, PutOff):
        return "left for another worker" if ran.outcome.unknown else "again after `frequency` seconds, uncounted"
    return ran.state


# --- keys --------------------------------------------------------------------------------------------------------


def test_every_key_has_a_test() -> None:
    KEYS.check(at_least=6)


@pytest.fixture
def program(make_program: MakeProgram, directory: DirectorySpool) -> Program:  # noqa: F811 - a fixture
    return make_program(Spooler(directory, spools={"mail": directory.path.with_name("mail")}))


@pytest.fixture
def uwsgi(program: Program) -> Any:
    return program.module


@row("at")
def test_at(uwsgi: Any) -> None:
    paths = [uwsgi.spool({b"at": b"3000000000"}), uwsgi.spool({"at": 3000000000.5})]
    assert [os.stat(path).st_mtime for path in paths] == [3_000_000_000, 3_000_000_001]
    with pytest.raises(ValueError, match="at=b'abc' is no UNIX timestamp"):
        uwsgi.spool({b"at": b"abc"})


@row("priority")
def test_priority(uwsgi: Any, directory: DirectorySpool) -> None:
    assert os.path.dirname(uwsgi.spool({b"priority": b"5"})) == os.fsencode(directory.path / "5")
    with pytest.raises(ValueError, match=r"the priority b'\.\./x' is refused"):
        uwsgi.spool({b"priority": b"../x"})


@row("spooler")
def test_spooler(uwsgi: Any) -> None:
    mail = uwsgi.spoolers[1]
    for name in (mail, mail + b"/", "mail", 1):
        assert os.path.dirname(uwsgi.spool({b"spooler": name})) == mail
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:1\b"):
        uwsgi.spool({b"spooler": b"127.0.0.1:1"})


@row("body", "spooler_task_name", "any other")
def test_what_the_handler_gets(program: Program, uwsgi: Any) -> None:
    got: list[dict[Any, bytes]] = []

    def keep(env: dict[Any, bytes]) -> int:
        got.append(env)
        return -2

    uwsgi.spooler = keep
    path = uwsgi.spool({b"body": b"long", b"a": b"b"}, number=5)
    assert drain_sync(program.spooler)[0].state == "done"
    assert got == [{"spooler_task_name": os.path.basename(path), b"a": b"b", b"number": b"5", "body": b"long"}]
    with pytest.raises(ValueError, match="a uwsgi packet holds 65535"):
        uwsgi.spool({b"a": b"x" * 70_000})
