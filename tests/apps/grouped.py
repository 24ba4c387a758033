"""A group of tasks in a module that knows nothing of its Spooler, which is in processes.py."""

from aspool import Job, Tasks

tasks = Tasks(prefix="grouped.")


@tasks.task(executor="process", keep_result=60)
def itself_again(job: Job, left: int) -> str:
    return job.again_sync(left - 1).id if left else ""
