"""What two aspools say to each other over a socket, as values: greeting, proof, request, answer. No socket in here.

The words are uwsgi packets that a real uWSGI understands or answers politely (contract §7.1):

- A peer may begin with a greeting: its ping (modifier1 100), with a variable. uWSGI answers with an empty packet and
  closes. A listener of aspool answers with a nonce and what it asks for, and goes on to listen.
- Then comes one request, a packet with modifier1 17. After a greeting it may be one of an aspool (`is_request`): a
  task, or whatever else uWSGI knows nothing of, and a body may follow it in frames: u32 little-endian length and bytes,
  until a length of 0. That is for who is trusted. Without our variables it is a stranger's, as any uwsgi peer sends it.
- The answer is `ff 00 00 01` if it is stored, `ff 00 00 00` if not. After a greeting it has variables: the id, or
  why not.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from struct import Struct
from typing import Literal

from .errors import ArgumentsRefused, BadPacket, CallError
from .message import OURS, Message, from_variables, front_size, is_newer, to_variables
from .wire import LARGEST_VARIABLES, Packet, encode_pairs, encoded_size

PING_MODIFIER = 100
SIGNAL_MODIFIER = 110
ANSWER_MODIFIER = 255
STORED, REFUSED = 1, 0  # modifier2 of an answer
NET = "net"  # the origin of what came over a network
LARGEST_FRAME = 1024 * 1024  # bytes

HELLO = b"aspool.hello"
VERSION = b"1"
NONCE_SIZE = 16  # bytes, of each nonce
Trust = Literal["yes", "proof", "no"]  # of tasks: as it is, with a proof of the shared secret, from nobody

_NONCE, _TRUST = b"aspool.nonce", b"aspool.trust"
_ID, _UNIQUE, _DUE, _PRIORITY = b"aspool.id", b"aspool.unique", b"aspool.due", b"aspool.priority"
_PROOF, _FRAMED = b"aspool.proof", b"aspool.framed"
_REASON, _ERROR, _DUPLICATE = b"aspool.reason", b"aspool.error", b"aspool.duplicate"
_ARGUMENTS, _FRONT = b"aspool.args", b"aspool.front"
_PROOF_SIZE = 64  # bytes
_frame = Struct("<I")
FRAME_HEADER = _frame.size
SHORTEST_SECRET = 16  # bytes: whoever listens to one proof can try shorter ones out
LONGEST_SECRET = 4096  # bytes of its file: a reader asks for one more
_PROVEN = b"aspool proves a request, version 1\0"  # what a proof is of, and nothing else can be


def packet(variables: Mapping[bytes, bytes], modifier1: int, modifier2: int = 0) -> bytes:
    """A whole packet of any kind. Raises BadPacket when it does not fit."""
    content = encode_pairs(variables)
    if len(content) > LARGEST_VARIABLES:
        raise BadPacket(f"the variables take {len(content)} bytes; a packet holds {LARGEST_VARIABLES}")
    return bytes((modifier1, len(content) & 0xFF, len(content) >> 8, modifier2)) + content


def checked_secret(content: bytes, where: str) -> bytes:
    """The secret in a file, without the white space around it. Raises CallError for one that is too short or long."""
    if len(content) > LONGEST_SECRET:
        raise CallError(
            f"{where} has more than {LONGEST_SECRET} bytes, so it is no secret; `openssl rand -hex 32` makes a good one"
        )
    secret = content.strip()
    if len(secret) < SHORTEST_SECRET:
        raise CallError(
            f"the secret in {where} has {len(secret)} bytes, {SHORTEST_SECRET} are needed; `openssl rand -hex 32` "
            "makes a good one"
        )
    return secret


# --- greeting ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a listener of aspool answers to a greeting: a nonce for a proof, and whom it trusts with tasks."""

    nonce: bytes
    trust: Trust

    def written(self) -> bytes:
        """The packet."""
        variables = {HELLO: VERSION, _NONCE: self.nonce.hex().encode(), _TRUST: self.trust.encode()}
        return packet(variables, PING_MODIFIER, 1)


def hello() -> bytes:
    """The packet with which a sender begins."""
    return packet({HELLO: VERSION}, PING_MODIFIER)


