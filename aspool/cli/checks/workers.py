"""Checks of who works on the spool."""

import os
from pathlib import Path

from ...errors import SpoolUnusable
from ...spools.directory import DirectorySpool
from ...spools.directory.scoreboard import boards
from ...spools.directory.tree import PRIVATE
from ..pausing import WHOLE, paused_in, words
from .finding import Finding, ok, warn


def living(path: str) -> Finding:
    """Whether any worker runs the tasks."""
    found = boards(Path(path, PRIVATE, "workers"))
    if not found:
        return warn("workers", "none is running", "start one: aspool worker APP")
    running = sum(len(board.entries) for board in found)
    told = ", ".join(f"{board.pid} on {board.host}" for board in found[:10])
    return ok("workers", f"{len(found)} ({told}), {running} jobs running")


def paused(path: str) -> Finding:
    """What nobody begins until somebody resumes it."""
    if not os.path.isdir(os.path.join(path, PRIVATE, "paused")):
        return ok("paused", "nothing")
    try:
        found = words(paused_in(DirectorySpool(path)))
    except SpoolUnusable as error:
        return warn("paused", f"it cannot be seen: {error}", "see the other lines")
    if not found:
        return ok("paused", "nothing")
    what = "resume" if found[0] == WHOLE else "resume TASK"
    return warn("paused", ", ".join(found), f"aspool {what}, unless that is meant")


def same_user(path: str) -> Finding:
    """A worker as root runs tasks that others wrote."""
    if os.geteuid() == 0 and os.stat(path).st_uid != 0:
        return warn(
            "user",
            "you are root, the spool is not: its owner can run tasks as root",
            "run workers as the spool's owner",
        )
    return ok("user", "root" if os.geteuid() == 0 else f"user {os.geteuid()}")
