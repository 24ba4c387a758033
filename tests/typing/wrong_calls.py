"""Calls that mypy and pyright must refuse, each on its own line. Checked by tests/test_typing.py."""

from aspool import Body, Job, Spooler, spool
from aspool.asgi import SpoolTasks

spooler = Spooler("./spool")


@spooler.task
async def send_mail(to: str, subject: str = "hi") -> bool:
    return bool(to and subject)


@spooler.task(retries=5)
def add(a: int, b: int = 2) -> int:
    return a + b


@spooler.task
def thumbnail(job: Job, picture: Body, width: int = 200) -> str:
    return f"{job} {picture} {width}"


async def wrong_calls(job: Job) -> None:
    await send_mail.spool(5)  # E wrong type
    await send_mail.spool("a", topic="b")  # E unknown keyword
    await send_mail.spool()  # E missing argument
    await add.spool(1, 2, 3)  # E too many arguments
    await send_mail.spool("a", at=5.0)  # E `at=` among the task's arguments: it belongs into using()
    await thumbnail.spool(job, Body(b"x"))  # E a Job: callers never pass it
    await thumbnail.spool("picture.jpg")  # E a str for a Body
    await send_mail.using(priority=1).spool(5)  # E wrong type through using()
    await send_mail.using(priority="high").spool("a")  # E wrong type of an option of the call
    await send_mail.using(delay=5).spool("a")  # E an option of the call that does not exist
    await spool(send_mail, 5)  # E wrong type through spool(task, …)
    await spool(add, 1, c=5)  # E unknown keyword through spool(task, …)
    await add.spool_sync(1)  # E awaiting what does not wait
    add.spool_sync("x")  # E wrong type without an event loop
    add("x")  # E wrong type in a direct call
    thumbnail(job, Body(b"x"))  # E a Job in a direct call
    add.call(1, 2, 3)  # E too many arguments of a call as a value
    await spooler.spool_many([send_mail.spool("a")])  # E a coroutine for a call
    await spooler.spool({"a": "b"}, at="tomorrow")  # E a str for a moment
    number: int = send_mail("a")  # E a coroutine for its result
    print((await add.spool(1)).value + number)  # E a ticket has no such thing
    text: str = await (await add.spool(1)).result()  # E the result of another type
    await (await add.spool(1)).result(text)  # E a timeout must be named
    job.progress("half")  # E a str is no progress
    Body("picture.jpg")  # E a str is neither a path nor bytes


def wrong_background_tasks(tasks: SpoolTasks) -> None:
    tasks.add_task(send_mail, 5)  # E wrong type through add_task
    tasks.add_task(send_mail.using(priority=1), "a", topic="b")  # E unknown keyword through using() and add_task
    tasks.add_task(thumbnail)  # E missing argument through add_task
    tasks.add_task(len, "a")  # E a function that is no task


spooler.task(retries="5")(add.function)  # E wrong type of an option of the decorator
spooler.task(executor="threads")(add.function)  # E no such executor
spooler.task(retry=5)(add.function)  # E an option of the decorator that does not exist
spooler.task(keep_result="1 h")(add.function)  # E wrong type of an option of the decorator


def needs(number: int) -> None: ...


async def wrong_schedules() -> None:
    spooler.timer(5)(needs)  # E a function that needs arguments
    spooler.timer(5, missed="none")  # E no such choice
    spooler.timer("5 s")  # E a str for seconds
    spooler.cron("* * * * *", hours=5)  # E no such option
    spooler.cron(minute="*/5")  # E a str for one of uWSGI's numbers
    await spooler.schedule(add, every=5)  # E no such trigger
    await spooler.scheduled("nightly").start(every=5)  # E no such change