def is_hello(found: Packet) -> bool:
    """Whether a ping comes from an aspool, which wants to go on. Raises BadPacket for words that we do not speak."""
    if found.modifier1 != PING_MODIFIER or HELLO not in found.variables:
        return False
    _check_version(found)
    return True


def _check_version(found: Packet) -> None:
    if (version := found.variables[HELLO]) != VERSION:
        raise BadPacket(
            f"another aspool greets in version {version.decode(errors='replace')[:20]!r} of what aspools say to each "
            f"other, and this one speaks version {VERSION.decode()}: install the same aspool at both ends"
        )


def read_greeting(found: Packet) -> Greeting | None:
    """What the listener has answered; None if it is a uWSGI. Raises BadPacket for what is neither."""
    if found.modifier1 != PING_MODIFIER:
        raise BadPacket(f"the answer to a ping has modifier1 {found.modifier1}")
    if HELLO not in found.variables:
        return None
    _check_version(found)
    try:
        nonce = bytes.fromhex(found.variables[_NONCE].decode())
        trust = found.variables[_TRUST].decode()
    except (KeyError, ValueError) as error:
        raise BadPacket(f"the answer to a greeting cannot be read: {error!r}") from None
    if len(nonce) != NONCE_SIZE:
        raise BadPacket(f"the answer to a greeting has a nonce of {len(nonce)} bytes; each has {NONCE_SIZE}")
    if trust not in ("yes", "proof", "no"):
        raise BadPacket(f"the answer to a greeting trusts {trust!r}, which no aspool says")
    return Greeting(nonce, trust)  # type: ignore[arg-type]  # it was compared


# --- request -----------------------------------------------------------------------------------------------------


def request(
    message: Message, *, framed: bool, secret: bytes = b"", nonce: bytes = b""
) -> tuple[dict[bytes, bytes], bytes]:
    """The variables of a message for another aspool, and the arguments that go to the front of its body.

    `framed`: it has a body; arguments that do not fit beside the rest are framed too, see `is_framed`.
    With a secret, and the nonce of the listener's greeting, they prove that the sender knows it.
    Raises ArgumentsRefused for a message that does not fit into a packet, BadPacket for what is no nonce.
    """
    if secret and len(nonce) != NONCE_SIZE:
        raise BadPacket(f"a proof needs a nonce of {NONCE_SIZE} bytes, not of {len(nonce)}")
    variables, front = to_variables(replace(message, plain=False))
    variables |= {_ID: message.id.encode(), _DUE: b"%.6f" % message.due}
    if message.unique:
        variables[_UNIQUE] = b"1"
    if message.priority is not None:
        variables[_PRIORITY] = b"%d" % message.priority
    if framed or front:
        variables[_FRAMED] = b"1"
    if not _has_room(variables, secret) and _ARGUMENTS in variables:
        front = variables.pop(_ARGUMENTS)
        variables |= {_FRONT: b"%d" % len(front), _FRAMED: b"1"}
    if not _has_room(variables, secret):
        raise ArgumentsRefused(
            f"the variables take {encoded_size(variables)} bytes beside the proof of the secret, a uwsgi packet holds "
            f"{LARGEST_VARIABLES}; give large data as body"
        )
    if secret:
        variables[_PROOF] = _proof(variables, secret, nonce)
    return variables, front


def _has_room(variables: Mapping[bytes, bytes], secret: bytes) -> bool:
    proof = 4 + len(_PROOF) + _PROOF_SIZE if secret else 0
    return encoded_size(variables) + proof <= LARGEST_VARIABLES


def is_request(variables: Mapping[bytes, bytes]) -> bool:
    """Whether it is the request of an aspool, for `read_request`, and not that of a stranger."""
    return _ID in variables


def is_framed(variables: Mapping[bytes, bytes]) -> bool:
    """Whether a body follows in frames."""
    return _FRAMED in variables


def is_proven(variables: Mapping[bytes, bytes], secret: bytes, nonce: bytes) -> bool:
    """Whether its sender knows the secret. Compared in constant time."""
    if not secret or len(nonce) != NONCE_SIZE:
        return False
    given = variables.get(_PROOF, b"")
    rest = {key: value for key, value in variables.items() if key != _PROOF}
    return hmac.compare_digest(given, _proof(rest, secret, nonce))


