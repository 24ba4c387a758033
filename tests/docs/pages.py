"""A page of the documentation as a person follows it: its code blocks, and what to do with each.

- ```python``` that begins with `# name.py` is a file; without, it is run by `python` in the page's directory.
- ```toml``` and ```ini``` that begin with the name of a file, in a comment, are files too.
- ```console``` is typed: what follows `$ ` is a command, the other lines are what it must print.
- ```console title="Terminal N"``` is typed in another terminal: it goes on while the page goes on.
- A title that begins with "uWSGI" marks code of the old world, which is only compiled.

In what is printed, `…` stands for anything, a line of `…` for any lines; numbers before a unit, dates and ids that
aspool makes may differ. An id that a page shows stands for the real one in its later commands.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]*)"')
_FILE = re.compile(r"[#;] ([\w./]+\.(py|toml|ini))$")
_FILES = ("python", "toml", "ini")  # languages
_VARYING = (  # in the order of trial: what a page shows, and what may stand there
    (r"(?<![0-9A-Za-z])[0-9a-f]{22}(?![0-9A-Za-z])", None),
    (r"(?<![0-9A-Za-z])[0-9a-f]{8}(?![0-9A-Za-z])", None),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"),
    (r"(?<![0-9A-Za-z])\d{16}(?![0-9A-Za-z])", r"\d{16}"),
    (r"\b\d+(\.\d+)? (s|min|h|B|kB|MB|GB)\b", r"\d+(?:\.\d+)? (?:s|min|h|B|kB|MB|GB)"),
    (r"/home/you/shop", r"\S+"),
    (r"\b127\.0\.0\.1:8000\b", r"127\.0\.0\.1:\d+"),
    (r"\b\d{4,}\b", r"\d+"),
    (r"…", r".*"),
    (r"[\s─━]+", r"[\s─━]+"),
)
_TOKEN = re.compile("|".join(f"(?P<v{at}>{shown})" for at, (shown, _) in enumerate(_VARYING)))


@dataclass(frozen=True)
class Block:
    """One code block of a page."""

    language: str
    title: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        first = self.text.split("\n", 1)[0]
        match = _FILE.match(first) if self.language in _FILES else None
        return match[1] if match else None

    @property
    def is_old_world(self) -> bool:
        """Whether it is code for uWSGI."""
        return self.title.startswith("uWSGI")

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """What is typed, and the lines that it prints."""
        typed: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                typed.append((line[2:], []))
            elif line.startswith("> ") and typed and not typed[-1][1]:
                typed[-1] = (f"{typed[-1][0]}\n{line[2:]}", [])
            elif typed:
                typed[-1][1].append(line)
        return typed


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(
            found[2],
            title[1] if (title := _TITLE.search(found[3])) else "",
            "\n".join(line.removeprefix(found[1]) for line in found[4].splitlines()) + "\n",
            text.count("\n", 0, found.start()) + 1,
        )
        for found in _FENCE.finditer(text)
    ]


@dataclass
class Ids:
    """The ids that a page shows, and the real ones in their place."""

    real: dict[str, str] = field(default_factory=dict)

    def learn(self, shown: str, real: str) -> None:
        """Remember a pair; the short form of an id is its end."""
        self.real[shown] = real
        self.real.setdefault(shown[-8:], real[-8:])

    def put_in(self, command: str) -> str:
        """A command with real ids."""
        return re.sub(r"\b(?:[0-9a-f]{22}|[0-9a-f]{8})\b", lambda found: self.real.get(found[0], found[0]), command)


def matches(shown: str, printed: str, ids: Ids) -> bool:
    """Whether a printed line is what the page shows."""
    pattern, groups = _pattern(" ".join(shown.split()), ids)
    found = re.fullmatch(pattern, " ".join(printed.split()))
    if found is None:
        return False
    for at, id in enumerate(groups, 1):
        ids.learn(id, found[at])
    return True


def _pattern(shown: str, ids: Ids) -> tuple[str, list[str]]:
    """The pattern of a line, and which new ids its groups stand for."""
    parts, groups, at = [], [], 0
    for token in _TOKEN.finditer(shown):
        parts.append(re.escape(shown[at : token.start()]))
        kind = _VARYING[_kind(token)][1]
        if kind is not None:
            parts.append(kind)
        elif token[0] in ids.real:
            parts.append(ids.real[token[0]])
        else:
            parts.append(f"([0-9a-f]{{{len(token[0])}}})")
            groups.append(token[0])
        at = token.end()
    return "".join([*parts, re.escape(shown[at:])]), groups


def _kind(token: "re.Match[str]") -> int:
    return next(int(name[1:]) for name, value in token.groupdict().items() if value is not None)


def missing(shown: list[str], printed: list[str], ids: Ids) -> str | None:
    """The first shown line that was not printed at its place; None when all is as the page says."""
    at = 0
    anything = False
    for line in (line for line in shown if line.strip()):
        if set(line.strip()) <= {"…"}:
            anything = True
            continue
        if not set(line) - set(" ─━"):
            continue
        while at < len(printed) and not matches(line, printed[at], ids):
            if printed[at].strip(" ─━") and not anything:
                return line
            at += 1
        if at == len(printed):
            return line
        at += 1
        anything = False
    left = [line for line in printed[at:] if line.strip(" ─━")]
    return None if anything or not left else f"nothing more, but {left[0]!r} came"
