"""The pytest plugin, run by a pytest of its own."""

import subprocess
import sys

import pytest

from aspool.testing.plugin import spooler_at

pytest_plugins = ["pytester"]

APP = """
from aspool import Spooler

spooler = Spooler("/nowhere/at/all", spools={"mail": "./mail"})
letters = []

@spooler.task
async def send(to: str) -> None:
    letters.append(to)
"""
TESTS = """
from aspool.testing import assert_nothing_spooled, assert_spooled, drain_sync

import app


def test_first(spooler, aspool_spool):
    assert spooler is app.spooler
    assert spooler.is_under_test
    app.send.spool_sync("ada")
    assert [each.kwargs for each in aspool_spool.waiting] == [{"to": "ada"}]
    assert_spooled(app.send, "ada")


def test_the_next_finds_nothing(spooler):
    assert_nothing_spooled(spooler)


def test_without_the_fixture():
    assert app.spooler.is_under_test is {without}
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(app=APP, test_app=TESTS.replace("{without}", "False"))
    return pytester


OPTIONS = ("-p", "no:cacheprovider", "-W", "error", "--strict-markers")


def run(project: pytest.Pytester) -> pytest.RunResult:
    return project.runpytest_inprocess(*OPTIONS)


@pytest.mark.parametrize("place", ["app:spooler", "app"])
def test_the_option_names_the_application_and_is_for_every_test(project: pytest.Pytester, place: str) -> None:
    project.makepyfile(test_app=TESTS.replace("{without}", "True"))
    project.makeini(f"[pytest]\naspool_app = {place}\npythonpath = .")
    run(project).assert_outcomes(passed=3)
    assert not (project.path / "mail").exists()


def test_a_marker_lets_a_test_have_the_real_spools(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_app="""
        import unittest

        import pytest

        import app
        from aspool.testing import use


        @pytest.mark.real_spool
        def test_real():
            assert not app.spooler.is_under_test
            app.send.using(spool="mail").spool_sync("ada")

        @pytest.mark.real_spool
        def test_real_but_for_the_fixture(spooler):
            app.send.spool_sync("ada")

        def test_a_block_of_its_own(aspool_spool):
            with use(app.spooler, max_waiting=1) as spool:
                app.send.spool_sync("ada")
                assert len(spool.spooled) == 1
            assert aspool_spool.spooled == []

        class TestOld(unittest.TestCase):
            def test_it(self):
                assert app.send.spool_sync("bob").id
    """
    )
    project.makeini("[pytest]\naspool_app = app\npythonpath = .")
    run(project).assert_outcomes(passed=4)
    assert len(list((project.path / "mail").glob("uwsgi_spoolfile_*"))) == 1


def test_jobs_get_the_resources_of_a_fixture(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_app="""
        from contextlib import asynccontextmanager

        import pytest

        import app
        from aspool import Job
        from aspool.testing import drain_sync


        @pytest.fixture
        def aspool_resources():
            @asynccontextmanager
            async def fake():
                yield "a fake pool"

            return fake

        @app.spooler.task
        def note(job: Job[str]) -> None:
            app.letters.append(job.resources)

        def test_it(spooler):
            note.spool_sync()
            drain_sync(spooler, raise_errors=True)
            assert app.letters == ["a fake pool"]
    """
    )
    project.makeini("[pytest]\naspool_app = app\npythonpath = .")
    run(project).assert_outcomes(passed=1)


def test_the_fixture_names_the_application(project: pytest.Pytester) -> None:
    project.makeconftest("""
        import pytest, app

        @pytest.fixture
        def aspool_app():
            return app.spooler
    """)
    result = run(project)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.OK


def test_without_an_application_it_says_what_to_write(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\npythonpath = .")
    result = run(project)
    result.assert_outcomes(passed=1, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = '*no application is known to aspool*set aspool_app = "app:spooler"*or write a fixture aspool_app*'
    result.stdout.fnmatch_lines([told])


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (":spooler", "':spooler' must be module:attribute, as \"app:spooler\""),
        ("json", "'json' is not there: module 'json' has no attribute 'spooler'"),
        ("not a name:spooler", "'not a name:spooler' is not there: invalid format"),
        ("aspool:nothing", "'aspool:nothing' is not there: module 'aspool' has no attribute 'nothing'"),
        ("aspool:Spooler", "'aspool:Spooler' is a type, not a Spooler"),
        ("nowhere:spooler", "cannot be imported: No module named 'nowhere'; is its directory in .*pythonpath"),
    ],
)
def test_what_is_wrong_is_said(place: str, told: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"aspool_app = .*{told}"):
        spooler_at(place)


def test_a_project_may_have_a_spooler_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys, pytest

        @pytest.fixture
        def spooler():
            return "a 3D printer's"

        def test_it(spooler):
            assert spooler == "a 3D printer's"
            assert "aspool.spools" not in sys.modules and "aspool.worker" not in sys.modules
    """)
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=1)  # where nothing else was imported


def test_the_fixtures_are_listed_with_what_they_are_for(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--fixtures")
    result.stdout.fnmatch_lines(
        ["aspool_app *", "aspool_resources*", "aspool_spool*", "spooler*", "*application's own Spooler, over spools*"]
    )


def test_loading_the_plugin_loads_little() -> None:
    heavy = ["aspool.worker", "aspool.spools", "aspool.testing.under_test", "anyio", "pydantic", "aiofiles", "rich"]
    program = f"import sys, pytest, aspool.testing.plugin; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
