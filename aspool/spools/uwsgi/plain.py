"""What can be said to a uWSGI, and to an aspool that does not trust us: variables alone. Values only."""

import math
from collections.abc import Callable, Mapping

from ...errors import ArgumentsRefused
from ...message import OURS, Message, to_variables
from ...wire import LARGEST_VARIABLES, encoded_size
from ..readers import in_memory

_SPOOLER, _AT, _PRIORITY = b"spooler", b"at", b"priority"

_Lack = tuple[str, Callable[[Message], object]]
# What a packet alone has no place for, and the words for it.
_NO_PLACE: tuple[_Lack, ...] = (
    ("bodies", lambda message: has_body(message)),
    ("chosen ids", lambda message: message.unique),
    ("arguments of that size", lambda message: message.arguments and to_variables(message)[1]),
)
# What is said in variables of ours, which strangers may not send.
_OWN_VARIABLES: tuple[_Lack, ...] = (
    ("tasks", lambda message: message.task is not None),
    ("expires", lambda message: message.expires is not None),
    ("options", lambda message: message.options or message.buffer or message.firing),
)


def unsaid(message: Message, *, to_uwsgi: bool) -> str:
    """Which parts of a message cannot be said so, in words; "" if all can. Raises ArgumentsRefused.

    A uWSGI keeps whatever pairs there are, and so ours: an aspool that works on its directory runs the task.
    """
    lacks = _NO_PLACE if to_uwsgi else _OWN_VARIABLES + _NO_PLACE
    return " and no ".join(word for word, has in lacks if has(message))


def has_body(message: Message) -> bool:
    """Whether there is a body; as with uWSGI, an empty one is none."""
    return message.body is not None and in_memory(message.body) != b""


def plain_variables(message: Message) -> dict[bytes, bytes]:
    """The pairs that say it as uWSGI reads it: when (`spooler_req_parser_hook` cuts `at` at its dot) and how urgent.

    None of ours are among them where there is nothing to say in them.
    Raises ArgumentsRefused when they do not fit into a packet.
    """
    variables = without_our_way(message.raw)
    if any(has(message) for _, has in _OWN_VARIABLES):
        variables |= {key: value for key, value in to_variables(message)[0].items() if key.startswith(OURS)}
    if message.due > message.spooled or variables.get(_AT):
        variables[_AT] = b"%d" % math.ceil(message.due)
    if message.priority is not None:
        variables[_PRIORITY] = b"%d" % message.priority
    if (size := encoded_size(variables)) > LARGEST_VARIABLES:
        raise ArgumentsRefused(f"the variables take {size} bytes, a uwsgi packet holds {LARGEST_VARIABLES}")
    return variables


def without_our_way(raw: Mapping[bytes, bytes], *, names: bool = False) -> dict[bytes, bytes]:
    """Raw variables without a `spooler` that led here: an address or a name of ours, which the peer does not know.

    An absolute path stays: so uWSGI calls its spoolers. `names` may stay for a peer that passes over unknown ones.
    """
    there = raw.get(_SPOOLER, b"")
    if there.startswith(b"/") or (names and b":" not in there):
        return dict(raw)
    return {key: value for key, value in raw.items() if key != _SPOOLER}
