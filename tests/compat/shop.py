"""The examples of uwsgi_tasks' readme, for Python 3: the module `shop`, and `view`, which is its web side.

Each task notes what it has got. The waiting times are shorter.
"""

SHOP = '''
import datetime
import json
import os
import time
from functools import wraps

import uwsgi
from uwsgi_tasks import *
from uwsgi_tasks import RetryTaskException, SPOOL_OK, SPOOL_RETRY, TaskExecutor, get_current_task

NOTES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "notes")


def note(what, *values):
    with open(NOTES, "a") as file:
        file.write(json.dumps([what, time.time(), *values]) + chr(10))


@task(executor=TaskExecutor.SPOOLER)
def send_email_async(subject, body, email_to):
    note("mail", subject, body, email_to, os.getcwd(), uwsgi.i_am_the_spooler())


def task_wrapper(func):
    @wraps(func)  # required!
    def _inner(*args, **kwargs):
        try:
            func(*args, **kwargs)
        except Exception as ex:  # example
            return SPOOL_RETRY
        return SPOOL_OK

    return _inner


@task(executor=TaskExecutor.SPOOLER, retry_count=3, retry_timeout=1)
@task_wrapper
def spooler_task(text):
    note("retried", text)
    raise Exception("Sorry, task failed!")


@task(executor=TaskExecutor.SPOOLER, retry_count=2)
def process_purchase(order_id):
    note("purchase", order_id)
    raise RetryTaskException(timeout=1)


def select_file_for_removal(previous):
    files = ["a", "b", None]
    return files[0] if previous is None else files[files.index(previous) + 1]


@task(executor=TaskExecutor.SPOOLER, at=datetime.timedelta(seconds=1))
def remove_files_sequentially(previous_selected_file=None):
    # get current SpoolerTask object
    current_task = get_current_task()
    selected_file = select_file_for_removal(previous_selected_file)
    # we should stop the task here
    if selected_file is None:
        note("removed", current_task.buffer["results"])
        return
    # save datetime of removal
    current_task.buffer.setdefault("results", {})[selected_file] = "removed"
    # run in async mode
    return current_task(selected_file)


@task(executor=TaskExecutor.SPOOLER, priority="5", working_dir=None)
def important(number):
    note("important", number, os.getcwd())


@task(executor=TaskExecutor.SPOOLER, spooler_return=True)
def coded(code):
    note("coded", code)
    return code


@task(executor=TaskExecutor.SPOOLER)
def large(data, tag=None):
    note("large", len(data), tag)


@task(executor=TaskExecutor.MULE)
def in_mule(value):
    note("mule", value, uwsgi.mule_id())


@task
def anywhere(value):
    note("anywhere", value)


@task(executor=TaskExecutor.RUNTIME)
def now(value):
    note("now", value, os.getpid())


@timer(seconds=1)
def print_every_second(signal_number):
    note("timer", signal_number)


@timer(seconds=1, iterations=3, target="workers")
def print_three_times(signal_number):
    note("three", signal_number)


@timer_lazy(seconds=1)
def print_every_second_after_call(signal_number):
    note("timer_lazy", signal_number)


@timer_lazy(target="worker")
def run_me_periodically(signal):
    note("periodically", signal)


@cron(minute=-1)
def print_every_minute(signal_number):
    note("cron", signal_number)


@cron_lazy(minute=-1, target="mule")
def print_every_minute_after_call(signal_number):
    note("cron_lazy", signal_number, uwsgi.mule_id())
'''
VIEW = '''
import os

import shop

shop.send_email_async("Welcome!", "Thank you!", "user@domain.com")
shop.spooler_task("hello")
shop.process_purchase(7)
shop.remove_files_sequentially()
shop.important(1)
shop.coded(-2)
shop.large("x" * 100_000, tag="t")
shop.in_mule({"a": [1, 2]})
shop.anywhere(3)
shop.now(os.getpid())
shop.print_every_second_after_call()
shop.print_every_minute_after_call()
shop.run_me_periodically.add_setup(seconds=1, iterations=2)
shop.run_me_periodically()
'''
