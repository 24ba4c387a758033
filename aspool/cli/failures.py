"""Errors -> a sentence on stderr and an exit code. Nothing else decides how the program fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..errors import FAILED, MISUSED, UNUSABLE, ApplicationUnusable, AspoolError, CallError, SpoolUnusable
from ..escape import safe

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


class Failure(click.ClickException):
    """It failed: a sentence, perhaps with lines above it that say more."""

    exit_code = FAILED

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(safe(sentence))
        self.details = details

    def show(self, file: object = None) -> None:  # noqa: ARG002 - as click calls it
        """What explains the sentence comes first: the sentence is what a person reads last, and so at all."""
        if self.details:
            click.echo("\n".join(safe(line) for line in self.details.rstrip().splitlines()), err=True)
        click.echo(f"aspool: {self.message}", err=True)


class Misuse(Failure):
    """What was asked makes no sense."""

    exit_code = MISUSED


class NoSpool(Failure):
    """The spool cannot be used."""

    exit_code = UNUSABLE


@contextmanager
def telling() -> Iterator[None]:
    """Turn what aspool and the system raise into failures."""
    try:
        yield
    except SpoolUnusable as error:
        raise NoSpool(str(error)) from error
    except ApplicationUnusable as error:
        raise Misuse(str(error), error.traceback) from None
    except CallError as error:
        raise Misuse(str(error)) from error
    except AspoolError as error:
        raise Failure(str(error)) from error
    except PermissionError as error:
        where = error.filename or "something"
        raise NoSpool(f"{where} is not for this user: run this as the one whose spool it is") from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of a pipe has gone: click ends the program in silence
            raise
        raise Failure(str(error)) from error
