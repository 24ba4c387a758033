"""Two functions of one name in one file are refused; the same one once more, as a reload makes it, is not."""

import functools
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aspool import MemorySpool, Spooler, TaskRefused, Tasks

HUB = "from aspool import MemorySpool, Spooler\nspooler = Spooler(MemorySpool())\n"
BEAT = "@spooler.timer(10)\ndef beat(): return {}\n"
Importing = Callable[[str, str], ModuleType]


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Importing]:
    """Write a module, and import it; or load it anew, if it is there."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of a file that is written twice in a second

    def write(name: str, text: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        known = sys.modules.get(name)
        return importlib.import_module(name) if known is None else importlib.reload(known)

    yield write
    for name in [path.stem for path in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("decorator", ["task", "timer(10)", "signal('a')", "task(executor='process')"])
def test_copied_and_pasted(importing: Importing, decorator: str, tmp_path: Path) -> None:
    importing("hub_a", HUB)
    lines = ["from hub_a import spooler", f"@spooler.{decorator}", "def beat(): ...", "", f"@spooler.{decorator}",
             "def beat(n: int = 3): ..."]  # fmt: skip
    with pytest.raises(TaskRefused) as refused:
        importing("jobs_a", "\n".join(lines))
    assert str(refused.value) == (
        f"two functions are called jobs_a.beat, in the lines 2 and 5 of {tmp_path}/jobs_a.py: rename one of them, or "
        "give it another name="
    )


def test_a_reload_is_no_copy(importing: Importing) -> None:
    hub = importing("hub_b", HUB)
    start = "from hub_b import spooler\n"
    for number, text in enumerate((BEAT, "\n\n" + BEAT, BEAT)):
        importing("jobs_b", start + text.format(number))
        assert hub.spooler.tasks["jobs_b.beat"]() == number, "the last one is in force"
    with pytest.raises(TaskRefused, match=r"two functions are called jobs_b\.beat, in the lines 2 and 4"):
        importing("jobs_b", start + BEAT.format(1) + BEAT.format(2))


def test_cells_of_a_notebook() -> None:
    spooler = Spooler(MemorySpool())
    variables: dict[str, Any] = {"__name__": "__main__", "__spec__": None, "spooler": spooler}

    def cell(file: str, text: str) -> None:
        exec(compile(text, file, "exec"), variables)

    def works() -> int:
        (task,) = spooler.tasks.values()
        return int(task())

    first = "/tmp/ipykernel_1/1111.py"  # it is made of the cell's text
    for _ in range(2):
        cell(first, BEAT.format(1))
        assert works() == 1, "run again"
    cell("/tmp/ipykernel_1/2222.py", "x = 1\n" + BEAT.format(2))
    assert works() == 2, "edited and run again"
    for number, file in enumerate(("<ipython-input-3-0123456789ab>", "<stdin>", "<stdin>", "<string>")):
        cell(file, "\n" * number + BEAT.format(number))
        assert works() == number
    with pytest.raises(TaskRefused, match="two functions are called"):
        cell("/tmp/ipykernel_1/3333.py", BEAT.format(1) + BEAT.format(2))


@pytest.mark.parametrize("copies", [1, 2])
def test_a_script_that_is_imported_by_name_as_well(tmp_path: Path, copies: int) -> None:
    (tmp_path / "hub.py").write_text(HUB)
    text = "from hub import spooler\n" + BEAT.format(1) * copies
    (tmp_path / "app.py").write_text(text + "if __name__ == '__main__':\n    import app\n    print(*spooler.tasks)\n")
    done = subprocess.run([sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    if copies == 1:
        assert (done.stdout, done.stderr) == ("app.beat\n", "")
    else:
        assert "two functions are called app.beat, in the lines 2 and 4 of " in done.stderr


def kept(function: Callable[[], int]) -> Callable[[], int]:
    @functools.wraps(function)
    def call() -> int:
        return function()

    return call


def test_what_is_wrapped_is_looked_at() -> None:
    tasks = Tasks()

    @tasks.task
    @kept
    def beat() -> int:
        return 1

    with pytest.raises(TaskRefused, match="two functions are called"):

        @tasks.task
        @kept
        def beat() -> int:
            return 2

    assert beat() == 1


def test_one_line_may_make_several() -> None:
    def made(number: int) -> Callable[[], int]:
        def beat() -> int:
            return number

        return beat

    tasks = Tasks()
    for number in range(3):
        tasks.task(made(number))
    assert [task() for task in tasks.tasks.values()] == [2]


def test_groups_of_one_file_meet_in_a_spooler() -> None:
    first, second = Tasks(prefix="a."), Tasks(prefix="a.")
    first.task(name="beat")(lambda: 1)
    second.task(name="beat")(
        lambda: 2  # on another line
    )
    spooler = Spooler(MemorySpool())
    spooler.include(first)
    with pytest.raises(TaskRefused, match=r"two functions are called a\.beat"):
        spooler.include(second)
    assert spooler.tasks == first.tasks
