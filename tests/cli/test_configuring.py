"""`aspool config`: values and places, as a table, in a pipe, as JSON, and as an aspool.toml that says the same."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from .conftest import on_terminal
from .examples import EXAMPLES, OPTIONS

Run = Callable[..., Result]
INI = "[uwsgi]\nspooler = /srv/a b\nspooler = /srv/c\nspooler-harakiri = 60\nspooler-quiet = false\n"


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def shown(result: Result) -> dict[str, tuple[str, str]]:
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return {name: (value, place) for name, value, place in rows}


def test_each_way_has_a_place(run: Run, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "u.ini").write_text(INI)
    (app / "aspool.toml").write_text('app = "app"\nini = "u.ini"\nharakiri = "2m"\n')
    monkeypatch.setenv("ASPOOL_MAX_AGE", "none")
    monkeypatch.setenv("ASPOOL_TOUCH_RELOAD", "x 'y z'")
    assert shown(run("config", "--processes", "3", "--no-schedules")) == {
        "app": ("app", "aspool.toml:app"),
        "harakiri": ("120", "aspool.toml:harakiri"),
        "max_age": ("none", "ASPOOL_MAX_AGE"),
        "schedules": ("false", "--no-schedules"),
        "quiet": ("false", "u.ini:5"),
        "spools": ("'/srv/a b' /srv/c", "u.ini:2, 3"),
        "processes": ("3", "--processes"),
        "touch_reload": ("x 'y z'", "ASPOOL_TOUCH_RELOAD"),
    }


def test_all_options(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert shown(run("config")) == {}
    found = shown(run("config", "--all", "some.app"))
    assert found.keys() == {"app", *OPTIONS}
    assert found["app"] == ("some.app", "argument")
    assert found["frequency"] == ("30", "default")
    assert found["runtime_dir"] == ("/run/user/1", "default ($XDG_RUNTIME_DIR)")


def test_json(run: Run) -> None:
    done = run("config", "--spool", "./a", "--grace", "1m", "--json")
    assert json.loads(done.stdout) == {
        "grace": {"value": 60.0, "from": "--grace"},
        "spools": {"value": ["./a"], "from": "--spool"},
    }


def test_a_toml_of_a_uwsgi_ini(run: Run, app: Path) -> None:
    (app / "u.ini").write_text(INI + "spooler-freq = 5\nspooler-max-tasks = 0\nspooler-import = a\n")
    (app / "new.toml").write_text(run("config", "--ini", "u.ini", "app:spooler", "--toml").stdout)
    assert (app / "new.toml").read_text() == (
        'app = "app:spooler"\nfrequency = 5.0\nharakiri = 60.0\nquiet = false\n'
        'spools = ["/srv/a b", "/srv/c"]\nimports = ["a"]\n'
    )
    before, after = (run("config", *flag, "--toml").stdout for flag in (("--ini", "u.ini"), ("--config", "new.toml")))
    assert after == f'app = "app:spooler"\n{before}'


def test_every_option_in_toml(run: Run, app: Path) -> None:
    together = {name: value for name, value in EXAMPLES.items() if name not in ("burst", "log_config")}
    (app / "a.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in together.items()))
    written = run("config", "--config", "a.toml", "--toml").stdout
    assert tomllib.loads(written) == tomllib.loads((app / "a.toml").read_text())


def test_texts_that_toml_must_escape(run: Run) -> None:
    text = 'a"b\\c\n\t\x7f\x1bé'
    assert tomllib.loads(run("config", "--project", text, "--toml").stdout) == {"project": text}
    refused = run("config", "--project", "\udcff", "--toml")
    assert refused.exit_code == 2
    assert "project is not UTF-8" in refused.stderr


def test_contradictions(run: Run) -> None:
    refused = run("config", "--burst", "--cheap")
    assert refused.exit_code == 2
    assert "burst contradicts cheap" in refused.stderr
    assert run("config", "--spool", "a/x", "--spool", "b/x", "--spool", "c/x").exit_code == 2


def test_on_a_terminal() -> None:
    told = on_terminal("config", "app", "--processes", "3", "--spool", "./a")
    assert "option" in told
    assert "from" in told
    assert [line.split() for line in told.splitlines() if "--" in line] == [
        ["spools", "./a", "--spool"],
        ["processes", "3", "--processes"],
    ]
