"""aspool.asgi offers what it says, and asks for Starlette and FastAPI only where they are used."""

import subprocess
import sys

import pytest

from aspool import asgi

WITHOUT = """
import sys
for name in ("fastapi", "sse_starlette", "starlette"):
    sys.modules[name] = None  # as if it were not installed
from aspool.asgi import BackgroundSpool, lifespan
for name in ("SpoolTasks", "events", "spool_full"):
    try:
        __import__("aspool.asgi", fromlist=[name])
    except ModuleNotFoundError as error:
        print(error)
"""


def test_everything_is_there() -> None:
    assert [name for name in asgi.__all__ if not hasattr(asgi, name)] == []
    assert all(getattr(asgi, name).__doc__ for name in asgi.__all__ if name != "SpoolTasks")
    with pytest.raises(AttributeError, match=r"module 'aspool.asgi' has no attribute 'Broker'"):
        asgi.Broker  # noqa: B018 - the access is the point of it


def test_the_lifespan_needs_no_framework() -> None:
    printed = subprocess.check_output([sys.executable, "-c", WITHOUT], text=True).splitlines()
    assert printed == [
        "aspool.asgi.SpoolTasks needs fastapi, which is not installed: pip install 'aspool[fastapi]'",
        "aspool.asgi.events needs sse_starlette, which is not installed: pip install 'aspool[fastapi]'",
        "aspool.asgi.spool_full needs starlette.requests, which is not installed: pip install 'aspool[fastapi]'",
    ]
