"""The command line: which groups, where, how often, and what becomes of the results."""

import argparse
import contextlib
import importlib
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from . import record, scale
from .places import EXT4, TMPFS
from .record import Record
from .scenario import Scenario
from .session import Session
from .terminal import Screen

GROUPS = (
    "start", "enqueue", "drain", "workers", "limits", "latency", "tickets", "busy_loop", "backlog", "idle", "bodies",
)  # fmt: skip
ON_REQUEST = ("peers",)  # they need other queues: `make bench-peers`
RESULTS = Path(__file__).with_name("results.jsonl")
DIRECTORY = "BENCH_DIR"
FLAGS = {
    "--quick": "small and once: shows that it works, and no more",
    "--list": "say what would be measured",
    "--publish": f"put the results into {RESULTS.name}, and make the page of them",
    "--strict": "fail when a goal is missed",
}
VALUES: Sequence[tuple[str, Callable[[str], object], str, str]] = (
    ("--dir", Path, "PATH", f"measure here instead of on an ext4 made in a file (${DIRECTORY})"),
    ("--rounds", int, "N", "so many rounds, instead of each scenario's own number"),
    ("--only", str, "TEXT", "scenarios with this text in their name"),
    ("--json", Path, "FILE", "write the results there, as JSON lines"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. 0, or with --strict 1 when a goal was missed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["report"]:
        return _report([Path(word) for word in words[1:]] or [RESULTS])
    options = _options(words)
    if options.quick:
        os.environ[scale.QUICK] = "1"
    screen = Screen()
    chosen = [each for each in _scenarios(options.groups or GROUPS, screen) if options.only in each.name]
    if options.list:
        for scenario in chosen:
            screen.listed(scenario)
        return 0
    signal.signal(signal.SIGTERM, _leave)
    with _results(options) as results:
        session = Session(screen, results, options.rounds, options.quick)
        missed = session.run(chosen, options.dir, options.place)
    if options.publish:
        _report([RESULTS])
    return 1 if missed and options.strict else 0


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(words)
    if options.publish and (options.quick or options.only or options.place):
        parser.error("--publish takes whole groups in full size: without --quick, --only and --place")
    if options.dir is None and os.environ.get(DIRECTORY):
        options.dir = Path(os.environ[DIRECTORY])
    return options


def _group(name: str) -> str:
    """As `choices`, which refuses no group at all in some Pythons."""
    if name not in (*GROUPS, *ON_REQUEST):
        raise argparse.ArgumentTypeError(f"no group is called {name!r}")
    return name


def _parser() -> argparse.ArgumentParser:
    names = (*GROUPS, *ON_REQUEST)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures aspool beside others, in interleaved runs. `report [FILE…]` makes the page of results.",
    )
    told = f"{', '.join(names)}; all but {', '.join(ON_REQUEST)} if none is given"
    parser.add_argument("groups", nargs="*", metavar="GROUP", type=_group, help=told)
    for name, text in FLAGS.items():
        parser.add_argument(name, action="store_true", help=text)
    for name, kind, shown, text in VALUES:
        parser.add_argument(name, type=kind, metavar=shown, help=text)
    parser.add_argument("--place", choices=(EXT4, TMPFS), help="only there")
    parser.set_defaults(only="")
    return parser


# --- what is measured ------------------------------------------------------------------------------------


def _scenarios(groups: Sequence[str], screen: Screen) -> list[Scenario]:
    found = [scenario for group in groups for scenario in importlib.import_module(f".{group}", __package__).scenarios()]
    return [scenario for scenario in found if not _lacking(scenario, screen)]


def _lacking(scenario: Scenario, screen: Screen) -> bool:
    missing = [module for module in scenario.needs if importlib.util.find_spec(module) is None]
    if missing:
        screen.warn(f"{scenario.group}: {scenario.name} is left out: {', '.join(missing)} is not installed")
    return bool(missing)


# --- what becomes of it ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _results(options: argparse.Namespace) -> Iterator[Record]:
    with contextlib.ExitStack() as stack:
        path = options.json
        if options.publish:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "results.jsonl"
        yield Record(stack.enter_context(path.open("w", encoding="utf-8")) if path else None)
        if options.publish:
            record.merge(path, RESULTS)


def _report(files: Sequence[Path]) -> int:
    from .page import write  # it needs the library that draws the chart

    write([line for file in files for line in record.read(file)])
    return 0


def _leave(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a signal handler gets
    sys.exit(128 + signum)
