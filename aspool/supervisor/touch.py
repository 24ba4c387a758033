"""What makes a supervisor reload by itself: a touched file, or for development any changed Python file."""

import logging
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from anyio import Event, move_on_after, to_thread

from ..errors import CallError
from ..worker.file_monitor import FileMonitors, signature

Reload = Callable[[str], None]


async def keep_watching_touched(paths: Sequence[str], frequency: float, reload: Reload) -> None:
    """Call `reload` when one of the files is touched, changed or made, until cancelled.

    Where the system does not tell, they are looked at each `frequency` seconds.
    """
    known = {path: await to_thread.run_sync(signature, path) for path in map(os.path.abspath, paths)}
    news = Event()
    monitors = FileMonitors(lambda _: news.set())
    monitors.watch(known)
    try:
        while True:
            with move_on_after(frequency):
                await news.wait()
            news = Event()
            for path, before in known.items():
                known[path] = await to_thread.run_sync(signature, path)
                if known[path] not in (before, None):
                    reload(f"{path} was touched")
    finally:
        monitors.close()


def check_code_watcher() -> None:
    """Raises CallError when nothing here can watch code."""
    if find_spec("watchfiles") is None:
        raise CallError("--reload needs watchfiles, which is not installed: pip install 'aspool[reload]'")


async def keep_watching_code(directory: str, reload: Reload) -> None:
    """Call `reload` when a Python file below a directory changes, until cancelled."""
    from watchfiles import PythonFilter, awatch

    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would tell of each change, as we do
    async for changes in awatch(directory, watch_filter=PythonFilter()):
        names = sorted({_below(path, directory) for _, path in changes})
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        reload(f"{names[0]}{more} changed")


def _below(path: str, directory: str) -> str:
    return os.path.relpath(path, directory)
