"""Orders and words travel as JSON."""

import pytest

from aspool.supervisor.order import Counted, Deadline, Idle, Leaving, Load, Order, Ready, Word, read_order, read_word
from aspool.supervisor.order import written as said

WORDS: list[Word] = [
    Ready(["/a", "memory:"], must_stay=True), Leaving("max_tasks", wants_successor=True), Deadline(12.5), Deadline(),
    Idle(1e9), Idle(), Load(saturated=True), Counted({"tasks": {"a": 1}}),
]  # fmt: skip


def test_an_order_travels() -> None:
    order = Order("app:spooler", {"processes": 2, "spools": ["a"]}, 3, 77, ["", "/x"])
    assert read_order(order.written()) == order


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_a_word_travels(word: Word) -> None:
    assert read_word(said(word)) == word


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'["Ready"]', b'["Nothing", {}]', b'["Idle", {"x": 1}]', b"\xff"])
def test_what_is_no_word_is_none(data: bytes) -> None:
    assert read_word(data) is None
