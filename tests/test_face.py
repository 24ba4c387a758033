"""The face: it offers what it says and nothing else, each name has one home, and loading it is light."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import aspool

LONGEST_IMPORT = 10.0  # times a loop that takes 20 to 30 ms, on whatever machine
HEAVY = (
    "aiofiles", "aiosqlite", "anyio", "asyncpg", "click", "croniter", "fastapi", "pydantic", "prometheus_client",
    "rich", "sqlite3", "starlette", "uvicorn", "uvloop",
)  # fmt: skip
PACKAGE = Path(aspool.__file__).parent

IMPORTING = """
import sys, time

def loop():
    started = time.process_time()
    sum(number * number % 7 for number in range(500_000))
    return time.process_time() - started

before = loop()
started = time.process_time()
import aspool
took = time.process_time() - started
print(took / max(before, loop()), *sys.modules)
"""


def in_fresh_process(program: str) -> str:
    return subprocess.check_output([sys.executable, "-c", program], text=True)


def offered() -> set[str]:
    """What a user finds in the face: not the modules that Python puts there, not what only its code needs."""
    return {
        name
        for name, value in vars(aspool).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name not in ("Any", "TYPE_CHECKING")
    }


def test_all_says_what_is_offered() -> None:
    promised = set(aspool.__all__)
    assert len(promised) == len(aspool.__all__)
    assert {name for name in promised if not hasattr(aspool, name)} == set()
    assert offered() <= promised
    assert promised - offered() - {"errors", "worker"} <= set(aspool._LATER)
    assert 25 <= len(promised) <= 40


def test_a_star_import_brings_all_of_it() -> None:
    names: dict[str, object] = {}
    exec("from aspool import *", names)
    assert set(aspool.__all__) <= set(names)


def test_a_name_that_is_not_offered() -> None:
    with pytest.raises(AttributeError, match="module 'aspool' has no attribute 'Broker'"):
        aspool.Broker  # noqa: B018 - the access is the point of it
    assert aspool.__version__


@pytest.mark.parametrize("name", sorted(aspool.__all__))
def test_each_name_has_one_home(name: str) -> None:
    value = getattr(aspool, name)
    if isinstance(value, ModuleType):
        assert value.__name__ == f"aspool.{name}"
        return
    home = importlib.import_module(getattr(value, "__module__", "aspool.outcomes"))
    assert home.__name__.startswith("aspool.")
    word = name if name in vars(home) else getattr(value, "__name__", name)
    assert getattr(home, word) is value


def test_every_class_and_function_of_the_face_is_documented() -> None:
    for name in aspool.__all__:
        assert getattr(aspool, name).__doc__, name


def test_every_error_is_in_the_tree_that_is_drawn() -> None:
    drawn = aspool.errors.__doc__ or ""
    for error in vars(aspool.errors).values():
        if isinstance(error, type) and issubclass(error, Exception):
            assert issubclass(error, aspool.AspoolError)
            assert error.__name__ in drawn


def test_what_is_loaded_later_is_where_it_is_said_to_be() -> None:
    for module, attribute in aspool._LATER.values():
        assert attribute is None or hasattr(importlib.import_module(module), attribute)


def test_what_type_checkers_see_is_what_is_loaded_later() -> None:
    (block,) = [node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(aspool._LATER)


def test_importing_it_loads_nothing_heavy() -> None:
    loaded = {name.split(".")[0] for name in in_fresh_process(IMPORTING).split()[1:]}
    assert loaded & set(HEAVY) == set()


def test_importing_it_loads_no_folder() -> None:
    loaded = [name.split(".")[1] for name in in_fresh_process(IMPORTING).split() if name.startswith("aspool.")]
    assert [name for name in loaded if (PACKAGE / name).is_dir()] == []


def test_importing_it_is_quick() -> None:
    took: list[float] = []
    while len(took) < 8 and min(took, default=LONGEST_IMPORT) >= LONGEST_IMPORT:  # the machine may be busy
        took.append(float(in_fresh_process(IMPORTING).split()[0]))
    assert min(took) < LONGEST_IMPORT, f"import aspool took {took} times a loop"
