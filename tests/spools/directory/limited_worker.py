"""A worker of tests: it runs messages of `limited`, so many at a time over all workers, and of any other task.

limited_worker.py SPOOL LIMIT LOG SECONDS [ordered]: each job appends its task, its id and what was wrong to LOG.
"""

import asyncio
import fcntl
import math
import os
import sys
import time

from aspool.outcomes import Done
from aspool.protocol import Claim, WorkerSide
from aspool.spools.directory.spool import DirectorySpool

PATH, LIMIT, LOG, SECONDS, *MORE = sys.argv[1:]
PLACES = 20


class Worker:
    def __init__(self) -> None:
        self.spool = DirectorySpool(PATH, durability="process", ordered="ordered" in MORE)
        self.free = PLACES
        self.log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        # The kernel frees a POSIX lock of a dying process before its OFD locks.
        self.alone = os.open(f"{LOG}.alone", os.O_RDWR | os.O_CREAT, 0o600)

    async def work(self) -> None:
        limits = WorkerSide(lambda: 30.0, lambda task: float(LIMIT) if task == "limited" else math.inf)
        async with self.spool.serving(limits), asyncio.TaskGroup() as jobs:
            print("ready", flush=True)
            while True:
                claims = await self.spool.claim(self.free, time.time()) if self.free else []
                self.free -= len(claims)
                for claim in claims:
                    jobs.create_task(self.run(claim))
                if claims:
                    await asyncio.sleep(0)
                else:
                    due = self.spool.next_due()
                    await self.spool.wait(3600 if due is None else max(0.0, due - time.time()))

    async def run(self, claim: Claim) -> None:
        task = str(claim.message.task)
        checked = task == "limited" and LIMIT == "1"
        wrong = "" if not checked or self.enter() else "two at once"
        await asyncio.sleep(float(SECONDS))
        os.write(self.log, f"{task} {claim.message.id} {wrong}\n".encode())
        if checked:
            fcntl.lockf(self.alone, fcntl.LOCK_UN)
        await self.spool.finish([(claim, Done())])
        self.free += 1
        self.spool._served()._news.set()  # as the loop of a worker would look again

    def enter(self) -> bool:
        try:
            fcntl.lockf(self.alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


asyncio.run(Worker().work())
