"""The directory spool, the default: one message, one file; compatible with uWSGI's spooler."""

from .spool import DirectorySpool

__all__ = ["DirectorySpool"]
