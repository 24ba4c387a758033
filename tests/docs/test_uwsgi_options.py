"""Each row of the tables of options for people from uWSGI or uwsgiconf: what the page says of it is so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aspool import CallError, Spooler
from aspool.application import load_spooler
from aspool.cli import serving
from aspool.cli.main import main
from aspool.errors import ApplicationUnusable
from aspool.placing import apply_spools, named_spools, placed
from aspool.settings import Settings
from aspool.supervisor import beginning

from .pages import ROOT
from .tables import Tables

PAGE = ROOT / "docs" / "coming-from-uwsgi.md"
UWSGI = Tables(PAGE, "uWSGI", ("Options",))
UWSGICONF = Tables(PAGE, "uwsgiconf", ("Options",))
row = UWSGI.row
FromIni = Callable[..., Settings]


def test_every_row_has_a_test() -> None:
    UWSGI.check(at_least=19)
    UWSGICONF.check(at_least=14)


@pytest.fixture
def from_ini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FromIni:
    """What `aspool worker --ini` makes of some lines."""
    monkeypatch.chdir(tmp_path)
    served: list[Settings] = []

    def serve(_: str, settings: Settings) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(serving, "serve", serve)

    def read(*lines: str) -> Settings:
        (tmp_path / "uwsgi.ini").write_text("\n".join(["[uwsgi]", *lines, ""]))
        done = CliRunner().invoke(main, ["worker", "app", "--ini", "uwsgi.ini"])
        assert done.exit_code == 0, done.output
        return served[-1]

    return read


@pytest.fixture
def untouched_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins here in this process is a worker, but its logs are not wanted."""
    monkeypatch.setattr(beginning, "set_up_logs", lambda *_: None)


def same(one: Settings, **options: Any) -> bool:
    return one == placed(Settings(**options))


# --- spools --------------------------------------------------------------------------------------------------------


@row("spooler = DIR")
def test_spools(from_ini: FromIni) -> None:
    settings = from_ini("spooler = DIR", "spooler = DIR2")
    assert same(settings, spools=("DIR", "DIR2"))
    spooler = Spooler("own")
    apply_spools(spooler, settings)
    assert {name: Path(spool.address).name for name, spool in spooler.spools.items()} == {
        "default": "DIR",
        "DIR2": "DIR2",
    }
    assert list(named_spools(Settings(spools=("DIR", "mail=DIR2")))) == ["default", "mail"]


@row("spooler-external = DIR")
def test_external_spools(from_ini: FromIni) -> None:
    assert same(from_ini("spooler = OURS", "spooler-external = DIR"), spools=("OURS",), external=("DIR",))
    first = named_spools(from_ini("spooler-external = DIR", "spooler = OURS"))
    assert {name: spool.external for name, spool in first.items()} == {"default": True, "OURS": False}
    assert list(named_spools(Settings(external=("DIR",)))) == ["DIR"]


@row("spooler-processes = N")
def test_processes(from_ini: FromIni) -> None:
    settings = from_ini("spooler-processes = 4", "spooler = DIR", "spooler = DIR")
    assert same(settings, processes=4, spools=("DIR",))


@row("spooler-ordered")
def test_ordered(from_ini: FromIni) -> None:
    spools = named_spools(from_ini("spooler = DIR", "spooler-ordered"))
    assert [(getattr(spool, "ordered", None), spool.concurrency) for spool in spools.values()] == [(True, 1)]


# --- numbers -------------------------------------------------------------------------------------------------------


@row("spooler-frequency = N, spooler-freq = N")
def test_frequency(from_ini: FromIni) -> None:
    assert same(from_ini("spooler-frequency = 7"), frequency=7.0)
    assert same(from_ini("spooler-freq = 7"), frequency=7.0)
    assert same(from_ini("spooler-freq = 0"))


@row("spooler-max-tasks = N", "spooler-harakiri = N")
@pytest.mark.parametrize(("option", "name"), [("spooler-max-tasks", "max_tasks"), ("spooler-harakiri", "harakiri")])
def test_limits(from_ini: FromIni, option: str, name: str) -> None:
    assert same(from_ini(f"{option} = 60"), **{name: 60})
    assert from_ini(f"{option} = 60").wants_supervisor
    assert same(from_ini(f"{option} = 0"))


@row("set-spooler-frequency, at run time")
def test_frequency_at_run_time(tmp_path: Path) -> None:
    spooler = Spooler(tmp_path / "spool")
    spooler.frequency = 5
    assert spooler.frequency == 5
    spooler.frequency = None
    with pytest.raises(CallError):
        spooler.frequency = 0


