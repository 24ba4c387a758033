"""How large the benchmarks are: in full, or small to see that they work (`--quick`, or BENCH_QUICK=1)."""

import os

QUICK = "BENCH_QUICK"


def is_quick() -> bool:
    """Asked when scenarios are made and again when they run, also in processes that they start."""
    return os.environ.get(QUICK, "") not in ("", "0")


def scaled(full: int, quick: int) -> int:
    """The number of tasks, or of whatever is counted."""
    return quick if is_quick() else full
