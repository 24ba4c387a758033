"""Addresses become listening sockets, or sentences."""

import os
import socket
import stat
from pathlib import Path

import pytest

from aspool.errors import CallError
from aspool.net.addresses import Asked, Listening
from aspool.net.addresses import listen as listen_as_asked


def listen(address: str) -> Listening:
    return listen_as_asked(Asked(address, "health", 64))


def connects(listening: Listening) -> bool:
    with socket.socket(listening.socket.family) as client:
        client.settimeout(20)
        return client.connect_ex(listening.socket.getsockname()) == 0


@pytest.mark.parametrize(
    ("address", "host"), [(":0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.1"), ("localhost:0", "127.0.0.1")]
)
def test_tcp(address: str, host: str) -> None:
    listening = listen(address)
    name = listening.socket.getsockname()
    assert (name[0], str(listening)) in ((host, f"{host}:{name[1]}"), ("::1", f"[::1]:{name[1]}"))
    assert connects(listening)
    listening.close()


def test_all_addresses_must_be_asked_for() -> None:
    listening = listen("*:0")
    _, port, *_ = listening.socket.getsockname()
    for host in ["127.0.0.1", "::1"]:
        socket.create_connection((host, port), timeout=20).close()
    listening.close()


def test_all_addresses_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: False)
    listening = listen("*:0")
    assert str(listening).startswith("0.0.0.0:")
    assert connects(listening)
    listening.close()


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example"])
def test_a_name_that_cannot_be(name: str) -> None:
    with pytest.raises(CallError, match=f"health cannot listen on {name}:1: that is no name of a machine"):
        listen(f"{name}:1")


@pytest.mark.parametrize("address", ["", "9000", "host", "host:", "host:x", "::1:9000", "host:65536", ":²", "host:-1"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(CallError, match="is no address for health: it must be HOST:PORT"):
        listen(address)


def test_a_port_in_use() -> None:
    listening = listen(":0")
    with pytest.raises(CallError, match=f"health cannot listen on {listening}: another program listens there"):
        listen(str(listening))
    listening.close()


@pytest.mark.parametrize(
    ("address", "said"), [("192.0.2.1:9000", "this machine has no such address"), ("no.such.host.invalid:9000", "")]
)
def test_an_address_that_is_not_here(address: str, said: str) -> None:
    with pytest.raises(CallError, match=f"health cannot listen on {address}: {said}"):
        listen(address)


# --- socket files ----------------------------------------------------------------------------------------------


def test_a_socket_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "health"
    before = os.umask(0)
    try:
        listening = listen(f"unix:{path}")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (str(listening), connects(listening)) == (f"unix:{path}", True)
    listening.close()
    assert not path.exists()


def test_a_socket_file_that_was_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "health"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listening = listen(f"unix:{path}")
    assert connects(listening)
    listening.close()


def test_a_socket_file_in_use(tmp_path: Path) -> None:
    listening = listen(f"unix:{tmp_path}/health")
    with pytest.raises(CallError, match="/health: another program listens there"):
        listen(f"unix:{tmp_path}/health")
    assert connects(listening)
    listening.close()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("precious")
    with pytest.raises(CallError, match="there is a file that is no socket"):
        listen(f"unix:{tmp_path}/health")
    assert (tmp_path / "health").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "unix: needs a path"), ("/nowhere/health", "No such file"), ("/tmp/" + "x" * 200, "too long")],
)
def test_paths_that_cannot_be(path: str, said: str) -> None:
    with pytest.raises(CallError, match=said):
        listen(f"unix:{path}")


def test_another_programs_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "health"
    listening = listen(f"unix:{path}")
    path.unlink()
    path.write_text("another program's")
    listening.close()
    assert path.exists()
