"""Text from outside, made safe for terminals and logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.escape import safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Ünï ☃", "plain Ünï ☃"),
        ("", ""),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("\u202eturned\u2028", "\\u202eturned\\u2028"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        (7, "7"),
    ],
)
def test_what_is_escaped(text: object, shown: str) -> None:
    assert safe(text) == shown


@given(st.text(st.characters(codec=None)))
def test_it_is_one_printable_line_that_can_be_written(text: str) -> None:
    assert safe(text).isprintable()
    safe(text).encode()
