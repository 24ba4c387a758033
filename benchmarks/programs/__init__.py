"""Applications of workers, and programs, that the benchmarks start. Each leaves its figures in BENCH_ROOT."""

COUNT = "BENCH_COUNT"  # the environment variable with how many tasks make the figures
LIMIT = "BENCH_LIMIT"  # and with how many jobs of a task may run at the same time
SIDE_BY_SIDE, ONE_BY_ONE = "side by side", "one after the other"
