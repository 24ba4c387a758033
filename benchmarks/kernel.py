"""What the kernel says of a process: its memory, its processor time, how often it slept."""

import time
from pathlib import Path

MEBIBYTE = 1 << 20


def peak_bytes(pid: int | str = "self") -> int:
    """The largest resident size since the program began, or since `forget_peak`."""
    return 1024 * int(_field(Path(f"/proc/{pid}/status"), "VmHWM"))


def resident_bytes(pid: int | str = "self") -> int:
    """The resident size now."""
    return 1024 * int(_field(Path(f"/proc/{pid}/status"), "VmRSS"))


def forget_peak() -> None:
    """Let the peak of this process begin at what it has now."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """The processor time of all its threads, also of those that have ended; the clock ticks of /proc are too coarse."""
    return time.clock_gettime(~pid << 3 | 2)  # the kernel's number for the processor clock of another process


def sleeps(pid: int) -> dict[str, int]:
    """How often each of its threads went to sleep of itself, and so had to be woken."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {thread.name: int(_field(thread / "status", "voluntary_ctxt_switches")) for thread in threads}


def _field(status: Path, name: str) -> str:
    return next(line.split()[1] for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
