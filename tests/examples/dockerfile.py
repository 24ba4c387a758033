"""A Dockerfile without Docker: its instructions, and an image of them in a directory, by this machine's own Python.

Absolute paths are below that directory, the user is the one who runs the tests, and nothing is fetched: pip must
find that everything is there.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Those of a list, or of plain text."""
        return [*map(str, json.loads(self.text))] if self.is_list else shlex.split(self.text)

    @property
    def is_list(self) -> bool:
        return self.text.startswith("[")


def instructions(path: Path) -> list[Instruction]:
    """What a Dockerfile says, in order; HEALTHCHECK with its options before its command."""
    lines = _CONTINUED.sub(" ", _COMMENT.sub("", path.read_text())).splitlines()
    return [Instruction(name, text.strip()) for name, _, text in (line.partition(" ") for line in lines) if name]


def said(path: Path, name: str) -> Instruction:
    """The one instruction of that name."""
    (found,) = [each for each in instructions(path) if each.name == name]
    return found


def health_check(path: Path) -> list[str]:
    """The command of HEALTHCHECK, which must be a list."""
    return Instruction("CMD", said(path, "HEALTHCHECK").text.partition(" CMD ")[2]).words


@dataclass
class Image:
    """What a Dockerfile makes, in a directory."""

    file: Path
    root: Path
    ports: dict[str, str]
    workdir: Path = Path("/")
    environment: dict[str, str] = field(default_factory=dict)

    def build(self) -> None:
        for each in instructions(self.file):
            getattr(self, f"_{each.name.lower()}")(each)

    def here(self, text: str) -> str:
        """A word of the file as it is on this machine."""
        user, _, group = said(self.file, "USER").text.partition(":")
        ids = {f"--owner={user}": f"--owner={os.getuid()}", f"--group={group}": f"--group={os.getgid()}"}
        text = f"{self.root}{text}" if text.startswith("/") else ids.get(text, text)
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    def command(self, words: list[str]) -> list[str]:
        """What a container runs, to be started in `workdir` with `environment`."""
        program = shutil.which(words[0], path=self._path)
        assert program is not None, f"{words[0]} is not installed"
        return [program, *map(self.here, words[1:])]

    @property
    def variables(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ASPOOL_")}
        return {**kept, "PIP_NO_INDEX": "1", **self.environment, "PATH": self._path}

    @property
    def _path(self) -> str:
        return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    # --- one method for each instruction; any other is an error ----------------------------------------------

    def _from(self, instruction: Instruction) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim", instruction.text)

    def _env(self, instruction: Instruction) -> None:
        for word in instruction.words:
            name, _, value = word.partition("=")
            self.environment[name] = self.here(value)

    def _workdir(self, instruction: Instruction) -> None:
        self.workdir = Path(self.here(instruction.text))
        self.workdir.mkdir(parents=True)

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.words
        for source in sources:
            shutil.copy(self.file.parent / source, self.workdir / target)

    def _run(self, instruction: Instruction) -> None:
        assert instruction.is_list
        subprocess.run(self.command(instruction.words), cwd=self.workdir, env=self.variables, check=True, timeout=60)

    def _volume(self, instruction: Instruction) -> None:
        for path in instruction.words:
            assert Path(self.here(path)).stat().st_mode & 0o777 == 0o700

    def _user(self, instruction: Instruction) -> None:
        assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", instruction.text), "numbers, and not root's"

    def _nothing(self, instruction: Instruction) -> None:
        """It takes effect when a container runs."""

    _stopsignal = _healthcheck = _cmd = _nothing
