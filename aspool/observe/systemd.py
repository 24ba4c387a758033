"""systemd's two small protocols: telling it how a service stands (sd_notify), and sockets that it has opened for us.

What stands in the environment is passed in.
"""

import os
import socket
import time
from dataclasses import dataclass

from ..errors import CallError
from ..escape import safe

FIRST_FD = 3  # SD_LISTEN_FDS_START
PATIENCE = 0.1  # seconds that a word may wait for room


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells systemd how we are. `address` is NOTIFY_SOCKET; without one nothing is told. Never fails."""

    address: str | None

    def ready(self, status: str = "") -> None:
        """All is up; after `reloading` it says that the reload is over."""
        self._tell("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell(*_status(text))

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        """It is about to end."""
        self._tell("STOPPING=1", *_status(status))

    def watchdog(self) -> None:
        """Still alive: at least every `watchdog_interval` seconds."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self.address or not lines:
            return
        place = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(PATIENCE)
                sender.sendto("\n".join(lines).encode(errors="backslashreplace"), place)
        except (OSError, ValueError):  # nobody listens, or it is no address
            pass


def _status(text: str) -> list[str]:
    return [f"STATUS={safe(text)}"] if text else []  # on one line: the next one would be another word


def watchdog_interval(usec: str | None, pid: str | None, own_pid: int) -> float | None:
    """Seconds between two calls of `watchdog`, half of what systemd waits; None if it does not watch this process.

    `usec` is WATCHDOG_USEC, `pid` WATCHDOG_PID.
    """
    if pid and pid != str(own_pid):
        return None
    microseconds = _whole(usec)
    return microseconds / 2e6 if microseconds else None


def listen_fds(count: str | None, pid: str | None, own_pid: int, *, first: int = FIRST_FD) -> list[socket.socket]:
    """The sockets that systemd opened for this process; programs that we start do not inherit them.

    `count` is LISTEN_FDS, `pid` LISTEN_PID, `first` the first descriptor. Raises CallError for what is no
    listening socket.
    """
    if pid != str(own_pid):
        return []
    return [_listening(descriptor) for descriptor in range(first, first + (_whole(count) or 0))]


def _listening(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise CallError(f"systemd gave descriptor {descriptor}, which is no socket: {error.strerror}") from error
    if found.type != socket.SOCK_STREAM or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.detach()
        raise CallError(
            f"systemd gave descriptor {descriptor}, which does not listen: the .socket unit needs ListenStream="
        )
    return found


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None
