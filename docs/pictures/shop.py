"""The application in the pictures: some work that takes seconds."""

import asyncio
import time

from aspool import Job, Spooler

spooler = Spooler("./spool", spools={"mail": "./mail"})


@spooler.task(keep_result=3600)
async def import_prices(job: Job, rows: int = 400, pause: float = 0.02) -> dict[str, int]:
    for row in range(rows):
        job.progress(row, rows, f"row {row}")
        await asyncio.sleep(pause)
    return {"rows": rows, "changed": rows // 7}


@spooler.task
def shrink_photos(job: Job, count: int, pause: float = 0.1) -> None:
    for number in range(count):
        job.progress(number, count, f"photo-{number:03}.jpg")
        time.sleep(pause)


@spooler.task(executor="process")
def render_invoice(job: Job, pages: int = 60) -> None:
    for _ in job.track(range(pages), text="pages"):
        time.sleep(0.1)


@spooler.task
async def sync_stock(job: Job) -> None:
    job.progress(0, None, "waiting for the warehouse")
    await asyncio.sleep(60)


@spooler.task(spool="mail")
async def send_mail(to: str) -> None:
    await asyncio.sleep(0.4)


@spooler.task(spool="mail", retries=1, backoff=0.1)
async def charge_card(job: Job, order: int) -> None:
    if order % 3 == 0:
        raise ConnectionError("the bank does not answer")
    await asyncio.sleep(3)
