"""Tables of a page whose rows are run: each row has a test, and each test a row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Test = Callable[..., Any]


@dataclass
class Tables:
    """The tables of a page, or of some sections of it, whose first column has a certain head."""

    page: Path
    head: str
    sections: tuple[str, ...] = ()  # none: all but `others`
    others: tuple[str, ...] = ()
    tests: dict[str, Test] = field(default_factory=dict)

    def row(self, *keys: str) -> Callable[[Test], Test]:
        """The first cells of the rows that a test runs."""

        def note(test: Test) -> Test:
            assert not self.tests.keys() & set(keys)
            self.tests.update(dict.fromkeys(keys, test))
            return test

        return note

    def rows(self) -> list[str]:
        """The first cells of all rows. Each has three cells: theirs, ours, how they relate."""
        rows, wanted, section = [], False, ""
        for line in self.page.read_text().splitlines():
            section = line.removeprefix("## ") if line.startswith("## ") else section
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            wanted = line.startswith("|") and (wanted or cells[0] == self.head) and self._has(section)
            if wanted and cells[0] != self.head and not line.startswith("|--"):
                assert len(cells) == 3, line
                rows.append(cells[0].replace("`", ""))
        return rows

    def _has(self, section: str) -> bool:
        return section in self.sections if self.sections else section not in self.others

    def check(self, at_least: int) -> None:
        """Each row has a test, and each test a row."""
        rows = self.rows()
        assert len(rows) == len(set(rows)) >= at_least
        assert sorted(rows) == sorted(self.tests)
