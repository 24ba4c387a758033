"""aspool inside a web application: the lifespan that opens the spools and, if wanted, runs a worker."""

from .lifespan import lifespan

__all__ = ["lifespan"]
