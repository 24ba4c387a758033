"""The benchmarks: `python -m benchmarks`, or `make bench`. docs/explanation/speed.md says what they measure."""
