"""The spool that is only written to: a remote uWSGI or aspool, reached by uwsgi packets."""

from .spool import UwsgiSpool

__all__ = ["UwsgiSpool"]
