"""Stacks: where the threads and the asyncio tasks of this process are now, as text. From any thread; nothing fails."""

import asyncio
import gc
import inspect
import sys
import threading
from asyncio import AbstractEventLoop
from asyncio import Task as LoopTask
from collections.abc import Iterator
from itertools import dropwhile, islice
from traceback import FrameSummary, StackSummary
from types import FrameType
from typing import Any

LONGEST = 65_536  # characters in all
LONGEST_OF_ONE = 16_384  # characters of one stack, from its end
DEEPEST = 1000  # frames of one stack, the innermost
_WORKER = __file__.rpartition("/")[0]
_PACKAGE = _WORKER.removesuffix("worker")
_BEGIN = (f"{_WORKER}/lanes.py", f"{_WORKER}/run.py")  # where a job begins, on the event loop and in a thread

_WAITING = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
_STEPS = ("async_generator_asend", "async_generator_athrow")  # of a generator, which they do not name

Place = tuple[FrameType, int]  # and the line


def of_thread(ident: int) -> str:
    """The stack of a thread; "" if it has ended."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - documented, for debugging only
    return "" if frame is None else _text(_calls(frame))


def of_task(task: "LoopTask[Any]", loop_thread: int) -> str:
    """The stack of an asyncio task, whose loop runs in the thread of that ident; "" if it has ended."""
    if task.done():
        return ""
    try:
        if asyncio.current_task(task.get_loop()) is task:
            return of_thread(loop_thread)
        return _text(list(islice(_waits(task.get_coro()), DEEPEST)))
    except Exception as error:  # it runs on meanwhile, or is of a strange kind
        return f"  (its stack cannot be had: {error!r})\n"


def of_all(loop: AbstractEventLoop, loop_thread: int, first: str = "") -> str:
    """`first`, and then the stacks of all threads and all tasks of the loop, as many as there is room for."""
    texts = [first] if first else []
    left = LONGEST - len(first)
    for head, stack in _all(loop, loop_thread):
        text = f"{head} (most recent call last):\n{stack}"
        if len(text) > left:
            texts.append("and more\n")
            break
        texts.append(text)
        left -= len(text)
    return "\n".join(texts)


def _all(loop: AbstractEventLoop, loop_thread: int) -> Iterator[tuple[str, str]]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented, for debugging only
        yield f"Thread {names.get(ident) or 'without a name'} {ident:#x}", _text(_calls(frame), whole=True)
    try:
        tasks = asyncio.all_tasks(loop)
    except RuntimeError:  # they come and go too quickly
        return
    for task in sorted(tasks, key=lambda task: task.get_name()):
        yield f"Task {task.get_name()}", of_task(task, loop_thread)


def _calls(frame: FrameType) -> list[Place]:
    """A frame and those that called it, the outermost first."""
    found: list[Place] = []
    current: FrameType | None = frame
    while current is not None and len(found) < DEEPEST:
        found.append((current, current.f_lineno))
        current = current.f_back
    return found[::-1]


def _waits(awaitable: Any) -> Iterator[Place]:
    """The frames of a coroutine that waits, of what it waits for, and so on."""
    while awaitable is not None:
        if type(awaitable).__name__ in _STEPS:
            awaitable = next((one for one in gc.get_referents(awaitable) if inspect.isasyncgen(one)), None)
        for frame_of, next_of in _WAITING:
            if (frame := getattr(awaitable, frame_of, None)) is not None:
                yield frame, frame.f_lineno
                awaitable = getattr(awaitable, next_of)
                break
        else:
            return


def _text(places: list[Place], *, whole: bool = False) -> str:
    """As in a traceback; without `whole` only what is the job's own."""
    frames = StackSummary.extract(iter(places))
    shown = frames if whole else StackSummary.from_list(_own(list(frames)))
    return "".join(shown.format())[-LONGEST_OF_ONE:]


def _own(frames: list[FrameSummary]) -> list[FrameSummary]:
    """Without what the worker calls before the job's own function."""
    inner = dropwhile(lambda frame: frame.filename not in _BEGIN, frames)
    return list(dropwhile(lambda frame: frame.filename.startswith(_PACKAGE), inner)) or frames
