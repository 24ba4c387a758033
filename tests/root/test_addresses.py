"""Addresses of spools: paths, URLs and objects; nothing is opened by them."""

import re
from pathlib import Path

import pytest

from aspool import CallError, DirectorySpool, MemorySpool, UnknownSpool
from aspool.addresses import spool_at


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("./a", "a"),
        ("a/b", "a/b"),
        ("a/../b", "b"),
        (".", ""),
        ("a", "a"),
        (Path("a"), "a"),
        ("file:a", "a"),
        ("C", "C"),
        ("a b:c/", "a b:c"),
    ],
)
def test_a_path_is_resolved_now_and_not_made(
    address: str | Path, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spool = spool_at(address)
    monkeypatch.chdir("/")
    assert isinstance(spool, DirectorySpool)
    assert spool.path == tmp_path / path
    assert list(tmp_path.iterdir()) == []


def test_a_url_names_the_engine() -> None:
    assert isinstance(spool_at("memory:"), MemorySpool)
    assert spool_at("memory:").address == "memory:"


@pytest.mark.parametrize("address", ["file:/var/spool", "file:///var/spool", "/var/spool", Path("/var/spool")])
def test_a_file_url_is_a_path(address: str | Path) -> None:
    assert spool_at(address).address == "/var/spool"


def test_a_spool_that_somebody_made_is_taken_as_it_is() -> None:
    spool = MemorySpool()
    assert spool_at(spool) is spool


@pytest.mark.parametrize("address", ["redis://localhost", "nosuch:", "x-y+z.1:abc"])
def test_an_engine_that_is_not_installed(address: str) -> None:
    scheme = address.partition(":")[0]
    with pytest.raises(UnknownSpool) as caught:
        spool_at(address)
    assert str(caught.value) == f"no spool engine is installed for {scheme}: addresses (installed: file, memory, uwsgi)"


def test_options_of_the_engine() -> None:
    for address in ("./a", "file:a", "memory:"):
        spool = spool_at(address, external=True, ordered=True)
        assert isinstance(spool, DirectorySpool | MemorySpool)
        assert (spool.external, spool.ordered, spool.concurrency) == (True, True, 1)
    with pytest.raises(CallError, match="spools at memory: addresses have no option durable"):
        spool_at("memory:", durable=True)
    with pytest.raises(CallError, match="memory: is made already"):
        spool_at(MemorySpool(), external=True)


@pytest.mark.parametrize("address", ["127.0.0.1:3031", "localhost:3031", "[::1]:3031", "example.org:80"])
def test_a_host_and_a_port_is_no_path(address: str) -> None:
    with pytest.raises(UnknownSpool, match=re.escape(f"is uwsgi://{address}")):
        spool_at(address)
