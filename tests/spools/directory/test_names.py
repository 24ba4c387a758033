"""File names: what ours say, that no name of uWSGI passes for one, and how foreign ones are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspool.ids import ID_PATTERN, new_id
from aspool.moments import LATEST
from aspool.spools.directory.names import PREFIX, FileName, foreign, glance, microseconds, parse

ARABIC = "".join(chr(0x660 + int(digit)) for digit in "0000000000000005")  # digits to Python, not to us

names = st.builds(
    FileName,
    due=st.integers(0, 9_999_999_999_000_000),
    id=st.from_regex(ID_PATTERN, fullmatch=True),
    attempt=st.integers(0, 999_999),
    crashes=st.integers(0, 999),
)


@given(names)
def test_a_name_says_what_was_put_into_it(name: FileName) -> None:
    text = str(name)
    assert parse(text) == name
    assert glance(text) == name.due
    assert text.startswith(PREFIX)
    assert "/" not in text
    assert len(text) <= 255


@given(st.lists(names, max_size=20))
def test_sorting_by_name_is_sorting_by_due_moment(given: list[FileName]) -> None:
    assert [name.due for name in sorted(given, key=str)] == sorted(name.due for name in given)


def test_a_name_to_look_at() -> None:
    text = "uwsgi_spoolfile_on_1795225754000000_welcome-42_3_1"
    assert str(FileName(1_795_225_754_000_000, "welcome-42", 3, 1)) == text
    assert parse(text) == FileName(1_795_225_754_000_000, "welcome-42", 3, 1)


def test_counts_beyond_all_bounds_stay_a_name_of_ours() -> None:
    assert parse(str(FileName(5, "a", 10**9, 10**9))) == FileName(5, "a", 999_999, 999)


def test_an_id_may_look_like_anything() -> None:
    for id in ("1", "1_2", "a_1_2", "0000000000000005_a_1_2", "_", "-", "x" * 80, new_id()):
        assert parse(str(FileName(5, id, 1, 2))) == FileName(5, id, 1, 2)


@pytest.mark.parametrize(
    "name",
    [
        "",
        PREFIX,
        "uwsgi_spoolfile_on_vm_16764_1_1953909777_1795225754_50186",
        "uwsgi_spoolfile_on_1234567890123456_16764_1_1953909777_1795225754_50",  # a host called by 16 digits
        "uwsgi_spoolfile_on_1234567890123456_7_1_5_1795225754_5",
        "uwsgi_spoolfile_on_0000000000000005_a_1_",
        "uwsgi_spoolfile_on_0000000000000005_a_1_2 ",
        "uwsgi_spoolfile_on_0000000000000005_a_1_2\n",
        "uwsgi_spoolfile_on_0000000000000005_a_1_2.tmp",
        "uwsgi_spoolfile_on_0000000000000005_a_1_-2",
        "uwsgi_spoolfile_on_000000000000005_a_1_2",
        "uwsgi_spoolfile_on_00000000000000005_a_1_2",
        f"uwsgi_spoolfile_on_{ARABIC}_a_1_2",
        "uwsgi_spoolfile_on_0000000000000005_.a_1_2",
        "uwsgi_spoolfile_on_0000000000000005_a/b_1_2",
        "uwsgi_spoolfile_on_0000000000000005_é_1_2",
        "uwsgi_spoolfile_on_0000000000000005_\udcff_1_2",
        "uwsgi_spoolfile_on_0000000000000005__1_2"[:-4],
        "uwsgi_spoolfile_on_0000000000000005_" + "x" * 81 + "_1_2",
        "uwsgi_spoolfile_on_0000000000000005_a_1234567_2",
        "uwsgi_spoolfile_on_0000000000000005_a_1_1234",
        "x_uwsgi_spoolfile_on_0000000000000005_a_1_2",
    ],
)
def test_these_are_not_names_of_ours(name: str) -> None:
    assert parse(name) is None


@given(
    st.from_regex(r"[A-Za-z0-9.-]{1,20}|[0-9]{16}", fullmatch=True),
    st.integers(1, 4_194_304),
    st.integers(1, 10**9),
    st.integers(0, 2**31 - 1),
    st.integers(10**9, 9_999_999_999),
    st.integers(0, 999_999),
)
def test_no_name_of_uwsgi_passes_for_ours(host: str, pid: int, counter: int, rand: int, sec: int, usec: int) -> None:
    assert parse(f"{PREFIX}{host}_{pid}_{counter}_{rand}_{sec}_{usec}") is None


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("uwsgi_spoolfile_on_0000000000000005_anything at all", 5),
        ("uwsgi_spoolfile_on_0000000000000005_", 5),
        ("uwsgi_spoolfile_on_0000000000000005", None),
        ("uwsgi_spoolfile_on_00000000000000055_a", None),
        ("uwsgi_spoolfile_on_vm_16764_1_1953909777_1795225754_50186", None),
        (f"uwsgi_spoolfile_on_{ARABIC}_a_1_2", None),
        ("uwsgi_spoolfile_on_²²²²²²²²²²²²²²²²_a_1_2", None),
        (PREFIX, None),
        ("", None),
    ],
)
def test_a_glance_at_the_due_moment(name: str, due: int | None) -> None:
    assert glance(name) == due


@given(st.text(max_size=60).map(lambda rest: PREFIX + rest))
def test_a_glance_never_contradicts_the_whole_name(name: str) -> None:
    found = parse(name)
    if found is not None:
        assert glance(name) == found.due


def test_a_foreign_name_is_due_at_its_mtime_and_called_by_its_hash() -> None:
    name = "uwsgi_spoolfile_on_vm_16764_1_1953909777_1795225754_50186"
    found = foreign(name, 1_795_225_754.9)
    assert found.due == 1_795_225_754_000_000  # whole seconds, as uWSGI's own test
    assert (found.attempt, found.crashes) == (0, 0)
    assert found.id == foreign(name, 5.0).id
    assert ID_PATTERN.fullmatch(found.id)
    assert len(found.id) == 17
    assert found.id.startswith("u")
    assert parse(str(found)) == found


def test_foreign_names_that_are_not_utf8_have_ids_too() -> None:
    ids = {foreign(f"{PREFIX}{rest}", 5.0).id for rest in ("\udcff", "\udcfe", "", "a", "é", "a\nb")}
    assert len(ids) == 6


@pytest.mark.parametrize(
    ("moment", "expected"), [(0.0, 0), (1.5, 1_500_000), (0.1 + 0.2, 300_000), (LATEST, 9_999_999_999_000_000)]
)
def test_microseconds(moment: float, expected: int) -> None:
    assert microseconds(moment) == expected


@given(st.integers(0, 9_999_999_999_000_000))
def test_a_due_moment_survives_the_way_through_a_timestamp(due: int) -> None:
    assert abs(microseconds(due / 1_000_000) - due) <= 1
