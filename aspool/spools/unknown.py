"""Messages of a task that this worker does not know: how long it leaves them alone, and what it says of them."""

from ..message import Message

SHORTEST = 30.0  # seconds
LONGEST = 3600.0


def unknown_wait(message: Message, now: float) -> float:
    """The seconds until it looks again: as long as the message has waited, within bounds."""
    return min(LONGEST, max(SHORTEST, now - (message.spooled or message.due)))


def unknown_text(task: str | None) -> str:
    """What is reported, once for all messages of the task."""
    if task is None:
        return "messages that name no task wait for a worker that has a handler for them: there is none here"
    return f"messages of {task} wait for a worker that knows it: no task is called that here"
