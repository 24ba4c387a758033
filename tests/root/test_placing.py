"""Where settings put things: placeholders, base_dir, names of spools, and an application that uses them."""

from pathlib import Path

import pytest

from aspool import CallError, DirectorySpool, MemorySpool, Spooler, UnknownSpool
from aspool.placing import apply_spools, named_spools, placed
from aspool.settings import Settings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def test_relative_paths_are_relative_to_the_working_directory(here: Path) -> None:
    found = placed(
        Settings(
            spools=("a", "mail=./b"), external=("../c",), chdir="work", touch_reload=("t",), pidfile="p",
            health="unix:h", log_config="l.toml", runtime_dir="r", listen=("unix:l", ":80"), secret_file="s",
        )
    )  # fmt: skip
    assert found.spools == (f"{here}/a", f"mail={here}/b")
    assert found.external == (f"{here.parent}/c",)
    assert (found.chdir, found.touch_reload) == (f"{here}/work", (f"{here}/t",))
    assert (found.pidfile, found.health, found.log_config) == (f"{here}/p", f"unix:{here}/h", f"{here}/l.toml")
    assert (found.listen, found.secret_file) == ((f"unix:{here}/l", ":80"), f"{here}/s")
    assert found.runtime_dir == f"{here}/r"


def test_placed_settings_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(spools=("a", "memory:"), base_dir="b", chdir="{project_runtime_dir}", health="unix:h")
    found = placed(settings)
    monkeypatch.chdir("/")
    assert placed(found) == found
    assert Settings.from_record(found.as_record()) == found


def test_placeholders(here: Path) -> None:
    settings = Settings(
        spools=("{runtime_dir}/a", "mail={project_runtime_dir}/b"), pidfile="/x/{project_name}.pid", runtime_dir="/r",
        health="unix:{runtime_dir}/h", touch_reload=("{project_name}",),
    )  # fmt: skip
    found = placed(settings)
    assert found.spools == ("/r/a", "mail=/r/shop/b")
    assert (found.pidfile, found.health, found.touch_reload) == ("/x/shop.pid", "unix:/r/h", (f"{here}/shop",))
    assert placed(settings.changed(project="other")).pidfile == "/x/other.pid"
    with pytest.raises(
        CallError, match=r"\{runtimedir\} in .* there are \{project_name\}.*; did you mean runtime_dir\?"
    ):
        placed(Settings(pidfile="{runtimedir}/x"))


def test_base_dir(here: Path) -> None:
    found = placed(Settings(spools=("a", "/b", "m=c", "memory:"), external=("d",), base_dir="base", pidfile="p"))
    assert found.spools == (f"{here}/base/a", "/b", f"m={here}/base/c", "memory:")
    assert found.external == (f"{here}/base/d",)
    assert found.pidfile == f"{here}/p"


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spools", "external", "names"),
    [
        (("a",), (), ["default"]),
        (("/srv/a", "/srv/b/", "c=d"), ("e/f",), ["default", "b", "c", "f"]),
        (("a=x", "b"), (), ["a", "b"]),
        (("a", "default=b"), (), ["a", "default"]),
        (("a",), ("default=b",), ["a", "default"]),
        ((), ("a",), ["a"]),
        (("a", "memory:", "x=memory:other"), (), ["default", "memory", "x"]),
        (("./a=b", "file:c"), (), ["default", "c"]),
    ],
)
def test_names(spools: tuple[str, ...], external: tuple[str, ...], names: list[str]) -> None:
    assert list(named_spools(Settings(spools=spools, external=external))) == names


@pytest.mark.parametrize(
    ("spools", "external", "sentence"),
    [
        (("a", "./a"), (), "/shop/a is given twice"),
        (("a",), ("x=a",), "/shop/a is given twice"),
        (("a", "b/c", "d/c"), (), "two spools are called 'c', .*/b/c and .*/d/c: give them names, NAME=ADDRESS"),
        (("x=a", "x=b"), (), "two spools are called 'x'"),
    ],
)
def test_names_that_cannot_be(spools: tuple[str, ...], external: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CallError, match=sentence):
        placed(Settings(spools=spools, external=external))


def test_options_of_the_spools() -> None:
    found = named_spools(Settings(spools=("a", "memory:"), external=("b",), ordered=True))
    assert all(getattr(spool, "ordered", False) for spool in found.values())
    assert [name for name, spool in found.items() if spool.external] == ["b"]
    assert not any(getattr(spool, "ordered", True) for spool in named_spools(Settings(spools=("a",))).values())
    with pytest.raises(UnknownSpool):
        named_spools(Settings(spools=("nosuch://host",)))


# --- an application --------------------------------------------------------------------------------------------------


def test_an_application_uses_them(here: Path) -> None:
    spooler = Spooler("./own", spools={"mail": "./mail", "same": here / "other"})
    before = spooler.spool_of("./elsewhere")
    apply_spools(spooler, Settings())
    assert spooler.spools["default"].address == f"{here}/own"
    apply_spools(spooler, Settings(spools=("./other", "more=memory:"), external=("./elsewhere",)))
    assert {name: spool.address for name, spool in spooler.spools.items()} == {
        "default": f"{here}/other",
        "mail": f"{here}/mail",
        "same": f"{here}/other",
        "more": "memory:",
        "elsewhere": f"{here}/elsewhere",
    }
    assert spooler.spools["same"] is spooler.spools["default"], "no directory is served twice"
    assert isinstance(spooler.spool_of("more"), MemorySpool)
    assert spooler.spool_of("./elsewhere") is spooler.spools["elsewhere"]
    assert spooler.spool_of("./elsewhere") is not before
    assert list(here.iterdir()) == [], "nothing is opened"


def test_messages_go_there(here: Path) -> None:
    spooler = Spooler("./own")

    @spooler.task
    def work() -> None: ...

    apply_spools(spooler, Settings(spools=("./other",)))
    work.spool_sync()
    other = spooler.spools["default"]
    assert isinstance(other, DirectorySpool)
    assert [path.name for path in here.iterdir()] == ["other"]
    assert len(other.browse()) == 1
