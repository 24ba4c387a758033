"""The pytest plugin: the fixtures `spooler` and `aspool_spool` put an application's own Spooler over memory.

Which application: `aspool_app = "app:spooler"` in pytest's configuration, or a fixture `aspool_app`.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spooler import Spooler
    from .under_test import SpoolUnderTest

OPTION = "aspool_app"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    parser.addini(OPTION, "the Spooler of the application under test, as module:attribute (app:spooler)", default="")


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

    module, colon, attribute = place.partition(":")
    if not (module and colon and attribute):
        pytest.fail(f'{OPTION} = {place!r} must be module:attribute, as "app:spooler"', pytrace=False)
    try:
        found = resolve_name(place)
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
def aspool_spool(aspool_app: "Spooler[Any]") -> "Iterator[SpoolUnderTest]":
    """What is spooled, waits or is dead in this test, and its clock: see `aspool.testing.use`."""
    from .under_test import use

    with use(aspool_app) as spool:
        yield spool


@pytest.fixture
def spooler(aspool_app: "Spooler[Any]", aspool_spool: "SpoolUnderTest") -> "Spooler[Any]":  # noqa: ARG001 - for its effect
    """The application's own Spooler, over spools in memory that are empty at the start of each test."""
    return aspool_app
