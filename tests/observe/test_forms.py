"""How a log line looks, and that nothing logged can look like another line."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.job import Job
from aspool.observe.forms import JsonFormatter, TextFormatter, plain
from aspool.observe.job_records import JobRecord, Names, know_jobs

from .conftest import within

MOMENT = 1_795_238_855.816
JOB = Names("0660c27f0b6f1e4d2c9a31", "app.send", 2)
ATTACK = "x\n2026-11-21 05:27:37,809 ERROR   aspool.worker: forged\r\n\x1b[2J\x9b2J\u202e\u2028\x00\x85\udc80\t."


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def record(message: Any, *args: Any, name: str = "app", names: Names = JOB, **attributes: Any) -> JobRecord:
    made = JobRecord(name, logging.WARNING, "app.py", 7, message, args, attributes.pop("exc_info", None))
    made.created, made.msecs, made.process = MOMENT, 816.0, 4711
    made.of_job = names
    made.__dict__.update(attributes)
    return made


def failure() -> Any:
    try:
        raise ValueError("no such address\nreally")
    except ValueError:
        return sys.exc_info()


def text(made: logging.LogRecord) -> str:
    return TextFormatter().format(made)


def read(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert line.isascii()
    assert line.isprintable()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return found


# --- text ------------------------------------------------------------------------------------------------------


def test_text_of_user_code_within_a_job() -> None:
    assert text(record("sent to %s", "Jo")) == (
        "2026-11-21 05:27:35,816 WARNING app: [app.send 0660c27f0b6f1e4d2c9a31 #2] sent to Jo"
    )


@pytest.mark.parametrize("name", ["aspool", "aspool.worker", "aspool.job"])
def test_our_own_lines_name_the_job_themselves(name: str) -> None:
    assert text(record("app.send 0660 done", name=name)) == (
        f"2026-11-21 05:27:35,816 WARNING {name}: app.send 0660 done"
    )


def test_text_outside_of_jobs() -> None:
    assert text(record("ready", names=Names(), name="aspools")) == "2026-11-21 05:27:35,816 WARNING aspools: ready"


def test_a_format_that_has_the_id_gets_it_once() -> None:
    assert TextFormatter("%(task_id)s %(message)s").format(record("x")) == "0660c27f0b6f1e4d2c9a31 x"


def test_tracebacks_are_indented() -> None:
    lines = text(record("it failed", exc_info=failure())).splitlines()
    assert lines[0].endswith("#2] it failed")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: no such address", "    really"]


def test_what_is_indented_already_stays_so() -> None:
    made = record("buried: why\n    Traceback:\n      File\n", name="aspool.worker")
    assert text(made).split("\n") == [
        "2026-11-21 05:27:35,816 WARNING aspool.worker: buried: why", "    Traceback:", "      File",
    ]  # fmt: skip


def test_other_handlers_get_the_record_as_it_was() -> None:
    made = record("it failed: %s", "x", exc_info=failure())
    text(made)
    assert (made.msg, made.args) == ("it failed: %s", ("x",))
    assert made.exc_info is not None


def test_no_line_can_be_forged() -> None:
    for made in (record("%s", ATTACK), record(ATTACK, names=Names()), record("x", name=f"app{ATTACK}"),
                 record("x", exc_info=(ValueError, ValueError(ATTACK), None))):  # fmt: skip
        first, *rest = text(made).split("\n")
        assert first.startswith("2026-11-21 05:27:35,816 WARNING app")
        assert all(line.startswith("    ") for line in rest)
        assert all(line.isprintable() for line in (first, *rest))


@given(st.text(), st.text())
def test_no_text_breaks_a_line(message: str, name: str) -> None:
    made = record("%s", message, name=name)
    first, *rest = text(made).split("\n")
    assert all(line.isprintable() and (not line or line.startswith("    ")) for line in rest)
    assert first.isprintable()
    assert read(made)["message"] == message.encode(errors="backslashreplace").decode()


# --- JSON ------------------------------------------------------------------------------------------------------


def test_json_of_user_code_within_a_job() -> None:
    assert JsonFormatter().format(record("sent to %s", "Jo", amount=3)) == (
        '{"time": "2026-11-21T05:27:35.816+00:00", "level": "WARNING", "logger": "app", "message": "sent to Jo", '
        '"pid": 4711, "task": "app.send", "task_id": "0660c27f0b6f1e4d2c9a31", "attempt": 2, "amount": 3}'
    )


def test_json_outside_of_jobs() -> None:
    assert read(record("ready", names=Names())).keys() == {"time", "level", "logger", "message", "pid"}


def test_json_has_tracebacks_and_stacks() -> None:
    found = read(record("it failed", exc_info=failure(), stack_info="Stack (most recent call last):\n  here"))
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ValueError: no such address\nreally")
    assert found["stack"].endswith("\n  here")


def test_extras_do_not_take_our_names(logging_untouched: None, job: Job[Any]) -> None:
    know_jobs()
    logger = logging.getLogger("library")
    extra = {"level": 3, "task": "wash", "attempt": 9, "colour": "red"}
    made = within(job, logger.makeRecord, "library", 20, "", 1, "x", (), None, None, extra)
    found = read(made)
    assert (found["level"], found["task"], found["task_id"], found["attempt"]) == ("INFO", "app.send", job.id, 2)
    assert [found[f"extra_{key}"] for key in ("level", "task", "attempt")] == [3, "wash", 9]
    assert found["colour"] == "red"
    found = read(logger.makeRecord("library", 20, "", 1, "x", (), None, None, extra))
    assert (found["task"], found["attempt"], "task_id" in found) == ("wash", 9, False)


def test_the_log_of_a_job_has_its_names_once(logging_untouched: None, job: Job[Any]) -> None:
    know_jobs()
    made: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = made.append  # type: ignore[assignment]  # a small one
    logging.root.addHandler(handler)
    job.log.warning("half of %d", 8, extra={"size": 1})
    found = read(made[0])
    assert (found["message"], found["task_id"], found["size"]) == ("half of 8", job.id, 1)
    assert not any(key.startswith("aspool") for key in found)
    assert text(made[0]).endswith(f" WARNING aspool.job: [app.send {job.id} #2] half of 8")


class Sour:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Sieve(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


def test_whatever_is_an_extra_has_a_form() -> None:
    circle: list[Any] = []
    circle.append(circle)
    made = record("x", nan=float("nan"), huge=10**5000, bytes=b"\xff", path=Path("/x"), sour=Sour(), circle=circle,
                  sieve=Sieve(), nested={1: [True, None, {"a"}]}, text="\udc80", raw={"\udc80": 1})  # fmt: skip
    found = read(made)
    assert (found["nan"], found["huge"], found["bytes"], found["path"]) == ("nan", "<int>", "b'\\xff'", "/x")
    assert (found["sour"], found["nested"]) == ("<Sour>", {"1": [True, None, ["a"]]})
    assert found["text"] == "\\udc80"
    assert found["raw"] == {"\\udc80": 1}


@pytest.mark.parametrize("args", [("not a number",), (1, 2), (Sour(),)])
def test_arguments_that_do_not_fit_are_said_to(args: tuple[Any, ...]) -> None:
    made = record("%d pieces", *args)
    assert "%d pieces (not formatted, in app.py:7: " in text(made)
    assert read(made)["message"].startswith("%d pieces (not formatted, in app.py:7: ")


def test_an_error_that_cannot_be_shown() -> None:
    class Bitter(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    made = record("x", exc_info=(Bitter, Bitter(), None))
    assert "Bitter" in text(made)
    assert "Bitter" in read(made)["exception"]


def test_plain_values_stay() -> None:
    assert plain({"a": [1, 2.5, "ü", None]}) == {"a": [1, 2.5, "ü", None]}


def test_one_of_several_workers_says_which() -> None:
    made = record("ready: %s", "/spool", name="aspool.worker", names=Names())
    assert TextFormatter(worker=2).format(made).endswith(" WARNING aspool.worker 2: ready: /spool")
    assert json.loads(JsonFormatter(2).format(made))["worker"] == 2
    assert "worker" not in read(made)
    theirs = record("hello")
    assert TextFormatter(worker=2).format(theirs) == text(theirs), "lines of a task have its id"
