"""What a listener answers, as a value; and how it is written for a web server, for a uWSGI and for an aspool."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from ..errors import ArgumentsRefused, AspoolError, CallError, ForeignError, SpoolFull, Uncertain
from ..exchange import Answer, Refusal
from ..protocol import Stored

Form = Literal["http", "uwsgi", "aspool"]
RETRY_AFTER = 5  # seconds
LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `status` is that of HTTP, `error` its kind for another aspool, None if the task is stored."""

    status: int
    id: str = ""
    duplicate: bool = False
    reason: str = ""
    error: Refusal | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the task will run."""
        return self.error is None

    def written(self, form: Form) -> bytes:
        """The bytes for that kind of peer."""
        if form == "http":
            return self._http()
        answer = Answer(self.is_stored, self.id, self.duplicate, self.error, self.reason[:LONGEST_REASON])
        return answer.written(greeted=form == "aspool")

    def _http(self) -> bytes:
        status = HTTPStatus(self.status)
        body = json.dumps(self._record()).encode() + b"\n"
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", "Cache-Control: no-store", "Connection: close"]  # fmt: skip
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines.append(f"Retry-After: {RETRY_AFTER}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _record(self) -> dict[str, object]:
        found = {"id": self.id, "duplicate": self.duplicate, "reason": self.reason[:LONGEST_REASON]}
        return {key: value for key, value in found.items() if value}


def refusal(status: int, reason: str) -> Reply:
    """An answer to what cannot be: whoever sent it should not send it again as it is."""
    return Reply(status, reason=reason, error="refused")


def busy(reason: str) -> Reply:
    """An answer to what may be tried again."""
    return Reply(503, reason=reason, error="full")


class Refused(AspoolError):
    """A request cannot be taken; `reply` says why. The spool hands it through when a body raises it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.reason)
        self.reply = reply


def reply_to(found: Stored | BaseException) -> Reply:
    """The answer to what a spool said of a message, or raised."""
    match found:
        case Stored():
            return Reply(202, found.id, found.duplicate)
        case Refused():
            return found.reply
        case Uncertain():
            return Reply(500, found.id, reason=str(found), error="uncertain")
        case SpoolFull():
            return busy(str(found))
        case ArgumentsRefused():  # its variables do not fit into a packet beside those of aspool
            return refusal(413, str(found))
        case CallError() | ForeignError():
            return refusal(400, str(found))
        case AspoolError() | OSError():
            return Reply(503, reason=str(found), error="unusable")
    raise found
