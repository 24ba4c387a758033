"""An address becomes a listening socket, or a sentence: for the listener, and for health. What is said there
is not known here.

It is done before anything else starts, so that what cannot be is told at once.
"""

import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import Any

from ..errors import CallError
from ..escape import safe

LOOPBACK = "127.0.0.1"
PROBE = 1.0  # seconds
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens; `path` and `inode` of its file, if it is one that we made."""

    socket: socket.socket
    path: str = ""
    inode: int = 0

    def __str__(self) -> str:
        """Where, for people: with the real port, where any one was asked for."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            return f"unix:{safe(self.path or os.fsdecode(name))}"
        return f"[{name[0]}]:{name[1]}" if self.socket.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"

    def close(self) -> None:
        """Close it; its file goes too, unless another program has put its own there."""
        try:
            if self.path and os.lstat(self.path).st_ino == self.inode:
                os.unlink(self.path)
        except OSError:
            pass  # it has gone
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """An address, and what is to answer there: in words, for sentences.

    `backlog`: how many may wait to be accepted; `mode`: that of a socket file.
    """

    address: str
    what: str
    backlog: int
    mode: int = OWNER_ONLY

    def unusable(self, error: OSError) -> CallError:
        """Why nothing listens there."""
        advice = {
            errno.EADDRINUSE: "another program listens there, perhaps another `aspool`: stop it, or choose another",
            errno.EACCES: "this user may not",
            errno.EADDRNOTAVAIL: "this machine has no such address",
        }.get(error.errno or 0, error.strerror or str(error))
        return self.refused(advice)

    def refused(self, reason: str) -> CallError:
        """The same, for another reason."""
        return CallError(f"{self.what} cannot listen on {safe(self.address)}: {reason}")


def listen(asked: Asked) -> Listening:
    """A listening socket for HOST:PORT, [IPV6]:PORT, :PORT (on 127.0.0.1), *:PORT (on all addresses) or unix:PATH.

    A socket file that nobody listens on any more is replaced. Raises CallError.
    """
    if asked.address.startswith("unix:"):
        return _listen_unix(asked, asked.address.removeprefix("unix:"))
    host, port = _host_and_port(asked)
    try:
        made, place = _made_for(host, port)
    except OSError as error:
        raise asked.unusable(error) from error
    except UnicodeError as error:  # IDNA has no such name
        raise asked.refused(f"that is no name of a machine: {safe(error)}") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(asked.backlog)
    except OSError as error:
        made.close()
        raise asked.unusable(error) from error
    return Listening(made)


def _made_for(host: str, port: int) -> tuple[socket.socket, Any]:
    """A socket, and the place to bind it to; without a host one for all addresses, of IPv6 too where that is known."""
    if not host and socket.has_dualstack_ipv6():
        made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return made, ("::", port)
    family = socket.AF_UNSPEC if host else socket.AF_INET
    found = socket.getaddrinfo(host or None, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    return socket.socket(family, kind, protocol), place


def _host_and_port(asked: Asked) -> tuple[str, int]:
    """The host, "" for all addresses, and the port."""
    host, colon, port = asked.address.rpartition(":")
    is_bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or is_bare_ipv6 or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise CallError(
            f"{safe(asked.address)!r} is no address for {asked.what}: it must be HOST:PORT, [IPV6]:PORT, :PORT "
            f"(on {LOOPBACK}), *:PORT (on all addresses) or unix:PATH"
        )
    return ("" if host == "*" else host.strip("[]") or LOOPBACK), int(port)


# --- socket files ----------------------------------------------------------------------------------------------


def _listen_unix(asked: Asked, path: str) -> Listening:
    if not path:
        raise CallError("unix: needs a path behind it, as in unix:/run/aspool/socket")
    made = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(asked, path)
        made.bind(path)
        os.chmod(path, asked.mode)  # before anybody can connect
        made.listen(asked.backlog)
        return Listening(made, os.path.abspath(path), os.lstat(path).st_ino)
    except OSError as error:
        made.close()
        raise asked.unusable(error) from error
    except CallError:
        made.close()
        raise


def _remove_stale(asked: Asked, path: str) -> None:
    """Away with a socket file that nobody listens on. Raises CallError for what is in use, or is no socket."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise asked.refused("there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except TimeoutError:
            pass  # somebody listens, and is busy
    raise asked.unusable(OSError(errno.EADDRINUSE, ""))
