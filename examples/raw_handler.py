"""Messages as `uwsgi.spool` makes them: a dict and a body.

`python raw_handler.py` spools, `aspool worker raw_handler` runs. A uWSGI process on the same directory may write
them too, and so may `aspool spool -d spool ToGroup=friends`.
"""

from aspool import Body, Spooler

spooler = Spooler("./spool")


@spooler.handler(retries=1)
def deliver(variables: dict[str, str], body: Body) -> None:
    group = variables.get("ToGroup", "nobody")
    print(f"to {group}: {body.file.read().decode()!r}", flush=True)


if __name__ == "__main__":
    # The keys at, priority, spooler and body mean what they mean to uWSGI: this one goes into ./spool/5/.
    spooler.spool_sync({"ToGroup": "customers", "priority": "5", "body": b"good news"})
    spooler.spool_sync({"ToGroup": "friends"}, body=b"hello")
    print("spooled")
