"""The page about uWSGI's weaknesses: each has its line, and each test that a line names exists."""

import ast
import re
from functools import cache

import pytest

from .pages import ROOT

PAGE = ROOT / "docs" / "explanation" / "uwsgi-weaknesses.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
LINES = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if re.match(r"\| W\d+ \|", line)]


def test_each_has_a_line() -> None:
    assert sorted(int(line[0][1:]) for line in LINES) == list(range(1, 27))


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_each_line_names_tests_that_exist(line: list[str]) -> None:
    assert len(line) == 4, "number, uWSGI, aspool, tests"
    named = TEST.findall(line[3])
    assert named
    assert TEST.sub("", line[3]).strip(", ") == "", "nothing but tests"
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


@cache
def functions_of(file: str) -> set[str]:
    path = ROOT / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.exists() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
