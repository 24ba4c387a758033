"""A listener for uwsgi packets: `async with listening(spools, settings)`. What sends them is `aspool.spools.uwsgi`."""

from .listener import Listener, listening

__all__ = ["Listener", "listening"]
