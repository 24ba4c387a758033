"""Every page is followed as a person would: files are written, commands typed, and what they print is compared."""

import ast
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from .pages import ROOT, Block, Ids, blocks, missing

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [page for page in PAGES if any(block.language in ("python", "console") for block in blocks(page))]
DEADLINE = 30.0  # seconds
COMMAND = 60.0  # and for a command to end
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Shop:
    """The directory in which a page is followed, and its terminals."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ids = Ids()
        self.line = 0  # of the page
        self.port = free_port()
        self.terminals: dict[str, Terminal] = {}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ASPOOL_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        self.environment = {
            **kept, "PATH": path, "TERM": "xterm", "COLUMNS": "110", "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error", "PYTHONFAULTHANDLER": "1", "UVICORN_PORT": str(self.port),
            # Below a shared one pytest removes the directories of earlier runs: a million files, after a heavy test.
            "PYTEST_DEBUG_TEMPROOT": str(home),
        }  # fmt: skip

    def follow(self, block: Block) -> None:
        if block.language == "python":
            self._take_python(block)
        elif block.file is not None:
            (self.home / block.file).write_text(block.text)
        elif block.language == "console" and block.title:
            self._use_terminal(block)
        elif block.language == "console":
            for command, shown in block.commands:
                self._type(command, shown)

    def _use_terminal(self, block: Block) -> None:
        """Start its command; or, without one, wait for what it prints further."""
        if not block.commands:
            self.terminals[block.title].must_show(["…", *block.text.splitlines(), "…"])
            return
        ((command, shown),) = block.commands
        if block.title in self.terminals:
            self.terminals[block.title].end()
        self.terminals[block.title] = Terminal(self, self.command(command), shown)

    def _take_python(self, block: Block) -> None:
        if block.is_old_world:
            ast.parse(block.text)
        elif block.file is not None:
            (self.home / block.file).parent.mkdir(parents=True, exist_ok=True)
            (self.home / block.file).write_text(block.text)
        else:
            script = self.home / "typed.py"
            script.write_text(block.text)
            self._type("python typed.py", ["…"])

    def command(self, text: str) -> str:
        """A command as it can be run here: with real ids, and on a port that is free."""
        return self.ids.put_in(text).replace(":8000", f":{self.port}")

    def _type(self, command: str, shown: list[str]) -> None:
        code, printed = self.run(self.command(command))
        lack = missing(shown, printed, self.ids) if shown else None
        if lack is not None:
            self.fail(f"{command}\nlacks: {lack}\nprinted:\n" + "\n".join(printed))
        may_fail = any(line.startswith("aspool: ") for line in shown)
        if code and not may_fail:
            self.fail(f"{command} ended with {code}:\n" + "\n".join(printed))

    def fail(self, text: str) -> NoReturn:
        """The page is wrong, or the program."""
        pytest.fail(f"line {self.line}: {text}", pytrace=False)

    def run(self, command: str) -> tuple[int, list[str]]:
        """Run a command on a terminal: its exit code, and the lines on the screen."""
        ours, theirs = pty.openpty()
        shell = subprocess.Popen(["bash", "-c", command], cwd=self.home, env=self.environment, process_group=0,
                                 stdin=theirs, stdout=theirs, stderr=theirs)  # fmt: skip
        os.close(theirs)
        # What hangs says where: Python prints the stacks of its threads then.
        watchdog = threading.Timer(COMMAND, os.killpg, (shell.pid, signal.SIGABRT))
        watchdog.start()
        printed = b"".join(iter(lambda: _read_or_end(ours), b"")).decode()
        watchdog.cancel()
        os.close(ours)
        return shell.wait(DEADLINE), _ESCAPES.sub("", printed).replace("\r", "").splitlines()


def _read_or_end(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""


class Terminal:
    """Another terminal, and the program that runs in it."""

    def __init__(self, shop: Shop, command: str, shown: list[str]) -> None:
        self.shop, self.command, self.shown = shop, command, shown
        self.output = shop.home / f"terminal-{time.monotonic_ns()}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=shop.home, env=shop.environment,
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        first = next((at for at, line in enumerate(shown) if line.strip(" …")), None)
        if first is not None:
            self.must_show([*shown[: first + 1], "…"])

    def must_show(self, shown: list[str]) -> None:
        """Wait until it has printed what the page shows."""
        deadline = time.monotonic() + DEADLINE
        while (lack := missing(shown, self.output.read_text().splitlines(), self.shop.ids)) is not None:
            printed = self.output.read_text()
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.shop.fail(f"{self.command} lacks {lack!r}:\n{printed}")
            time.sleep(0.01)

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DEADLINE) in (0, -signal.SIGINT), self.output.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def shop() -> Iterator[Shop]:
    home = Path(tempfile.mkdtemp(prefix="s"))  # a short path, since tables wrap a long one
    made = Shop(home)
    yield made
    for terminal in made.terminals.values():
        terminal.kill()
    shutil.rmtree(home)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_can_be_followed(page: Path, shop: Shop) -> None:
    if "curl " in page.read_text() and shutil.which("curl") is None:
        pytest.skip("this page uses curl, which is not installed here")
    for block in blocks(page):
        shop.line = block.line
        shop.follow(block)
    for terminal in shop.terminals.values():
        terminal.must_show([*terminal.shown, "…"])
        terminal.end()


def test_every_block_has_a_language_that_is_known() -> None:
    known = {"python", "console", "sh", "text", "ini", "toml", "yaml", "js", "json"}
    assert [
        f"{page.relative_to(ROOT)}:{block.line} {block.language}"
        for page in PAGES
        for block in blocks(page)
        if block.language not in known
    ] == []


def test_most_pages_have_code_that_is_run() -> None:
    assert len(WITH_CODE) >= 8
    assert ROOT / "README.md" in WITH_CODE
