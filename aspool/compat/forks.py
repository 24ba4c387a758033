"""What happens in each process once the modules of a program are imported: its hook after a fork, and its schedules."""

import logging

from .children import ended_children
from .program import Program
from .signals.registry import registry_of

logger = logging.getLogger("aspool.uwsgi")


def run_post_fork(program: Program) -> None:
    """Call `uwsgi.post_fork_hook`, if the program has set it. What it raises is logged, as there."""
    hook = program.hook("post_fork_hook")
    if hook is None:
        return
    try:
        with ended_children():
            hook()
    except Exception:
        logger.exception("uwsgi.post_fork_hook failed")


def begin(program: Program) -> None:
    """All modules are imported, in a worker: let all processes know the signals of the program.

    What is registered from now on is no part of the code. Raises SpoolUnusable, SpoolError.
    """
    registry_of(program).begin()


def begin_in_child(program: Program) -> None:
    """The same in the process of a job, of whose signals all processes know already."""
    registry_of(program).imported()
