"""What a caller is told when a message could not be sent: which error, and in which words. Values only."""

import errno
import os
from dataclasses import dataclass
from typing import Literal

from ...errors import AspoolError, NotSpooled, SpoolFull, SpoolUnusable, Uncertain
from ...exchange import Answer
from ...protocol import Stored
from .where import Where

# How far a message has come: nobody is there yet; nothing was said of it; a part of it was; all was, and what now?
Stage = Literal["connecting", "greeting", "sending", "sent"]
BUFFER_SIZE = 4096  # bytes of variables that a uWSGI takes, unless its buffer-size says another
_RESET = (errno.ECONNRESET, errno.EPIPE)


@dataclass(slots=True)
class Way:
    """One message on its way. `size` is that of its packet's variables, in bytes, once it is known."""

    where: Where
    id: str
    stage: Stage = "connecting"
    is_uwsgi: bool = False
    size: int = 0

    def failed(self, error: Exception) -> AspoolError:
        """What is raised when the way ends in an error of the connection."""
        what = self._words(error)
        if self.stage == "connecting":
            return SpoolUnusable(
                f"{self.where} cannot be reached: {what}; nothing was sent. "
                "Is a uWSGI, or `aspool listen`, running there, and may this machine talk to it?"
            )
        if self.is_uwsgi and self.size > BUFFER_SIZE and _is_reset(error):  # it has not even read all of it
            return NotSpooled(
                f"{self.where} refused the message without a word: its variables take {self.size} bytes, and a uWSGI "
                f"takes {BUFFER_SIZE} unless it is started with a larger --buffer-size"
            )
        if self.stage == "greeting":
            return NotSpooled(
                f"{self.where} did not let us speak: {what}. Nothing was spooled: try again, if that is "
                "the port of a uwsgi socket, and not of a web server"
            )
        if self.stage == "sending":
            return NotSpooled(f"{self.where} did not take the whole message: {what}; nothing of it is spooled there")
        return Uncertain(
            f"the message {self.id} was sent to {self.where}, but no answer came: {what}. "
            "It may be spooled there; do not send it again without looking",
            self.id,
        )

    def _words(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing happened for {self.where.timeout:g} s"
        if isinstance(error, OSError):
            return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        return str(error)

    def stored(self, answer: Answer) -> Stored:
        """What the peer has stored. Raises what it has refused."""
        if answer.stored:
            return Stored(answer.id or self.id, answer.duplicate)
        raise self.refused(answer)

    def refused(self, answer: Answer) -> AspoolError:
        """What is raised for an answer that is no success."""
        if answer.error == "uncertain":
            return Uncertain(f"{self.where}: {answer.reason}", answer.id or self.id)
        kind = {"full": SpoolFull, "unusable": SpoolUnusable}.get(answer.error or "", NotSpooled)
        return kind(f"{self.where} has not spooled the message: {answer.reason or _NO_REASON}")


_NO_REASON = (
    "uWSGI says no more. It has no spooler, or none of the name in `spooler`, or its disk refused: its log tells"
)


def _is_reset(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _RESET
