"""Large bodies: what they add to the memory of the client that spools them and of the worker that reads them."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from .kernel import MEBIBYTE
from .programs import COUNT, ONE_BY_ONE, SIDE_BY_SIDE
from .reports import script, wait_for_report, worker
from .scale import scaled
from .scenario import Figures, Goal, Scenario

PATIENCE = 300.0  # seconds
MEGABYTE = 1_000_000
SMALL = 1000  # bytes
GROWTH = 8.0  # MiB that large bodies may add


def scenarios() -> Sequence[Scenario]:
    sizes = ((10, scaled(100, 10)), (20, scaled(50, 5)))  # how many, of how many megabytes
    ways = (SIDE_BY_SIDE, ONE_BY_ONE)
    contenders = {
        f"{count} of {megabytes} MB, {way}": partial(grow, count, megabytes, way)
        for (count, megabytes), way in product(sizes, ways)
    }
    memory = Scenario(
        group="bodies",
        name="memory for large bodies",
        contenders=contenders,
        goals=tuple(
            Goal(figure=f"{who} growth MiB", of=name, at_most=GROWTH)
            for name in contenders
            if name.startswith("20")
            for who in ("client", "worker")
        ),
        rounds=scaled(3, 1),
        notes="The client is given a path. Side by side: as many coroutines as bodies; one after the other: one. Then "
        f"a worker reads them, side by side always. Growth: over the peak with as many bodies of {SMALL} bytes. The "
        "peak is the largest resident size as the kernel noted it (VmHWM).",
    )
    return (memory,)


def grow(count: int, megabytes: int, way: str, directory: Path) -> Figures:
    """The peaks with bodies so large, and over those with small ones."""
    small = peaks(directory, count, SMALL, way)
    large = peaks(directory, count, megabytes * MEGABYTE, way)
    figures = {f"{who} peak MiB": large[who] for who in large}
    return figures | {f"{who} growth MiB": large[who] - small[who] for who in large}


def peaks(directory: Path, count: int, size: int, way: str) -> dict[str, float]:
    """The peak of the client, then of the worker, in MiB."""
    source = directory / f"{size} bytes"
    with source.open("wb") as file:
        for _ in range(0, size, SMALL):
            file.write(b"x" * SMALL)
    with script(directory, "bodies", source, count, way, environment={COUNT: count}) as client:
        sent = wait_for_report(directory, "client", PATIENCE, client)
        client.wait(PATIENCE)
    with worker(directory, "bodies", "--burst", environment={COUNT: count}) as reader:
        read = wait_for_report(directory, "worker", PATIENCE, reader)
        reader.wait(PATIENCE)
    return {"client": sent["peak"] / MEBIBYTE, "worker": read["peak"] / MEBIBYTE}
