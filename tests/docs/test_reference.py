"""The reference pages say all there is, the links lead somewhere, and the site can be built without a network."""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import aspool
from aspool.cli.main import VERBS, main
from aspool.cli.settings.options import flag
from aspool.settings import Settings

from .pages import ROOT
from .test_pages import PAGES

DOCS = ROOT / "docs"
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
_CODE = re.compile(r"`{3}.*?`{3}|`[^`]*`", re.DOTALL)


@pytest.fixture(scope="module")
def hooks() -> Any:
    """docs/hooks.py, as mkdocs loads it."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(hooks: Any, name: str) -> str:
    return str(hooks.on_page_markdown((DOCS / "reference" / name).read_text()))


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_command_is_there(hooks: Any, verb: str) -> None:
    section = page(hooks, "cli.md").split(f"## {verb}\n")[1].split("\n## ")[0]
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for name in parameter.opts:
                assert name in section
            assert " ".join((parameter.help or "").split()[:3]).replace("<", "&lt;").replace("*", "\\*") in section


def test_every_setting_is_there(hooks: Any) -> None:
    lines = page(hooks, "settings.md").splitlines()
    for field in fields(Settings):
        (row,) = [line for line in lines if line.startswith(f"| `{field.name}` | ") and line.count(" | ") == 5]
        assert f"`{flag(field)}`" in row
        for told in (field.metadata["help"], *field.metadata["uwsgi"]):
            assert told.replace("*", "\\*") in row


def test_every_public_name_is_there(hooks: Any) -> None:
    text = page(hooks, "api.md") + page(hooks, "errors.md")
    assert [name for name in aspool.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_error_is_there(hooks: Any) -> None:
    text = page(hooks, "errors.md")
    kinds = [kind for kind in vars(aspool.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in kinds:
        assert text.count(kind.__name__) >= 2, "in the tree and in the table"


def test_nothing_is_left_to_generate(hooks: Any) -> None:
    for path in DOCS.rglob("*.md"):
        assert "<!-- generated" not in hooks.on_page_markdown(path.read_text())


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = [found[1] for found in _LINK.finditer(_CODE.sub("", path.read_text()))]
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_proofs_exist() -> None:
    """The page of promises names test files and tests."""
    text = (DOCS / "explanation" / "delivery-promises.md").read_text()
    files = [file for path in (ROOT / "tests").rglob("*.py") for file in [str(path.relative_to(ROOT))]]
    everything = "\n".join((ROOT / file).read_text() for file in files)
    for name in re.findall(r"`((?:tests/)?[\w/]*\.py)`", text):
        assert any(file.endswith(name) for file in files), name
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in everything, name


@pytest.mark.heavy
def test_the_site_is_built(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert built.returncode == 0, built.stderr
    html = (tmp_path / "reference" / "api" / "index.html").read_text()
    assert "spool_many" in html
    for page_built in tmp_path.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]+)"', page_built.read_text())
        assert [address for address in loaded if "canonical" not in address] == [], page_built
