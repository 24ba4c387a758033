"""The pytest plugin: the fixtures `spooler` and `aspool_spool` put an application's own Spooler over memory.

Which application: `aspool_app = "app:spooler"` in pytest's configuration, which is for every test; or a fixture.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from ..spooler import Spooler
    from .under_test import SpoolUnderTest

OPTION = "aspool_app"
MARKER = "real_spool"
ATTRIBUTE = "spooler"  # if none is given, as on the command line


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    parser.addini(OPTION, "the Spooler of the application under test, as module:attribute (app:spooler)", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The one marker."""
    config.addinivalue_line("markers", f"{MARKER}: with {OPTION} set, let this test use the application's real spools")


@pytest.fixture(scope="session")
def aspool_app(pytestconfig: pytest.Config) -> "Spooler[Any]":
    """The application's Spooler, as the option `aspool_app` names it; override this fixture to give another one."""
    place = str(pytestconfig.getini(OPTION))
    if not place:
        pytest.fail(
            f"no application is known to aspool's fixtures: set {OPTION} = \"app:spooler\" in pytest's configuration, "
            f"or write a fixture {OPTION} that returns the Spooler",
            pytrace=False,
        )
    return spooler_at(place)


def spooler_at(place: str) -> "Spooler[Any]":
    """The Spooler that `module:attribute` names; fails the test that asks for it if there is none."""
    from ..spooler import Spooler

    module, _, attribute = place.partition(":")
    if not module:
        pytest.fail(f'{OPTION} = {place!r} must be module:attribute, as "app:spooler"', pytrace=False)
    try:
        found = resolve_name(f"{module}:{attribute or ATTRIBUTE}")
    except (ValueError, AttributeError) as error:
        pytest.fail(f"{OPTION} = {place!r} is not there: {error}", pytrace=False)
    except ModuleNotFoundError as error:
        pytest.fail(
            f'{OPTION} = {place!r} cannot be imported: {error}; is its directory in pytest\'s option "pythonpath"?',
            pytrace=False,
        )
    if not isinstance(found, Spooler):
        pytest.fail(f"{OPTION} = {place!r} is a {type(found).__name__}, not a Spooler", pytrace=False)
    return found


@pytest.fixture
def aspool_resources() -> "Callable[[], AbstractAsyncContextManager[Any]] | None":
    """What makes the resources of jobs in tests; None: the application's own. Override it to give them a fake."""
    return None


@pytest.fixture
def aspool_spool(
    aspool_app: "Spooler[Any]", aspool_resources: "Callable[[], AbstractAsyncContextManager[Any]] | None"
) -> "Iterator[SpoolUnderTest]":
    """What is spooled, waits or is dead in this test, and its clock: see `aspool.testing.use`."""
    from .under_test import use

    with use(aspool_app, resources=aspool_resources) as spool:
        yield spool


@pytest.fixture(autouse=True)
def _aspool_over_memory(request: pytest.FixtureRequest) -> None:
    """A test that forgets the fixtures must not write to the real spools."""
    if request.config.getini(OPTION) and request.node.get_closest_marker(MARKER) is None:
        request.getfixturevalue("aspool_spool")


@pytest.fixture
def spooler(aspool_app: "Spooler[Any]", aspool_spool: "SpoolUnderTest") -> "Spooler[Any]":  # noqa: ARG001 - for its effect
    """The application's own Spooler, over spools in memory that are empty at the start of each test."""
    return aspool_app
