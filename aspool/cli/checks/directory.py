"""Checks of the spool directory itself: that it is there, whose it is, who may write, and where .aspool lies."""

import os
import pwd
import stat

from ...spools.directory.tree import PRIVATE, VERSION
from .finding import Finding, fail, ok, warn

CLEANED = ("/tmp", "/var/tmp")  # noqa: S108 - where a spool should not lie


def existence(path: str) -> Finding:
    """Whether there is a directory, under its own name. What fails here makes all other checks pointless."""
    if os.path.islink(path):
        return fail("directory", f"{path} is a symbolic link", f"name the real directory: {os.path.realpath(path)}")
    if not os.path.lexists(path):
        above = os.path.dirname(path)
        if not os.path.isdir(above):
            return fail("directory", f"{path} does not exist, nor does {above}", f"mkdir -p {above}")
        return fail(
            "directory",
            f"{path} does not exist yet",
            f"spool something, start a worker, or mkdir -m 700 {path}",
        )
    if not os.path.isdir(path):
        return fail("directory", f"{path} is no directory", "name a directory")
    return ok("directory", path)


def ownership(path: str) -> Finding:
    """Whether this user may do everything in it, as the worker must."""
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        owner, me = _user(os.stat(path).st_uid), _user(os.geteuid())
        return fail(
            "writable",
            f"{me} may not read and write it; it belongs to {owner}",
            f"run as {owner}, or chown it",
        )
    if os.stat(path).st_uid != os.geteuid() and os.geteuid() != 0:
        return warn(
            "owner",
            f"it belongs to {_user(os.stat(path).st_uid)}",
            "workers and writers should be the same user",
        )
    return ok("writable", f"it belongs to {_user(os.stat(path).st_uid)} and can be written")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def mode(path: str) -> Finding:
    """Whoever may write here runs tasks as the worker's user."""
    bits = os.stat(path).st_mode
    text = f"mode {stat.S_IMODE(bits):04o}"
    if bits & stat.S_IWOTH:
        return fail("mode", f"{text}: anybody can queue tasks as the worker's user", f"chmod o-w {path}")
    if bits & stat.S_IWGRP:
        return warn(
            "mode",
            f"{text}: its group can queue tasks as the worker's user",
            f"chmod g-w {path}, unless that is meant",
        )
    return ok("mode", text)


def private_area(path: str) -> Finding:
    """Files move between the spool and .aspool, so both must lie on one file system."""
    private = os.path.join(path, PRIVATE)
    try:
        found = os.lstat(private)
    except FileNotFoundError:
        return ok(PRIVATE, "not made yet; the first use makes it")
    if not stat.S_ISDIR(found.st_mode):
        return fail(PRIVATE, f"{private} is no directory", "move it away; aspool makes its own")
    if found.st_dev != os.stat(path).st_dev:
        return fail(
            PRIVATE,
            f"{private} lies on another file system",
            "unmount it: files cannot be moved there at once",
        )
    return _version(private)


def _version(private: str) -> Finding:
    try:
        with open(os.path.join(private, "version"), encoding="utf-8", errors="replace") as file:
            text = file.read(20).strip()
    except FileNotFoundError:
        text = ""
    if text not in ("", VERSION):
        return fail(PRIVATE, f"its format is {text!r}, this aspool knows {VERSION}", "use a newer aspool")
    return ok(PRIVATE, "on the same file system")


def location(path: str) -> Finding:
    """Directories that the system empties by age are no place for tasks."""
    real = os.path.realpath(path)
    if any(real.startswith(f"{cleaned}/") for cleaned in CLEANED):
        return warn(
            "place",
            f"{real} lies where the system removes old files",
            "use a directory under /var/lib or /srv",
        )
    return ok("place", "not in a directory for temporary files")
