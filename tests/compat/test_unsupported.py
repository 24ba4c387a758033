"""The names of the module `uwsgi`: each of the real one is here, and works or says what to use instead."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from aspool import wire
from aspool.compat.unsupported import UNSUPPORTED

from ..real_uwsgi import run_in_uwsgi
from .conftest import MakeProgram

ARGUMENTS = ("--mule", "--queue", "5", "--cache2", "name=default,items=10", "--sharedarea", "1", "--locks", "2")


def test_every_name_of_the_real_one_is_there(make_program: MakeProgram, tmp_path: Path) -> None:
    program = "import json, uwsgi\nprint(json.dumps(dir(uwsgi)))\nprint('END')\n"
    names = json.loads(run_in_uwsgi(tmp_path / "real", program, "--spooler", str(tmp_path / "sp"), *ARGUMENTS))
    uwsgi = make_program(options={"queue": b"5"}).module
    assert len(names) > 100
    assert [name for name in names if not hasattr(uwsgi, name)] == []
    assert [name for name in UNSUPPORTED if name in vars(uwsgi)] == [], "these work"


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_each_that_is_missing_says_what_to_use_instead(uwsgi: Any, name: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"^aspool has no uwsgi\.{name}: \w"):
        getattr(uwsgi, name)(1, a=2)


def test_what_nobody_knows_is_an_attribute_error(uwsgi: Any) -> None:
    with pytest.raises(AttributeError, match="module 'uwsgi' has no attribute 'nothing'"):
        uwsgi.nothing  # noqa: B018 - this is what raises


# --- send_message --------------------------------------------------------------------------------------------------


def _serve(listening: socket.socket, got: list[bytes]) -> None:
    peer, _ = listening.accept()
    with peer:
        while len(b"".join(got)) < 4 or not _is_whole(b"".join(got)):
            got.append(peer.recv(65536))
        peer.sendall(b"hel")
        peer.sendall(b"lo")


def _is_whole(data: bytes) -> bool:
    return len(data) >= 4 + data[1] + (data[2] << 8)


@pytest.mark.parametrize("message", [{"key": "välue", b"b": b"\xff"}, b"bytes", ""])
def test_send_message_as_the_manual_has_it(uwsgi: Any, message: Any) -> None:
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=_serve, args=(listening, got))
        serving.start()
        answer = uwsgi.send_message(f"127.0.0.1:{listening.getsockname()[1]}", 17, 3, message, 10)
        assert b"".join(answer) == b"hello"
        serving.join(60)
    sent = b"".join(got)
    assert (sent[0], sent[3]) == (17, 3)
    if isinstance(message, dict):
        assert wire.decode(sent).variables == {b"key": "välue".encode(), b"b": b"\xff"}
    else:
        assert sent[4:] == (message.encode() if isinstance(message, str) else message)


def test_send_message_fails_as_the_network_does(uwsgi: Any, make_program: MakeProgram) -> None:
    with pytest.raises(ConnectionRefusedError):
        uwsgi.send_message("127.0.0.1:1", 17, 0, {})
    with pytest.raises(AttributeError, match="module 'uwsgi' has no attribute 'send_message'"):
        make_program(strict=True).module.send_message("127.0.0.1:1", 17, 0, {})
