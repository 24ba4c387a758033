"""The moment at which the clock of a test begins."""

START = 1_790_000_000.0
