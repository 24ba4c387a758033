"""A worker's process: what a supervisor does about one that is blocked so that nothing in it can run."""

import re
from collections.abc import Callable
from pathlib import Path

from .conftest import Program, wait_for

Start = Callable[..., Program]
BLOCKING = """
@spooler.task(name="block", harakiri=0.2, retries=0)
async def block(name: str) -> None:
    Path(name).write_text(str(os.getpid()))
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, for years, and it never lets go of the interpreter
"""


def test_one_that_holds_the_interpreter_is_ended_by_its_supervisor(start: Start, directory_of_app: Path) -> None:
    app = directory_of_app / "app.py"
    app.write_text(f"import re\n{app.read_text()}{BLOCKING}")
    program = start("--harakiri-grace=0.1", "--max-crashes=1")
    pid = int(program.run("block", "blocked"))
    wait_for(lambda: program.says("is blocked beyond all harakiri"))
    assert re.search(rf"worker 1 \(process {pid}\) is blocked .*app\.py\", line \d+ in block", log(program), re.DOTALL)
    assert program.run("note", "after") != f"VERSION {pid}"
    wait_for(lambda: program.spool.counts()["dead"] == 1)
    (dead,) = program.spool.browse(frozenset({"dead"}))
    assert "its worker died 1 times" in dead.reason


def log(program: Program) -> str:
    return program.told.read_text()
