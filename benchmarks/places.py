"""The file systems that are measured: an ext4 with a journal, made for the occasion if need be, and a tmpfs."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

EXT4, TMPFS = "ext4", "tmpfs"
SHARED_MEMORY = Path("/dev/shm")
SIZE = 16 << 30  # bytes of the file system that we make; its file is sparse and takes what is written
BYTES_PER_INODE = 4096  # a million small tasks need more inodes than the usual 16 KiB for each give


@dataclass(frozen=True, slots=True)
class Place:
    """Where benchmarks run. `name` is what scenarios call it, `kind` what it really is."""

    name: str
    path: Path
    kind: str
    warning: str = ""


@contextlib.contextmanager
def places(wanted: Path | None, names: Sequence[str]) -> Iterator[list[Place]]:
    """The places of these names that this machine has; taken away at the end of the block."""
    with contextlib.ExitStack() as stack:
        found = []
        if EXT4 in names:
            found.append(_given(wanted, stack) if wanted is not None else _journalled(stack))
        if TMPFS in names and describe(SHARED_MEMORY) == "tmpfs":
            found.append(Place(TMPFS, _directory(SHARED_MEMORY, stack), "tmpfs"))
        yield found


def settle() -> None:
    """Let the disk finish what it has been given, so that nobody pays for what somebody else wrote."""
    os.sync()


def _given(path: Path, stack: contextlib.ExitStack) -> Place:
    kind = describe(path)
    return Place(EXT4, _directory(path, stack), kind, "" if _is_journalled_ext4(kind) else f"{path} is {kind}")


def _journalled(stack: contextlib.ExitStack) -> Place:
    """A new ext4 in a file, or the temporary directory with a warning."""
    directory = _directory(Path(tempfile.gettempdir()), stack)
    kind = describe(directory)
    if _is_journalled_ext4(kind):
        return Place(EXT4, directory, kind)
    try:
        mounted = _mount(directory, stack)
    except (OSError, subprocess.CalledProcessError) as error:
        return Place(EXT4, directory, kind, f"no ext4 could be mounted ({_reason(error)}): {directory} is {kind}")
    return Place(EXT4, mounted, f"{describe(mounted)}, in a file on {kind}")


def _mount(directory: Path, stack: contextlib.ExitStack) -> Path:
    """Raises OSError or CalledProcessError when it cannot be done, mostly for want of rights."""
    image, point = directory / "ext4.image", directory / "ext4"
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run(
        "mkfs.ext4", "-q", "-F", "-i", str(BYTES_PER_INODE), "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)
    )
    point.mkdir()
    _run("mount", "-o", "loop", str(image), str(point))
    stack.callback(_unmount, point)
    return point


def _unmount(point: Path) -> None:
    try:
        _run("umount", str(point))
    except subprocess.CalledProcessError:
        _run("umount", "--lazy", str(point))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr.decode(errors="replace").strip().splitlines()[-1:])
    return str(error)


def _directory(parent: Path, stack: contextlib.ExitStack) -> Path:
    path = Path(tempfile.mkdtemp(prefix="aspool-bench-", dir=parent))
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    return path


def describe(path: Path) -> str:
    """The kind of file system, and for ext4 whether it has a journal."""
    try:
        kind = _run("df", "--output=fstype", str(path)).split()[-1]
    except (OSError, subprocess.CalledProcessError):
        return "an unknown file system"
    if kind != "ext4":
        return kind
    return "ext4 with a journal" if _has_journal(path) else "ext4 without a journal"


def _has_journal(path: Path) -> bool:
    device = path.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    return any(Path("/proc/fs/jbd2").glob(f"{name}-*"))


def _is_journalled_ext4(kind: str) -> bool:
    return kind == "ext4 with a journal"
