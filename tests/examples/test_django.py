"""The Django project, run as its README says: a web server, a worker, and orders over HTTP."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .conftest import ASPOOL, EXAMPLES, Process, Start, eventually

PROJECT = EXAMPLES / "django"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the project, without what somebody who tried it left there."""
    left = shutil.ignore_patterns("spool", "mails", "*.sqlite3", "__pycache__")
    return Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=left))


@pytest.fixture
def tables(home: Path, start: Start) -> None:
    """In its database."""
    process = start("manage.py", "migrate")
    assert process.ends() == 0, process.output.read_text()


@pytest.fixture
def shop(tables: None, start: Start) -> Iterator[httpx.Client]:
    """A customer's browser, which has the form."""
    server = start("-m", "uvicorn", "my_project.asgi:application", "--port", "0")
    with httpx.Client(base_url=server.says(r"running on (http://\S+)"), timeout=30) as client:
        yield client


def order(shop: httpx.Client, quantity: int) -> httpx.Response:
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', shop.get("/").text)[0]
    form = {"product": 2, "quantity": quantity, "email": "ada@example.org", "csrfmiddlewaretoken": token}
    return shop.post("/", data=form)


def waiting(home: Path) -> list[str]:
    return [path.name for path in (home / "spool").glob("uwsgi_spoolfile_on_*")]


def test_an_order_is_shipped_and_one_that_is_rolled_back_spools_nothing(
    shop: httpx.Client, start: Start, home: Path
) -> None:
    refused = order(shop, 4)  # there are three
    assert (refused.status_code, waiting(home)) == (400, [])
    assert "not so many left" in refused.text

    taken = order(shop, 2)
    assert (taken.status_code, taken.headers["location"]) == (302, "/orders/1")
    assert "<progress" in shop.get("/orders/1").text
    assert [re.findall("_order-1_", name) for name in waiting(home)] == [["_order-1_"]]
    assert shop.get("/orders/1/progress").json() == {"state": "waiting", "done": 0, "text": ""}

    worker = start(ASPOOL, "worker", "my_project.worker")
    seen = progress_until_shipped(shop)
    assert seen[-1] == {"state": "shipped", "done": 2, "text": ""}
    check_the_end(worker, home)


def progress_until_shipped(shop: httpx.Client) -> list[dict[str, object]]:
    seen: list[dict[str, object]] = []

    def is_shipped() -> bool:
        seen.append(shop.get("/orders/1/progress").json())
        return seen[-1]["state"] == "shipped"

    eventually(is_shipped, lambda: str(seen[-1]))
    return seen


def check_the_end(worker: Process, home: Path) -> None:
    """One mail was sent, nothing waits, and the worker leaves in order."""
    mails = home / "mails"
    eventually(lambda: mails.exists() and any("on their way" in mail.read_text() for mail in mails.iterdir()), "a mail")
    eventually(lambda: waiting(home) == [], lambda: str(waiting(home)))
    assert worker.stop() == 0, worker.output.read_text()
    (mail,) = mails.iterdir()
    assert "2 x teapot are on their way." in mail.read_text()


# --- before it was moved -----------------------------------------------------------------------------------------

PROJECT_OF_UWSGI_TASKS = """
from uwsgi_tasks import django_setup, set_uwsgi_callbacks

set_uwsgi_callbacks()
django_setup()
"""
TASK_OF_UWSGI_TASKS = """
from uwsgi_tasks import TaskExecutor, task
from my_project.apps.index.models import Product


@task(executor=TaskExecutor.SPOOLER)
def count(text):
    print(text, Product.objects.count(), flush=True)


if __name__ == "__main__":
    from my_project.apps.index import old_tasks

    old_tasks.count("products:")
"""


@pytest.mark.heavy
def test_under_the_shim(tables: None, start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the readme of uwsgi_tasks sets it up. In the main thread Django must not find the worker's event loop."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "my_project.settings")
    (home / "my_project" / "__init__.py").write_text(PROJECT_OF_UWSGI_TASKS)
    (home / "my_project/apps/index/old_tasks.py").write_text(TASK_OF_UWSGI_TASKS)
    (home / "spooler").mkdir()
    spooled = start(ASPOOL, "run", "-d", "spooler", "-m", "my_project.apps.index.old_tasks")
    assert spooled.ends() == 0, spooled.output.read_text()
    worker = start(ASPOOL, "worker", "--uwsgi", "my_project", "-d", "spooler", "--burst")
    assert worker.ends() == 0, worker.output.read_text()
    assert "products: 2" in worker.output.read_text()
    assert not list((home / "spooler").glob("uwsgi_spoolfile_on_*"))