@row("spooler-cheap", "spooler-quiet", "spooler-signal-as-task")
def test_switches(from_ini: FromIni) -> None:
    assert same(from_ini("spooler-cheap", "spooler-quiet", "spooler-signal-as-task"), cheap=True, quiet=True)
    assert same(from_ini("spooler-signal-as-task = false"), signal_as_task=False)


# --- where, and what is imported -----------------------------------------------------------------------------------


@row("spooler-chdir = DIR")
@pytest.mark.usefixtures("untouched_logs")
def test_the_directory(from_ini: FromIni, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    settings = from_ini("spooler-chdir = below", "spooler = DIR")
    assert same(settings, chdir="below", spools=("DIR",))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "chdir_app.py").write_text(
        "import os, aspool\nhere = os.getcwd()\nspooler = aspool.Spooler('./spool', spools={'mail': './mail'})\n"
    )
    spooler = beginning.begin("chdir_app", settings).spooler
    assert spooler.spools["default"].address == f"{tmp_path}/DIR"
    assert spooler.spools["mail"].address == f"{tmp_path}/below/mail"
    assert __import__("chdir_app").here == f"{tmp_path}/below"


@row("spooler-import = M, spooler-pyimport, spooler-py-import, spooler-python-import", "module, pyimport, lazy-apps")
@pytest.mark.usefixtures("untouched_logs")
def test_imports(from_ini: FromIni, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    names = ("spooler-import", "spooler-pyimport", "spooler-py-import", "spooler-python-import")
    for name in names:
        assert same(from_ini(f"{name} = a/b.py", f"{name} = c.d"), imports=("a.b", "c.d"))
    assert same(from_ini("module = shop.wsgi", "pyimport = x", "lazy-apps = true"))
    (tmp_path / "imported_first.py").write_text("1 / 0\n")
    (tmp_path / "imported_app.py").write_text("import aspool\nspooler = aspool.Spooler('./spool')\n")
    with pytest.raises(ApplicationUnusable, match="ZeroDivisionError"):
        beginning.begin("imported_app", Settings(imports=("imported_first",)))
    assert isinstance(load_spooler("imported_app:spooler"), Spooler)


@row("touch-spoolers-reload = FILE")
def test_touch_reload(from_ini: FromIni) -> None:
    assert same(from_ini("touch-spoolers-reload = a", "touch-spoolers-reload = b"), touch_reload=("a", "b"))


@row("niceness 19", "master", "stats server", "log lines")
def test_what_is_no_spooler_option(from_ini: FromIni) -> None:
    assert same(from_ini("master = true", "stats = 127.0.0.1:1717", "logto = /x", "disable-logging"))
    assert Settings(supervisor=True, health=":8080", log_level="error", log_format="json").wants_supervisor
    assert [name for name in Settings.__dataclass_fields__ if "nice" in name] == []


# --- uwsgiconf -----------------------------------------------------------------------------------------------------

# What uwsgiconf writes into the ini, and what the page says it is here; `add` and `base_dir` join paths themselves.
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    'add("DIR"), add(["DIR", "DIR2"])': ("spooler = DIR\nspooler = DIR2", {"spools": ("DIR", "DIR2")}),
    'add("DIR", external=True)': ("spooler = A\nspooler-external = DIR", {"spools": ("A",), "external": ("DIR",)}),
    "touch_reload": ("touch-spoolers-reload = x\ntouch-spoolers-reload = y", {"touch_reload": ("x", "y")}),
    "quiet": ("spooler-quiet = true", {"quiet": True}),
    "process_count": ("spooler-processes = 3", {"processes": 3}),
    "max_tasks": ("spooler-max-tasks = 9", {"max_tasks": 9}),
    "order_tasks": ("spooler = A\nspooler-ordered = true", {"spools": ("A",), "ordered": True}),
    "harakiri": ("spooler-harakiri = 9", {"harakiri": 9.0}),
    "change_dir": ("spooler-chdir = d", {"chdir": "d"}),
    "poll_interval": ("spooler-frequency = 9", {"frequency": 9.0}),
    "signal_as_task": ("spooler-signal-as-task = true", {}),
    "cheap": ("spooler-cheap = true", {"cheap": True}),
}


@UWSGICONF.row(*LINES)
@pytest.mark.parametrize("argument", LINES)
def test_an_argument_of_uwsgiconf(from_ini: FromIni, argument: str) -> None:
    lines, options = LINES[argument]
    assert same(from_ini(lines), **options)


@UWSGICONF.row("base_dir", "{project_runtime_dir}")
def test_paths_of_uwsgiconf(tmp_path: Path) -> None:
    settings = Settings(
        spools=("a", "/b", "{project_runtime_dir}/c"), base_dir="{runtime_dir}/base", runtime_dir="/run", project="shop"
    )
    assert placed(settings).spools == ("/run/base/a", "/b", "/run/shop/c")
