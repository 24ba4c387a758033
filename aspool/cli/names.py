"""Names of tasks on the command line: the last part of one will do."""

from ..spooler import Spooler
from .failures import Misuse


def task_name(spooler: Spooler, app: str, text: str) -> str:
    """The full name of a task, of which the last part will do. Raises Misuse."""
    if text in spooler.tasks:
        return text
    found = [name for name in spooler.tasks if name.endswith(f".{text}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise Misuse(f"several tasks of {app} end with {text}: {', '.join(found)}; write more of the name")
    known = f"it has {', '.join(sorted(spooler.tasks))}" if spooler.tasks else "it has no tasks at all"
    raise Misuse(f"{app} has no task {text}; {known}")
