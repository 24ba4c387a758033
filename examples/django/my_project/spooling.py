"""Where tasks wait. The web application and the worker both import this."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import close_old_connections

from aspool import Spooler

spooler = Spooler(settings.SPOOL)


@contextmanager
def fresh_connections() -> Iterator[None]:
    """Around a task what Django does around a request: connections that are broken or too old are closed."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
