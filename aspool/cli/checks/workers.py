"""Checks of who works on the spool."""

import os
from pathlib import Path

from ...spools.directory.tree import PRIVATE
from ...worker.scoreboard import boards
from .finding import Finding, ok, warn


def living(path: str) -> Finding:
    """Whether any worker runs the tasks."""
    found = boards(Path(path, PRIVATE, "workers"))
    if not found:
        return warn("workers", "none is running", "start one: aspool worker APP")
    running = sum(len(board.entries) for board in found)
    told = ", ".join(f"{board.pid} on {board.host}" for board in found[:10])
    return ok("workers", f"{len(found)} ({told}), {running} jobs running")


def same_user(path: str) -> Finding:
    """A worker as root runs tasks that others wrote."""
    if os.geteuid() == 0 and os.stat(path).st_uid != 0:
        return warn(
            "user",
            "you are root, the spool is not: its owner can run tasks as root",
            "run workers as the spool's owner",
        )
    return ok("user", "root" if os.geteuid() == 0 else f"user {os.geteuid()}")
