"""Errors -> a sentence on stderr and an exit code. Nothing else decides how the program fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..errors import AspoolError, CallError, SpoolUnusable
from .escape import safe

FAILED, USAGE, UNUSABLE = 1, 2, 3


class Failure(click.ClickException):
    """A sentence, perhaps with lines below it that say more, and an exit code."""

    def __init__(self, sentence: str, exit_code: int = FAILED, details: str = "") -> None:
        super().__init__(safe(sentence))
        self.exit_code = exit_code
        self.details = details

    def show(self, file: object = None) -> None:
        """What explains the sentence comes first: the sentence is what a person reads last, and so at all."""
        if self.details:
            click.echo("\n".join(safe(line) for line in self.details.rstrip().splitlines()), err=True)
        click.echo(f"aspool: {self.message}", err=True)


@contextmanager
def telling() -> Iterator[None]:
    """Turn what aspool and the system raise into failures."""
    try:
        yield
    except SpoolUnusable as error:
        raise Failure(str(error), UNUSABLE) from error
    except CallError as error:
        raise Failure(str(error), USAGE) from error
    except AspoolError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of a pipe has gone: click ends the program in silence
            raise
        raise Failure(str(error)) from error
