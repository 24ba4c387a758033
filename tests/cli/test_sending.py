"""`aspool send` and `aspool spool`: typed arguments, moments, bodies, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


def shown(run: Run, id: str) -> Any:
    return json.loads(run("show", id, "--json").output)


def sent(run: Run, *arguments: str) -> Any:
    """What was spooled by a call."""
    result = run("send", "app", *arguments)
    assert result.exit_code == 0, result.stderr
    return shown(run, result.stdout.strip())


def test_values_are_taken_as_the_hints_say(run: Run) -> None:
    words = ("to=3", "count=4", "flag=true", 'tags=["1", "2"]')
    assert sent(run, "send_mail", *words)["arguments"] == {
        "to": "3",
        "count": 4,
        "flag": True,
        "tags": ["1", "2"],
    }


@pytest.mark.parametrize(("word", "value"), [("first=3", 3), ("first=hi", "hi"), ('first={"a": 1}', {"a": 1})])
def test_without_a_hint_a_value_is_json_if_it_can_be(run: Run, word: str, value: Any) -> None:
    uuid = "4b3e9b0e-0d0e-4c9f-9d5a-000000000001"
    arguments = sent(run, "anything", word, f"second={uuid}", "when=2031-01-01T00:00:00Z", "more=5")["arguments"]
    assert arguments == {"first": value, "second": uuid, "when": "2031-01-01T00:00:00Z", "rest": {"more": 5}}


def test_arguments_as_one_object(run: Run) -> None:
    assert sent(run, "send_mail", "--json", '{"to": "x", "count": 2}')["arguments"] == {"to": "x", "count": 2}


def test_options_of_a_call(run: Run) -> None:
    message = sent(run, "send_mail", "to=a", "--id", "mine", "--priority", "7", "--at", "2031-05-01T08:00+02:00")
    assert (message["id"], message["priority"], message["state"]) == ("mine", 7, "scheduled")
    assert message["due"] == "2031-05-01T06:00:00+00:00"
    again = run("send", "app", "send_mail", "to=b", "--id", "mine")
    assert (again.exit_code, again.stdout) == (0, "mine\n")
    assert "no second one" in again.stderr


def test_another_spool_of_the_application(run: Run, app: Path) -> None:
    assert run("send", "app", "send_mail", "to=a", "--spool", "mail").exit_code == 0
    assert len(run("ls", "-d", "mail").output.splitlines()) == 1
    assert not (app / "spool").exists()


def test_bodies(run: Run, app: Path) -> None:
    (app / "picture").write_bytes(b"\x89PNG")
    assert sent(run, "upload", "name=x", "--body", "picture")["body_size"] == 4
    by_pipe = run("send", "app", "upload", "name=x", "--body", "-", input=b"12345")
    assert shown(run, by_pipe.stdout.strip())["body_size"] == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("send_mail", "to=a", "count=many"), "count: Input should be a valid integer"),
        (("send_mail", "tu=a"), "has no parameter tu; it has to, count, flag, tags"),
        (("send_mail",), "missing a required argument: 'to'"),
        (("send_mail", "to"), "'to' is no key=value"),
        (("send_mail", "to=a", "to=b"), "to is given twice"),
        (("send_mail", "to=a", "--json", "{}"), "not both"),
        (("send_mail", "--json", '{"to": 3}'), "these arguments do not fit app.send_mail: to:"),
        (("send_mail", "--json", "{"), "these arguments do not fit"),
        (("send_mail", "to=a", "--id", "../x"), "the id '../x' is refused"),
        (("send_mail", "to=a", "--priority", "-1"), "the priority -1 is refused"),
        (("send_mail", "to=a", "--at", "2031-01-01T00:00"), "has no zone"),
        (("send_mail", "to=a", "--at", "tomorrow"), "is no moment"),
        (("send_mail", "to=a", "--in", "soon"), "is no duration"),
        (("send_mail", "to=a", "--in", "1h", "--at", "2000000000"), "--at or --in, not both"),
        (("send_mail", "to=a", "--body", "picture"), "there is no such file"),
        (("send_mail", "to=a", "--body", "app.py"), "has no parameter annotated Body"),
        (("upload", "name=a", "body=app.py"), "give --body FILE"),
        (("send_mail", "to=a", "--spool", "post"), "no spool is called 'post'"),
        (("unknown",), "app has no task unknown; it has "),
        (("twice",), "several tasks of app end with twice: other.send_mail.twice, more.twice"),
    ],
)
def test_what_is_refused_writes_nothing(run: Run, app: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = run("send", "app", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (app / "spool").exists()


def test_a_hint_that_cannot_be_resolved_is_said_in_a_sentence(run: Run, app: Path) -> None:
    (app / "hints.py").write_text("""
from __future__ import annotations
from typing import TYPE_CHECKING
from aspool import Spooler
if TYPE_CHECKING:
    from decimal import Decimal
spooler = Spooler("./spool")
@spooler.task
async def pay(amount: Decimal) -> None: ...
""")
    result = run("send", "hints", "pay", "amount=3")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert result.stderr.startswith("aspool: hints.pay: a type hint cannot be resolved: name 'Decimal' is not defined")


def test_a_raw_message(run: Run) -> None:
    result = run("spool", "ToGroup=customers", "priority=3", "-d", "spool", "--body", "-", input=b"abc")
    message = shown(run, result.stdout.strip())
    assert message["variables"]["ToGroup"] == "customers"
    assert (message["task"], message["priority"], message["body_size"]) == (None, 3, 3)


def test_a_raw_message_needs_variables(run: Run) -> None:
    assert run("spool").exit_code == 2


def test_where_the_spool_is_comes_from_the_environment(run: Run, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPOOL_SPOOL", str(app / "elsewhere"))
    run("spool", "a=b")
    assert (app / "elsewhere").is_dir()
    assert len(run("ls").output.splitlines()) == 1


def test_a_spool_that_cannot_be_written(run: Run) -> None:
    result = run("spool", "a=b", "-d", "missing/spool")
    assert result.exit_code == 3
    assert "the directory above it does not exist" in result.stderr
