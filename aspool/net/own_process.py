"""What a process needs that is there for a listener: descriptors for its connections, and a quick interpreter."""

import logging
import resource
import sys

logger = logging.getLogger("aspool.net")
EACH = 3  # descriptors: of its socket, and of the file that its body is written to
OTHERS = 100  # of the spools, of the logs, of whatever else there is
SWITCH = 0.001  # seconds: a trip to the disk waits for the interpreter at each step, and the loop may be busy


def switch_quickly() -> None:
    """Let threads have the interpreter sooner. For a process that is ours alone."""
    sys.setswitchinterval(SWITCH)


def raise_limit(connections: int) -> None:
    """Let this process, and those that it starts, have as many descriptors as so many connections need, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * EACH + OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def possible(connections: int) -> int:
    """So many of them there can be; fewer than are wanted are told."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connections if soft == resource.RLIM_INFINITY else max(1, (soft - OTHERS) // EACH)
    if most < connections:
        logger.warning(
            "%d connections at the same time are possible, not %d: this process may have %d descriptors (ulimit -n)",
            most, connections, soft,
        )  # fmt: skip
    return min(most, connections)
