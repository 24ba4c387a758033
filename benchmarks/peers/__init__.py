"""Other queues for Python beside aspool, each in its own usual setting: spooling, draining, latency.

`make bench-peers`. One module per queue: its tasks, which its worker imports, and `send` and `probe`, which a client
process calls.
"""

from .measuring import scenarios

__all__ = ["scenarios"]
