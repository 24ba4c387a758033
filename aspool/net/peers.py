"""Who is at the other end of a connection, and whether somebody from there may say anything at all."""

import os
import pwd
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal

from ..errors import CallError
from ..escape import safe
from ..settings import ListenerSettings

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid, as Linux has them
_MAPPED = 96  # bits before the address of IPv4 in one of IPv6
_NEIGHBOURS = 64  # bits of an IPv6 address that are one customer's
Reach = Literal["unix", "loopback", "outer"]
Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Peer:
    """`name` is for people, `key` what its connections are counted by; `is_us`: it runs as our own user."""

    reach: Reach
    name: str
    key: str = ""
    is_us: bool = False


@lru_cache(1024)
def address_of(text: str) -> Ip:
    """An address without its zone; one of IPv4 in the clothes of IPv6 as what it is."""
    found = ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def network_of(text: str) -> IPv4Network | IPv6Network:
    """A network; one of IPv4 in the clothes of IPv6 as what it is, as the addresses are that it is compared with."""
    found = ip_network(text)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is None or found.prefixlen < _MAPPED:
        return found
    return ip_network((int(mapped), found.prefixlen - _MAPPED))


class Access:
    """Lets in whom the settings let in. Raises CallError for users that are not there."""

    def __init__(self, settings: ListenerSettings) -> None:
        self._networks = [network_of(one) for one in settings.allow]
        self._users = {0, os.geteuid(), *map(_uid_of, settings.allow_user)}

    def peer_of(self, connection: socket.socket, accepted: Any) -> Peer | str:
        """Who it is, or why it may not come in; `accepted` is its address. Raises OSError when it has gone."""
        if connection.family == socket.AF_UNIX:
            return self._local(_user_of(connection))
        address = address_of(accepted[0])
        if address.is_loopback:
            return Peer("loopback", str(address))
        if not any(address in network for network in self._networks if network.version == address.version):
            return f"{address} is in no network that is allowed"
        return Peer("outer", str(address), _neighbourhood(address))

    def _local(self, user: int | None) -> Peer | str:
        if user is None:  # the mode of the socket file is all there is
            return Peer("unix", "a local user")
        if user not in self._users:
            return f"user {user} is neither we nor root nor allowed: --allow-user lets one in"
        return Peer("unix", f"user {user}", is_us=user == os.geteuid())


def _user_of(connection: socket.socket) -> int | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(found)[1]
    return uid


def _neighbourhood(address: Ip) -> str:
    if address.version == 4:
        return str(address)
    return str(ip_network((int(address) >> _NEIGHBOURS << _NEIGHBOURS, 128 - _NEIGHBOURS)))


def _uid_of(name: str) -> int:
    if name.isascii() and name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise CallError(f"allow_user: there is no user {safe(name)} on this machine") from None


def check_reach(listening: socket.socket, settings: ListenerSettings) -> None:
    """Refuse to listen where other machines reach us, unless it is said who may. Raises CallError."""
    if listening.family == socket.AF_UNIX:
        if settings.allow_user and not hasattr(socket, "SO_PEERCRED"):
            raise CallError("allow_user needs a system that tells who has connected to a socket file, as Linux does")
        return
    address = address_of(listening.getsockname()[0])
    if address.is_loopback or (settings.allow and settings.secret_file):
        return
    missing = " and ".join(name for name in ("allow", "secret_file") if not getattr(settings, name))
    raise CallError(
        f"other machines reach {address}, so it must be said which of them may come in (allow) and what they must know "
        f"(secret_file): give {missing}, or listen on 127.0.0.1 or a unix: socket"
    )
