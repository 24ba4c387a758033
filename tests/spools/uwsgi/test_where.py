"""The address of a remote spool."""

import os
from pathlib import Path

import pytest

from aspool import Spooler
from aspool.addresses import spool_at
from aspool.errors import CallError
from aspool.protocol import PutsBlocking, Spool
from aspool.spools.uwsgi import UwsgiSpool
from aspool.spools.uwsgi.where import Where


@pytest.mark.parametrize(
    ("address", "where", "shown"),
    [
        ("uwsgi://mail.example:3031", Where("mail.example", 3031), "uwsgi://mail.example:3031"),
        ("uwsgi://mail.example:3031/", Where("mail.example", 3031), "uwsgi://mail.example:3031"),
        ("uwsgi://[::1]:3031", Where("::1", 3031), "uwsgi://[::1]:3031"),
        ("uwsgi:///run/a%20b.sock", Where(path="/run/a b.sock"), "uwsgi:///run/a b.sock"),
        ("uwsgi://10.0.0.1:1?timeout=2.5", Where("10.0.0.1", 1, timeout=2.5), "uwsgi://10.0.0.1:1"),
        ("uwsgi://h:1?secret_file=/etc/s&timeout=3", Where("h", 1, timeout=3, secret_file="/etc/s"), "uwsgi://h:1"),
        ("uwsgi:///run/x?timeout=1", Where(path="/run/x", timeout=1), "uwsgi:///run/x"),
        ("uwsgi:///run/%1b[2J%00", Where(path="/run/\x1b[2J\0"), "uwsgi:///run/\\x1b[2J\\x00"),
        ("uwsgi://\u202ehost:1", Where("\u202ehost", 1), "uwsgi://\\u202ehost:1"),
    ],
)
def test_an_address_is_read(address: str, where: Where, shown: str) -> None:
    assert Where.read(address) == where
    assert str(where) == shown


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("uwsgi:", "uwsgi://HOST:PORT"),
        ("uwsgi://", "uwsgi://HOST:PORT"),
        ("uwsgi://host", "uwsgi://HOST:PORT"),
        ("uwsgi://host:0", "uwsgi://HOST:PORT"),
        ("uwsgi://host:99999", "out of range"),
        ("uwsgi://host:abc", "uwsgi://HOST:PORT"),
        ("uwsgi://:3031", "uwsgi://HOST:PORT"),
        ("uwsgi://[::1:3031", "IPv6"),
        ("uwsgi:run/x.sock", "uwsgi://HOST:PORT"),
        ("uwsgi:/run/x.sock", "uwsgi://HOST:PORT"),
        ("uwsgi://host:1/path", "uwsgi://HOST:PORT"),
        ("uwsgi://me@host:1", "neither a user"),
        ("uwsgi://host:1#part", "fragment"),
        ("uwsgi://host:1?timeuot=3", "an option timeuot; there are timeout and secret_file"),
        ("uwsgi://host:1?timeout=soon", "no number of seconds"),
        ("uwsgi://host:1?timeout=", "no number of seconds"),
        ("uwsgi://host:1?timeout=0", "more than 0 seconds"),
        ("uwsgi://host:1?timeout=nan", "more than 0 seconds"),
        ("uwsgi://host:1?timeout=inf", "more than 0 seconds"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(address: str, why: str) -> None:
    with pytest.raises(CallError, match=why.replace("?", r"\?")) as told:
        Where.read(address)
    assert address in str(told.value) or "more than 0" in why


def test_options_win_over_those_in_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spool = UwsgiSpool("uwsgi://host:1?timeout=3", timeout=4, secret_file="secret")
    assert spool.where == Where("host", 1, timeout=4.0, secret_file=str(tmp_path / "secret"))
    monkeypatch.chdir("/")
    assert spool.where.secret_file == os.path.join(tmp_path, "secret")


@pytest.mark.parametrize("timeout", [0, -1, True, "5", float("inf")])
def test_a_timeout_that_cannot_be_is_refused(timeout: float) -> None:
    with pytest.raises(CallError, match="timeout"):
        UwsgiSpool("uwsgi://host:1", timeout=timeout)


def test_it_is_a_spool_as_others() -> None:
    spool: Spool = UwsgiSpool("uwsgi://host:1?timeout=3")
    assert (spool.address, spool.concurrency, spool.external) == ("uwsgi://host:1?timeout=3", None, True)
    assert isinstance(spool, PutsBlocking)


def test_it_is_only_written_to() -> None:
    assert spool_at("uwsgi://host:1", ordered=True, external=True).external
    with pytest.raises(CallError, match="only written to"):
        UwsgiSpool("uwsgi://host:1", external=False)


def test_a_spooler_opens_it_by_its_address() -> None:
    spooler = Spooler("uwsgi://host:3031", spools={"mail": "uwsgi:///run/mail.sock"})
    assert isinstance(spooler.spool_of(None), UwsgiSpool)
    assert spooler.spool_of("uwsgi:///run/mail.sock") is spooler.spool_of("mail")
    assert repr(spooler.spool_of("uwsgi://other:1")) == "UwsgiSpool('uwsgi://other:1')"
