"""The smallest whole program. `python standalone.py` spools a task, `aspool worker standalone` runs it."""

from aspool import Spooler

spooler = Spooler("./spool")


@spooler.task
def greet(name: str) -> None:
    print(f"Hello, {name}!", flush=True)


if __name__ == "__main__":
    print("spooled", greet.spool_sync("world"))
