"""The photo service by hand, and its demo: with little pictures here, `make demo` with real photographs when heavy."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from mailbox import Maildir
from pathlib import Path

import httpx
import pytest
from PIL import Image

from .conftest import ASPOOL, EXAMPLES, Process, Start, eventually

PHOTOS = EXAMPLES / "photos"
ROOT = EXAMPLES.parent


@dataclass
class Service:
    web: httpx.Client
    worker: Process
    mails: Path


@pytest.fixture
def web(start: Start) -> Iterator[httpx.Client]:
    server = start("-m", "uvicorn", "app:app", "--port", "0")
    with httpx.Client(base_url=server.says(r"running on (http://\S+)"), timeout=30) as client:
        yield client


@pytest.fixture
def service(web: httpx.Client, start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    post = start(str(PHOTOS / "mailserver.py"), "0", "mails")
    monkeypatch.setenv("SMTP_PORT", post.says(r"127\.0\.0\.1:(\d+)"))
    return Service(web, start(ASPOOL, "worker", "tasks"), home / "mails")


def picture(colour: str, size: tuple[int, int] = (300, 200)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_a_thumbnail_and_a_mail(service: Service) -> None:
    answer = service.web.post("/photos", params={"width": 60}, files={"photograph": picture("red")})
    assert answer.status_code == 202
    place = f"/photos/{answer.json()['id']}"
    person = service.web.post("/signup", json={"name": "Émile", "email": "emile@example.org"}).json()
    eventually(lambda: service.web.get(place).status_code == 200, "the thumbnail")
    with Image.open(BytesIO(service.web.get(place).content)) as thumbnail:
        assert thumbnail.size == (60, 40)
    eventually(lambda: service.mails.exists() and len(Maildir(service.mails)) == 1, "the mail")
    (mail,) = Maildir(service.mails)
    assert mail["To"] == "emile@example.org"
    assert person["id"] in mail["Message-ID"]
    assert service.worker.stop() == 0


def test_what_cannot_be_is_refused_at_the_door(web: httpx.Client) -> None:
    file = {"photograph": picture("red")}
    assert web.post("/photos", params={"width": 0}, files=file).status_code == 422
    assert web.post("/signup", json={"name": "A\nBcc: all", "email": "a@b.c"}).status_code == 422
    assert web.post("/signup", json={"name": "A", "email": "a@b.c\nBcc: all"}).status_code == 422
    assert web.get("/photos/..%2Fapp.py").status_code in (404, 422)
    assert web.get(f"/photos/{'0' * 22}").status_code == 404


def pictures(home: Path) -> list[str]:
    """Large enough that their thumbnails take a while."""
    colours = ("red", "green", "blue", "white", "black", "yellow", "cyan", "magenta")
    for colour in colours:
        (home / f"{colour}.png").write_bytes(picture(colour, (900, 600)))
    return [str(home / f"{colour}.png") for colour in colours]


def survivors(home: Path) -> list[str]:
    """The processes that live in the demo's directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd").startswith(str(home / "demo-output")):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.heavy
def test_the_demo_with_a_worker_that_is_killed(start: Start, home: Path) -> None:
    demo = start(str(PHOTOS / "demo.py"), *pictures(home))
    assert demo.ends() == 0, demo.output.read_text()
    text = demo.output.read_text()
    assert "SIGKILL to the worker, in the middle of" in text
    assert "thumbnails    40, none is missing" in text
    assert "60 for 60 sign-ups" in text
    assert (home / "demo-output" / "contact-sheet.png").stat().st_size > 1000
    assert not survivors(home)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.heavy),
        pytest.param(signal.SIGKILL, marks=pytest.mark.heavy),
    ],
)
def test_an_interrupted_demo_leaves_no_process_behind(start: Start, home: Path, number: signal.Signals) -> None:
    demo = start(str(PHOTOS / "demo.py"), *pictures(home))
    demo.says("the worker is process")
    eventually(lambda: any((home / "demo-output").glob("thumbnails/*.jpg")), "a first thumbnail")
    assert len(survivors(home)) >= 3
    demo.popen.send_signal(number)
    assert demo.ends() != 0
    eventually(lambda: not survivors(home), lambda: f"survivors: {survivors(home)}")
    assert "Traceback" not in demo.output.read_text()


@pytest.mark.heavy
def test_a_demo_that_fails_says_so(start: Start, home: Path) -> None:
    paths = [home / f"{number}.png" for number in range(8)]
    for path in paths:
        path.write_bytes(b"this is no picture")
    demo = start(str(PHOTOS / "demo.py"), *map(str, paths))
    assert demo.ends() == 1
    assert "tasks.thumbnail" in demo.output.read_text()
    assert not survivors(home)


@pytest.mark.heavy
@pytest.mark.timeout(240)
def test_make_demo_from_a_fresh_copy(tmp_path: Path) -> None:
    for name in ("aspool", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "Makefile", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "thumbnails    60, none is missing" in done.stdout
    assert not survivors(tmp_path)
    again = subprocess.run(["make", "--dry-run", "demo"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "pip" not in again.stdout  # set up once
