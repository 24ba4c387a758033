"""Spooling tasks one at a time to see how soon each starts: what aspool's probes and uWSGI's have in common."""

import random
import time

BUSY = 0.01  # seconds that the task sleeps which runs already
PAUSE = 0.005, 0.015  # seconds between two probes, at random, so that they meet no rhythm of the other side


def pause() -> None:
    time.sleep(pause_length())


def pause_length() -> float:
    return random.uniform(*PAUSE)


def some_of(seconds: float) -> float:
    """A moment at which a task of so many seconds surely has begun, and surely has not ended."""
    return seconds * random.uniform(0.3, 0.6)
