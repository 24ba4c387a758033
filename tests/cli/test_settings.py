"""The ways in: each gives every option the same value; which is stronger; and what is refused on each."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from aspool.cli import serving
from aspool.cli.settings.given import SHORT_GRACE
from aspool.placing import placed
from aspool.settings import Settings

from .examples import (
    EXAMPLES,
    IN_INI,
    OPTIONS,
    app_for,
    as_flags,
    as_ini,
    as_toml,
    as_variable,
    names_of,
    uwsgi_names,
    wanted,
)

Run = Callable[..., Result]
MISUSE = 2


class Served:
    """What `aspool worker` would have worked with."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.app = ""
        self.settings = Settings()
        self.told = ""

    def __call__(self, *arguments: str) -> Settings:
        result = self._run("worker", *arguments)
        assert result.exit_code == 0, result.output
        self.told = result.stderr
        return self.settings

    def refused(self, *arguments: str) -> str:
        """The sentence."""
        result = self._run("worker", *arguments)
        assert result.exit_code == MISUSE, result.output
        return result.stderr.splitlines()[-1]


@pytest.fixture
def served(run: Run, monkeypatch: pytest.MonkeyPatch) -> Served:
    made = Served(run)

    def serve(app: str, settings: Settings) -> int:
        made.app, made.settings = app, settings
        return 0

    monkeypatch.setattr(serving, "serve", serve)
    for name in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    return made


# --- the same value on each way ------------------------------------------------------------------------------------


def test_every_option_has_an_example() -> None:
    assert EXAMPLES.keys() == OPTIONS.keys()
    assert [name for name, value in EXAMPLES.items() if value == OPTIONS[name].default] == []


@pytest.mark.parametrize("name", OPTIONS)
def test_flags_and_python(served: Served, name: str) -> None:
    flags = [word for key, value in wanted(name).items() for word in as_flags(key, value)]
    assert served(*app_for(name), *flags) == placed(Settings(**wanted(name)))


