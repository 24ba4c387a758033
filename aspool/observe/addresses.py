"""Where health answers: an address becomes a listening socket, before anything else starts. HTTP is in `health`."""

import errno
import os
import socket
import stat
from dataclasses import dataclass

from ..errors import CallError
from ..escape import safe

LOOPBACK = "127.0.0.1"
BACKLOG = 64
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
            return f"unix:{safe(os.fsdecode(name))}"
        return f"[{name[0]}]:{name[1]}" if self.socket.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"

    def close(self) -> None:
        """Close it; its file goes too, unless another program has put its own there."""
        try:
            if self.path and os.lstat(self.path).st_ino == self.inode:
                os.unlink(self.path)
        except OSError:
            pass  # it has gone
        self.socket.close()


def listen(address: str) -> Listening:
    """A listening socket for HOST:PORT, [IPV6]:PORT, :PORT (on 127.0.0.1), *:PORT (on all addresses) or unix:PATH.

    A socket file has mode 0600; one that nobody listens on any more is replaced. Raises CallError.
    """
    if address.startswith("unix:"):
        return _listen_unix(address, address.removeprefix("unix:"))
    host, port = _host_and_port(address)
    try:
        ((family, kind, protocol, _, place), *_) = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(address, error) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _unusable(address, error) from error
    return Listening(made)


def _host_and_port(address: str) -> tuple[str, int]:
    """The host, "" for all addresses, and the port."""
    host, colon, port = address.rpartition(":")
    is_bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or is_bare_ipv6 or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise CallError(
            f"{safe(address)!r} is no address for health: it must be HOST:PORT, [IPV6]:PORT, :PORT (on {LOOPBACK}), "
            f"*:PORT (on all addresses) or unix:PATH"
        )
    return ("" if host == "*" else host.strip("[]") or LOOPBACK), int(port)


def _unusable(address: str, error: OSError) -> CallError:
    advice = {
        errno.EADDRINUSE: "another program listens there, perhaps another `aspool worker`: stop it, or choose another",
        errno.EACCES: "this user may not",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }.get(error.errno or 0, error.strerror or str(error))
    return CallError(f"health cannot listen on {safe(address)}: {advice}")


# --- socket files ----------------------------------------------------------------------------------------------


def _listen_unix(address: str, path: str) -> Listening:
    if not path:
        raise CallError("unix: needs a path behind it, as in unix:/run/aspool/health")
    made = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(address, path)
        made.bind(path)
        os.chmod(path, OWNER_ONLY)  # before anybody can connect
        made.listen(BACKLOG)
        return Listening(made, os.path.abspath(path), os.lstat(path).st_ino)
    except OSError as error:
        made.close()
        raise _unusable(address, error) from error
    except CallError:
        made.close()
        raise


def _remove_stale(address: str, path: str) -> None:
    """Away with a socket file that nobody listens on. Raises CallError for what is in use, or is no socket."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise CallError(f"health cannot listen on {safe(address)}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except TimeoutError:
            pass  # somebody listens, and is busy
    raise _unusable(address, OSError(errno.EADDRINUSE, ""))