def _proof(variables: Mapping[bytes, bytes], secret: bytes, nonce: bytes) -> bytes:
    """Of all variables, whatever their order, and this connection alone: the nonce is never used again.

    A nonce comes from a stranger: as its digest it can be no beginning of the pairs that follow it.
    """
    said = _PROVEN + hashlib.sha256(nonce).digest() + encode_pairs(dict(sorted(variables.items())))
    return hmac.new(secret, said, hashlib.sha256).hexdigest().encode()


def outer(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What may be kept of the variables of a stranger: none of ours."""
    return {key: value for key, value in variables.items() if not key.startswith(OURS)}


@dataclass(frozen=True, slots=True)
class Placed:
    """What the request of a trusted sender says beside its message: for the listener to check and use."""

    id: str
    unique: bool
    due: float
    priority: int | None


def read_request(variables: Mapping[bytes, bytes], front: bytes) -> tuple[Message, Placed]:
    """The message of a trusted sender, marked as one that came over a network; `front` as `front_of` counts it.

    Raises BadFile or BadPacket for what cannot be read.
    """
    if is_newer(variables):
        raise BadPacket("a newer aspool has sent this, in a form that this one may not understand: upgrade this one")
    try:
        number = variables.get(_PRIORITY)
        placed = Placed(
            id=variables[_ID].decode("ascii"),
            unique=_UNIQUE in variables,
            due=float(_bare(variables[_DUE])),
            priority=None if number is None else int(_bare(number)),
        )
    except (KeyError, ValueError) as error:
        raise BadPacket(f"the request of another aspool cannot be read: {error!r}") from None
    message = from_variables(variables, front, id="")
    return replace(message, origin=NET), placed


def _bare(number: bytes) -> bytes:
    """A number, in which Python would also take underscores and white space. Raises ValueError."""
    if b"_" in number or number != number.strip():
        raise ValueError(f"{number!r} is no number")
    return number


def front_of(variables: Mapping[bytes, bytes]) -> int:
    """How many bytes of arguments come before the body. Raises BadFile."""
    return front_size(variables)


def frame(data: bytes) -> bytes:
    """A piece of a body, or its end if there is none."""
    return _frame.pack(len(data)) + data


def frame_size(header: bytes) -> int:
    """How long the piece is that follows; 0 at the end. Raises BadPacket."""
    size: int = _frame.unpack(header)[0]
    if size > LARGEST_FRAME:
        raise BadPacket(f"a frame announces {size} bytes; at most {LARGEST_FRAME} are accepted")
    return size


# --- answer ------------------------------------------------------------------------------------------------------

Refusal = Literal["refused", "full", "unusable", "uncertain"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `error` says which kind of refusal, `reason` says it in words."""

    stored: bool
    id: str = ""
    duplicate: bool = False
    error: Refusal | None = None
    reason: str = ""

    def written(self, *, greeted: bool) -> bytes:
        """The packet: four bytes for whoever has not greeted."""
        return packet(self._variables() if greeted else {}, ANSWER_MODIFIER, STORED if self.stored else REFUSED)

    def _variables(self) -> dict[bytes, bytes]:
        found = {
            _ID: self.id,
            _DUPLICATE: "1" if self.duplicate else "",
            _ERROR: self.error or "",
            _REASON: self.reason,
        }
        return {key: value.encode(errors="replace")[:2000] for key, value in found.items() if value}


def read_answer(found: Packet) -> Answer:
    """The answer of a uWSGI or an aspool. Raises BadPacket for what is none."""
    if found.modifier1 != ANSWER_MODIFIER or found.modifier2 not in (STORED, REFUSED):
        raise BadPacket(f"no spooler answers with modifiers {found.modifier1} and {found.modifier2}")
    text = {key: value.decode(errors="replace") for key, value in found.variables.items()}
    error = text.get(_ERROR)
    known: Refusal = error if error in ("refused", "full", "unusable", "uncertain") else "refused"  # type: ignore[assignment]
    stored = found.modifier2 == STORED
    return Answer(stored, text.get(_ID, ""), _DUPLICATE in text, None if stored else known, text.get(_REASON, ""))