@pytest.mark.parametrize("name", OPTIONS)
def test_variables(served: Served, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for key, value in wanted(name).items():
        monkeypatch.setenv(*as_variable(key, value))
    assert served(*app_for(name)) == placed(Settings(**wanted(name)))
    assert served.told == ""


@pytest.mark.parametrize("name", OPTIONS)
def test_toml(served: Served, app: Path, name: str) -> None:
    (app / "aspool.toml").write_text("".join(as_toml(key, value) for key, value in wanted(name).items()))
    assert served(*app_for(name)) == placed(Settings(**wanted(name)))


@pytest.mark.parametrize(("name", "key"), uwsgi_names())
def test_a_uwsgi_ini(served: Served, app: Path, name: str, key: str) -> None:
    options = wanted(name) | {name: IN_INI.get(name, EXAMPLES[name])}
    keys = {other: names_of(OPTIONS[other])[0] for other in options} | {name: key}
    lines = [as_ini(other, value, keys[other]) for other, value in options.items()]
    (app / "uwsgi.ini").write_text("".join(["[uwsgi]\n", *lines]))
    assert served("app", "--ini", "uwsgi.ini") == placed(Settings(**options))
    assert served.told == ""


@pytest.mark.parametrize("name", OPTIONS)
def test_a_record(name: str) -> None:
    settings = Settings(**wanted(name))
    assert Settings.from_record(settings.as_record()) == settings
    assert settings.as_record().keys() == wanted(name).keys()


# --- programs of uWSGI ---------------------------------------------------------------------------------------------


def test_a_program_of_uwsgi(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs one task at a time, in the zone of the environment, with a supervisor, and its name is its modules'."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    found = served("--uwsgi", "./jobs/mail.py", "--uwsgi", "/srv/a-b.py", "--uwsgi", "more", "-d", "a")
    assert served.app == "jobs.mail, /srv/a-b.py, more"
    assert (found.concurrency, found.tz, found.wants_supervisor) == (1, "Asia/Tokyo", True)
    assert found.harakiri_grace == SHORT_GRACE
    assert served("--uwsgi", "jobs", "-d", "a", "--harakiri-grace", "3").harakiri_grace == 3
    assert found.spools == (f"{app}/a",)
    threads = served("--uwsgi", "jobs", "-d", "a", "--concurrency", "3", "--tz", "UTC")
    assert (threads.concurrency, threads.harakiri_grace) == (3, Settings().harakiri_grace)
    assert served.settings.tz == "UTC"
    assert served("app", "-d", "a").concurrency == Settings().concurrency


def test_the_ini_of_a_program_of_uwsgi(served: Served, app: Path) -> None:
    (app / "uwsgi.ini").write_text(
        "[uwsgi]\nmodule = shop.wsgi\nspooler = sp\nmules = 2\nmule = a.py\nfarm = x:1,3\nlocks = 2\nlocks = 4\n"
    )
    found = served("--uwsgi", "jobs", "--ini", "uwsgi.ini", "--uwsgi-option", "mode=test", "--uwsgi-option", "locks=5")
    assert found.uwsgi_options == (
        "module=shop.wsgi", "spooler=sp", "mules=2", "mule=a.py", "farm=x:1,3", "locks=4", "mode=test", "locks=5",
    )  # fmt: skip
    assert (found.mules, found.farms, found.spools) == (3, ("x:1,3",), (f"{app}/sp",))
    assert served("--uwsgi", "jobs", "--ini", "uwsgi.ini", "--mules", "4").mules == 4
    assert served("app", "--ini", "uwsgi.ini") == placed(Settings(spools=("sp",))), "an application has none of that"
    (app / "uwsgi.ini").write_text("[uwsgi]\nmules = many\n")
    told = served.refused("--uwsgi", "jobs", "--ini", "uwsgi.ini")
    assert "uwsgi.ini:2: mules must be a whole number, not 'many'" in told


# --- which is stronger ---------------------------------------------------------------------------------------------


def test_the_order(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["processes", "max_tasks", "quiet", "frequency"]
    (app / "uwsgi.ini").write_text(
        "[uwsgi]\nspooler-processes = 2\nspooler-max-tasks = 2\nspooler-quiet = true\nspooler-frequency = 2\n"
    )
    (app / "aspool.toml").write_text('ini = "uwsgi.ini"\nprocesses = 3\nmax_tasks = 3\nquiet = false\n')
    monkeypatch.setenv("ASPOOL_PROCESSES", "4")
    monkeypatch.setenv("ASPOOL_MAX_TASKS", "4")
    found = served("app", "--processes", "5")
    assert [getattr(found, name) for name in names] == [5, 4, False, 2.0]


@pytest.mark.parametrize("order", [("--ini", "a.ini", "--config", "c.toml"), ("--config", "c.toml", "--ini", "a.ini")])
def test_the_order_of_flags_does_not_matter(served: Served, app: Path, order: tuple[str, ...]) -> None:
    (app / "a.ini").write_text("[uwsgi]\nspooler-processes = 2\nspooler-frequency = 2\n")
    (app / "b.ini").write_text("[uwsgi]\nspooler-processes = 7\nspooler-quiet = true\n")
    (app / "c.toml").write_text('processes = 3\nini = "b.ini"\n')
    found = served("app", *order)
    assert (found.processes, found.frequency, found.quiet) == (3, 2.0, False)


def test_the_application_too(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = served.refused()
    assert "no application" in told
    assert "--uwsgi MODULE" in told
    (app / "pyproject.toml").write_text('[project]\nname = "x"\n[tool.aspool]\napp = "app:spooler"\nprocesses = 2\n')
    assert served().processes == 2
    assert served.app == "app:spooler"
    (app / "aspool.toml").write_text('app = "other"\n')
    assert served().processes == 1, "one file is read, not two"
    assert served.app == "other"
    monkeypatch.setenv("ASPOOL_APP", "third")
    served()
    assert served.app == "third"
    served("fourth", "--config", "pyproject.toml")
    assert (served.app, served.settings.processes) == ("fourth", 2)


def test_files_named_in_the_environment(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "a.toml").write_text("processes = 2\n")
    (app / "a.ini").write_text("[uwsgi]\n[mail]\nspooler-frequency = 5\n")
    monkeypatch.setenv("ASPOOL_CONFIG", "a.toml")
    monkeypatch.setenv("ASPOOL_INI", "a.ini:mail")
    found = served("app")
    assert (found.processes, found.frequency) == (2, 5.0)
    assert served.told == ""


def test_a_number_can_be_taken_back(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "u.ini").write_text("[uwsgi]\nspooler-harakiri = 5\nspooler-max-tasks = 5\n")
    (app / "aspool.toml").write_text('ini = "u.ini"\nharakiri = "none"\nmax_age = "2h"\n')
    monkeypatch.setenv("ASPOOL_MAX_AGE", "none")
    found = served("app", "--max-tasks", "none")
    assert (found.harakiri, found.max_age, found.max_tasks) == (None, None, None)


def test_where_run_time_files_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    pidfile = ("--pidfile", "{runtime_dir}/p", "--project", "shop")
    assert served("app", *pidfile).pidfile == "/run/user/1/p"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/shop:/run/more")
    assert served("app", *pidfile).pidfile == "/run/shop/p"
    assert served("app", "--runtime-dir", "/tmp/r", "--pidfile", "{project_runtime_dir}").pidfile == (
        f"/tmp/r/{os.path.basename(os.getcwd())}"
    )


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("on", True), ("1", True), ("no", False), ("OFF", False)])
def test_words_for_true_and_false(served: Served, monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("ASPOOL_CHEAP", text)
    assert served("app").cheap is value
    assert served("app", "--no-cheap").cheap is False


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400.0), ("2h", 7200.0), ("1.5", 1.5), ("7d", 604800.0)])
def test_durations(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("ASPOOL_GRACE", text)
    (app / "aspool.toml").write_text(f'max_age = "{text}"\n')
    found = served("app", "--cheap-idle", text)
    assert (found.grace, found.max_age, found.cheap_idle) == (seconds, seconds, seconds)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('procesess = 2\n', "aspool.toml has a key procesess, which is no option; did you mean processes?"),
        ("max-tasks = 2\n", "did you mean max_tasks?"),
        ("[deploy]\nx = 1\n", "aspool.toml has a table [deploy]: options stand at the top"),
        ('processes = "2"\n', "aspool.toml: processes must be a whole number, not '2'"),
        ("processes = 2.5\n", "processes must be a whole number, not 2.5"),
        ("processes = true\n", "processes must be a whole number, not True"),
        ('cheap = "yes"\n', "aspool.toml: cheap must be true or false, not 'yes'"),
        ('spools = "./a"\n', "aspool.toml: spools must be a list of texts, not './a'"),
        ("touch_reload = [1]\n", "touch_reload must be a list of texts, not [1]"),
        ('grace = "soon"\n', "aspool.toml: grace: 'soon' is no duration"),
        ('grace = "none"\n', "'none' is no duration"),
        ("grace = true\n", "grace must be a number of seconds, not True"),
        ('log_level = "loud"\n', "log_level must be one of debug, info, warning, error, not 'loud'"),
        ("app = 1\n", "aspool.toml: app must be a text, not 1"),
        ("processes = 0\n", "processes must be at least 1, not 0 (processes: aspool.toml:processes)"),
        ("a = \n", "aspool.toml is no TOML: "),
    ],
)  # fmt: skip
def test_a_toml_that_cannot_be(served: Served, app: Path, text: str, sentence: str) -> None:
    (app / "aspool.toml").write_text(text)
    assert sentence in served.refused("app")


