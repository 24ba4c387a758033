"""A spool on a network file system is refused when it is opened, whatever is mounted beside and above it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspool import DirectorySpool
from aspool.errors import SpoolUnusable
from aspool.spools.directory import file_system
from aspool.spools.directory.file_system import NETWORK, kind_at, kind_of, refusal

SFTP_SERVER = "/usr/lib/openssh/sftp-server"


def process(root: Path, mount: str, *mounts: str) -> str:
    """What /proc/self says: the descriptor 3 is of a mount, and these are the mounts."""
    (root / "fdinfo").mkdir()
    (root / "fdinfo" / "3").write_text(f"pos:\t0\nflags:\t02100000\nmnt_id:\t{mount}\nino:\t2\n")
    (root / "mountinfo").write_text("".join(f"{line}\n" for line in mounts))
    return str(root)


MOUNTS = (
    "2 1 8:1 / / rw shared:1 - ext4 /dev/sda rw",
    "22 2 8:2 / /srv/a\\040b rw - nfs4 server:/x rw",
    "23 2 8:3 / /srv rw master:1 propagate_from:2 - fuse.sshfs you@there:/ rw",
)


@pytest.mark.parametrize(("mount", "kind"), [("2", "ext4"), ("22", "nfs4"), ("23", "fuse.sshfs"), ("3", "")])
def test_the_kind_is_that_of_the_mount(tmp_path: Path, mount: str, kind: str) -> None:
    assert kind_at(3, process(tmp_path, mount, *MOUNTS)) == kind


def test_what_cannot_be_told_is_no_reason(tmp_path: Path) -> None:
    assert kind_at(3, str(tmp_path)) == ""
    assert kind_at(3, process(tmp_path, "2", "2 1 8:1 / /")) == ""
    assert kind_of(str(tmp_path / "missing")) == ""
    assert refusal("") is None


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="only Linux tells kinds")
def test_of_this_machine(tmp_path: Path) -> None:
    told = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    assert kind_of(str(tmp_path)).partition(".")[0] in told.strip().replace("ext2/ext3", "ext4 ext3 ext2").split()
    assert kind_of("/proc") == "proc"


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_a_network_file_system_is_refused(spool_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(file_system, "kind_at", lambda _: kind)
    told = re.escape(f"the spool {spool_path} lies on a network file system ({NETWORK[kind]})")
    with pytest.raises(SpoolUnusable, match=f"^{told}.*move it to a local disk, or .*network=True"):
        DirectorySpool(spool_path).put_blocking([])
    assert os.listdir(spool_path) == [], "nothing was made in it"
    DirectorySpool(spool_path, network=True).put_blocking([])
    assert os.listdir(spool_path) == [".aspool"]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay", "zfs", "fuse.mergerfs", ""])
def test_all_others_are_opened(spool_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(file_system, "kind_at", lambda _: kind)
    DirectorySpool(spool_path).put_blocking([])
    assert os.listdir(spool_path) == [".aspool"]


def test_it_is_asked_when_opened_and_not_again(spool_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(file_system, "kind_at", lambda fd: str(asked.append(fd) or ""))  # type: ignore[func-returns-value]  # None
    spool = DirectorySpool(spool_path)
    for _ in range(3):
        spool.put_blocking([])
    assert len(asked) == 1


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Path]:
    """A directory of this machine, by way of a real sshfs."""
    if shutil.which("sshfs") is None or not os.access("/dev/fuse", os.W_OK) or not os.path.exists(SFTP_SERVER):
        pytest.skip("it takes sshfs, sftp-server and /dev/fuse")
    (tmp_path / "there").mkdir()
    mounted = tmp_path / "here"
    mounted.mkdir()
    server = tmp_path / "ssh"
    server.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
    server.chmod(0o755)
    subprocess.run(["sshfs", "-o", f"ssh_command={server}", f"nobody@there:{tmp_path}/there", mounted], check=True)
    yield mounted
    subprocess.run(["fusermount3", "-u", "-z", mounted], check=True)


def test_on_a_real_one(remote: Path) -> None:
    with pytest.raises(SpoolUnusable, match="network file system \\(sshfs\\)"):
        DirectorySpool(remote / "spool").put_blocking([])
