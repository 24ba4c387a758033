"""What the tests of applications, and of spools, need. Nothing here runs in production.

Loaded when it is first used, since pytest loads the plugin in every project where aspool is installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asserting import assert_not_spooled, assert_nothing_spooled, assert_spooled
    from .clock import Clock
    from .draining import Ran, drain, drain_sync
    from .spooled import Dead, Spooled
    from .under_test import SpoolUnderTest, use

__all__ = [
    "Clock",
    "Dead",
    "Ran",
    "SpoolUnderTest",
    "Spooled",
    "assert_not_spooled",
    "assert_nothing_spooled",
    "assert_spooled",
    "drain",
    "drain_sync",
    "use",
]
_PLACES = {
    "asserting": ("assert_not_spooled", "assert_nothing_spooled", "assert_spooled"),
    "clock": ("Clock",),
    "draining": ("Ran", "drain", "drain_sync"),
    "spooled": ("Dead", "Spooled"),
    "under_test": ("SpoolUnderTest", "use"),
}
_LATER = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'aspool.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