def test_files_that_are_not_there(served: Served, app: Path) -> None:
    assert served.refused("app", "--config", "x.toml") == "aspool: x.toml cannot be read: No such file or directory"
    assert served.refused("app", "--ini", "x.ini") == "aspool: x.ini cannot be read: No such file or directory"
    (app / "pyproject.toml").write_text("[tool.other]\n")
    assert "pyproject.toml has no table [tool.aspool]" in served.refused("app", "--config", "pyproject.toml")
    assert served("app") == placed(Settings()), "it is not for us"
    (app / "pyproject.toml").write_text("[tool]\naspool = 3\n")
    assert "tool.aspool must be a table, not 3" in served.refused("app")


def test_unknown_flags_and_variables(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--processes" in served.refused("app", "--proceses", "2")
    monkeypatch.setenv("ASPOOL_PROCESES", "2")
    monkeypatch.setenv("ASPOOL_SPOOL", "./for-the-other-verbs")
    assert served("app").processes == 1
    (line,) = served.told.splitlines()
    assert line == (
        "aspool: the variable ASPOOL_PROCESES is no option and has no effect; did you mean ASPOOL_PROCESSES?"
    )


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("ASPOOL_PROCESSES", "many", "'many' is not a valid integer"),
        ("ASPOOL_GRACE", "soon", "'soon' is no duration"),
        ("ASPOOL_CHEAP", "perhaps", "'perhaps' is not a valid boolean"),
        ("ASPOOL_LOG_LEVEL", "loud", "'loud' is not one of"),
        ("ASPOOL_SPOOLS", "'a", "cannot be split into words"),
        ("ASPOOL_THREADS", "0", "threads must be at least 1, not 0 (threads: ASPOOL_THREADS)"),
    ],
)
def test_variables_that_cannot_be(
    served: Served, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert sentence in served.refused("app")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--burst --cheap", "burst contradicts cheap: leave out one of them (burst: --burst, cheap: --cheap)"),
        ("--burst --reload", "burst contradicts reload"),
        ("--burst --touch-reload x", "burst contradicts touch_reload"),
        ("--no-supervisor --processes 2", "supervisor=False contradicts processes=2"),
        ("--no-supervisor --pidfile x", "supervisor=False contradicts pidfile"),
        ("--no-supervisor --health :80", "supervisor=False contradicts health"),
        ("--log-config x --log-level debug", "log_config contradicts log_level"),
        ("--ordered", "ordered is for spools that are given beside it"),
        ("--restart-wait 1m", "longest_restart_wait must be at least restart_wait, 60 seconds"),
        ("--spool a --external a", "is given twice"),
        ("--spool x/a --external y/b --external z/b", "two spools are called 'b'"),
        ("--chdir {project}", "{project} in '{project}' stands for nothing"),
        ("--health 80", "health must be HOST:PORT, [IPV6]:PORT, :PORT, *:PORT or unix:PATH, not 80"),
        ("--mules 2", "mules is for a program of uWSGI: name its modules with uwsgi (mules: --mules"),
        ("--uwsgi jobs -d a", "app contradicts uwsgi: leave out one of them (app: argument, uwsgi: --uwsgi)"),
        ("--uwsgi jobs", "give it one with --spool (uwsgi: --uwsgi)"),
        ("--uwsgi jobs -d a --mules -1", "mules must be at least 0, not -1"),
        ("--uwsgi jobs -d a --farm mail:1", "farms must be NAME:N,N with numbers of mules, of which there are 0: mail"),
        ("--uwsgi jobs -d a --farm mail --mules 1", "farms must be NAME:N,N"),
        ("--max-rss 0", "max_rss must be at least 1, not 0 (max_rss: --max-rss)"),
    ],
)
def test_contradictions(served: Served, flags: str, sentence: str) -> None:
    assert sentence in served.refused("app", *flags.split())


def test_a_contradiction_names_the_places(served: Served, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "aspool.toml").write_text("cheap = true\n")
    monkeypatch.setenv("ASPOOL_BURST", "1")
    assert served.refused("app").endswith("(burst: ASPOOL_BURST, cheap: aspool.toml:cheap)")


def test_every_option_has_a_help_text(run: Run) -> None:
    text = run("worker", "--help").output
    for name, value in EXAMPLES.items():
        assert as_flags(name, value)[0] in text
