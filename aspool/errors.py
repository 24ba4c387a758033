"""Every exception of aspool, and nothing else.

AspoolError
├── CallError                 the caller erred: nothing was written
│   ├── ApplicationUnusable   an application that cannot be imported, or is none
│   ├── ArgumentsRefused      arguments that do not fit the task
│   ├── MomentRefused         a moment that is naive or out of range
│   ├── NameRefused           an id or a priority that may not be used
│   ├── ScheduleRefused       an expression, a zone or an interval that cannot be, or a change that does not fit
│   ├── TaskRefused           a function or an option that cannot be a task
│   └── UnknownSpool          no spool of that name, or no engine for that address
├── SpoolError                a spool cannot do what was asked
│   ├── SpoolUnusable         missing, not a directory, replaced, unsafe, unreadable
│   ├── NotSpooled            the disk refused: nothing was written
│   │   └── SpoolFull         the spool holds as many messages as it may, or the disk has too little room
│   ├── Uncertain             written, but not known to be durable: it may run
│   ├── PartlySpooled         some of many are in, some are not
│   └── Unsupported           this kind of spool cannot do that
├── ResultError               there is no result, and this is why
│   ├── NoResult              none is kept, or no more, or it could not be written
│   ├── TaskCancelled         the task was cancelled
│   └── TaskFailed            the task failed, and its own exception cannot be made again here
└── ForeignError              something from outside is broken
    ├── BadPacket             bytes that are no uwsgi packet
    ├── BadFile               a file of the spool that is no message
    └── ArgumentsUnfit        a stored message whose arguments no longer fit the task
"""

from collections.abc import Sequence
from typing import Any


class AspoolError(Exception):
    """The root of all errors that aspool raises."""


class CallError(AspoolError):
    """The caller erred; nothing was written."""


class ApplicationUnusable(CallError):
    """An application cannot be imported, or has no Spooler. `traceback` is that of its import, if it failed."""

    def __init__(self, sentence: str, traceback: str = "") -> None:
        super().__init__(sentence)
        self.traceback = traceback


class ArgumentsRefused(CallError):
    """The arguments of a call do not fit the task; the message names the task and the parameter."""


class MomentRefused(CallError):
    """A moment is naive, unreadable or out of range."""


class NameRefused(CallError):
    """An id or a priority has a form that may not become a file name."""


class ScheduleRefused(CallError):
    """A schedule cannot be as asked: its expression, zone, interval or path; the message says which and why."""


class TaskRefused(CallError):
    """A function, or an option, cannot be registered as asked."""


class UnknownSpool(CallError):
    """No spool has that name, or nothing opens that address."""


class SpoolError(AspoolError):
    """A spool cannot do what was asked of it."""


class SpoolUnusable(SpoolError):
    """The spool cannot be opened, or is gone."""


class NotSpooled(SpoolError):
    """The message could not be written; nothing of it is in the spool."""


class SpoolFull(NotSpooled):
    """The spool is bounded and full: nothing was written. Try again later, or tell your own caller to (503)."""


class Unsupported(SpoolError):
    """This kind of spool cannot do what was asked."""


class Uncertain(SpoolError):
    """The message is in the spool, but the disk did not confirm it: it may run, and may be lost with the power."""

    def __init__(self, text: str, id: str) -> None:
        super().__init__(text)
        self.id = id


class PartlySpooled(SpoolError):
    """Of many messages some are in and some are not.

    `results` has one entry per message, in order: a Ticket for what is in, an exception for what is not.
    """

    def __init__(self, results: Sequence[Any]) -> None:
        self.results = list(results)
        failed = [result for result in self.results if isinstance(result, BaseException)]
        super().__init__(
            f"{len(failed)} of {len(self.results)} messages were not spooled; the first reason: {failed[0]}"
        )


class ResultError(AspoolError):
    """There is no result to give."""


class NoResult(ResultError):
    """No result is kept: the task keeps none, its time is over, or what the task returned could not be written."""


class TaskCancelled(ResultError):
    """The task was cancelled before it ended."""


class TaskFailed(ResultError):
    """The task failed for good, and its exception cannot be made again in this process.

    The text is the reason; the remote traceback is a note, as it is on the task's own exceptions.
    """


class ForeignError(AspoolError):
    """Something that came from outside is broken."""


class BadPacket(ForeignError):
    """These bytes are no uwsgi packet."""


class BadFile(ForeignError):
    """This file of the spool is no message."""


class ArgumentsUnfit(ForeignError):
    """A stored message's arguments do not fit the task as it is now."""


FAILED, MISUSED, UNUSABLE = 1, 2, 3  # exit codes of programs


def exit_code(error: BaseException) -> int:
    """What a program ends with that this error stops."""
    if isinstance(error, SpoolUnusable):
        return UNUSABLE
    return MISUSED if isinstance(error, CallError) else FAILED
