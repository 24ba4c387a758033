"""What a task can do about failure. `python retries.py` spools, `aspool worker retries` runs.

`aspool ls -d spool` shows what died and why, `aspool retry -d spool order-42` lets it run once more.
"""

from aspool import Bury, Job, Retry, Spooler

spooler = Spooler("./spool")


@spooler.task(retries=4, backoff=0.2, retry_on=ConnectionError)
async def flaky(job: Job) -> None:
    """An exception is retried: after up to 0.2 s, 0.4 s, 0.8 s … by chance, so that not all come back at once."""
    if job.attempt < 3:
        raise ConnectionError("the other side is down")
    print(f"flaky: done at attempt {job.attempt}", flush=True)


@spooler.task(backoff=lambda attempt: 0.1 * attempt)
async def polite(job: Job) -> None:
    """A task may say itself when it wants to run again; it then knows better than the backoff."""
    if job.attempt == 1:
        raise Retry("the other side said Retry-After: 0.3", delay=0.3)
    print(f"polite: done at attempt {job.attempt}, {job.retries_left} retries left", flush=True)


@spooler.task
async def hopeless(order: int) -> None:
    """Some failures no retry can mend: the message goes to the dead ones at once, where a person can see it."""
    raise Bury(f"there is no order {order}")


if __name__ == "__main__":
    flaky.spool_sync()
    polite.spool_sync()
    hopeless.using(id="order-42").spool_sync(42)
    print("spooled")
