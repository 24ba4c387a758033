"""The pictures of terminals: `make pictures` draws them, with fonts and colours that are in them."""

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aspool import Spooler

from .pages import ROOT

PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_shown_and_loads_nothing(picture: Path) -> None:
    text = picture.read_text()
    ElementTree.fromstring(text)
    assert set(re.findall(r"https?://[^\s\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in text
    pages = [page for page in (ROOT / "docs").rglob("*.md") if f"pictures/{picture.name}" in page.read_text()]
    assert pages != []


def test_the_script_draws_each_of_them() -> None:
    drawn = re.findall(r'\.picture\("([\w-]+)"', (PICTURES / "make.py").read_text())
    assert sorted(f"{name}.svg" for name in drawn) == sorted(path.name for path in PICTURES.glob("*.svg"))


def test_the_application_in_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("pictured_shop", PICTURES / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert isinstance(module.spooler, Spooler)
    script = (PICTURES / "make.py").read_text()
    assert all(name.rpartition(".")[2] in script for name in module.spooler.tasks)
