"""A real nginx in front of a real `aspool listen`: over TCP and over a socket file."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from aspool.wire import decode

from .listening_process import Process, listening_process
from .real_nginx import Answer, Nginx, real_nginx

LARGE = 50_000_000  # bytes
MOST_MEMORY = 80  # megabytes
LOCATIONS = """
location /tcp { include uwsgi_params; uwsgi_pass 127.0.0.1:%(port)d; uwsgi_param number $arg_number; }
location /unix { include uwsgi_params; uwsgi_pass unix:%(path)s; uwsgi_param number $arg_number; }
location /stream { include uwsgi_params; uwsgi_pass unix:%(path)s; uwsgi_request_buffering off; }
location /bare { uwsgi_pass 127.0.0.1:%(port)d; uwsgi_param job bare; }
location /off {
    include uwsgi_params; uwsgi_pass 127.0.0.1:%(port)d; uwsgi_pass_request_body off; uwsgi_param CONTENT_LENGTH "";
}
location /headless {
    uwsgi_pass 127.0.0.1:%(port)d; uwsgi_pass_request_headers off; uwsgi_param REQUEST_METHOD $request_method;
}
location /measured {
    uwsgi_pass 127.0.0.1:%(port)d; uwsgi_pass_request_headers off; uwsgi_param REQUEST_METHOD $request_method;
    uwsgi_param CONTENT_LENGTH $content_length;
}
location /keys {
    include uwsgi_params; uwsgi_pass 127.0.0.1:%(port)d;
    uwsgi_param at $arg_at; uwsgi_param priority $arg_priority; uwsgi_param spooler $arg_spooler;
}
"""


@dataclass(frozen=True)
class Both:
    nginx: Nginx
    listener: Process

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        return self.nginx.ask(method, path, body, **headers)

    def stored(self, answer: Answer) -> tuple[dict[bytes, bytes], bytes]:
        """The variables and the body of the task that an answer names; ours are left out."""
        assert answer.status == 202, (answer, self.nginx.errors(), self.listener.log.read_text())
        (file,) = [path for path in self.listener.files() if answer.record["id"] in path.name]
        data = file.read_bytes()
        found = decode(data)
        own = {key: value for key, value in found.variables.items() if not key.startswith(b"aspool.")}
        return own, data[found.size :]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    directory = tmp_path_factory.mktemp("nginx")
    path = directory / "socket"
    arguments = ("127.0.0.1:0", f"unix:{path}", "--max-body", str(LARGE))
    with listening_process(directory, *arguments, addresses=2) as listener:
        locations = LOCATIONS % {"port": listener.port, "path": path}
        with real_nginx(directory / "nginx", locations) as nginx:
            yield Both(nginx, listener)


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_500_requests_50_at_the_same_time(both: Both, way: str) -> None:
    """Each of them is one task."""

    def ask(number: int) -> Answer:
        return both.ask("POST", f"/{way}?number={way}-{number}", b"body of %d" % number)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(500)))
    assert Counter(answer.status for answer in answers) == {202: 500}, both.nginx.errors()
    assert len({answer.record["id"] for answer in answers}) == 500
    numbers = [decode(path.read_bytes()).variables.get(b"number", b"").decode() for path in both.listener.files()]
    assert sorted(one for one in numbers if one.startswith(way)) == sorted(f"{way}-{number}" for number in range(500))


@pytest.mark.parametrize("way", ["tcp", "unix", "stream"])
def test_a_large_upload(both: Both, way: str) -> None:
    """It arrives byte for byte, and is never in memory."""
    data = os.urandom(LARGE)
    variables, body = both.stored(both.ask("PUT", f"/{way}", data))
    assert body == data
    assert variables[b"REQUEST_METHOD"] == b"PUT"
    assert both.listener.megabytes("VmHWM") < MOST_MEMORY


def test_what_is_stored(both: Both) -> None:
    variables, body = both.stored(both.ask("POST", "/tcp?number=7&x=%C3%A9", b"hello", Cookie="c=1", X_One="1"))
    assert (body, variables[b"number"], variables[b"QUERY_STRING"]) == (b"hello", b"7", b"number=7&x=%C3%A9")
    assert {b"HTTP_COOKIE", b"HTTP_X_ONE", b"SERVER_NAME"} & set(variables) == set()


def test_a_chunked_body(both: Both) -> None:
    """nginx waits for all of it, and then knows its length."""
    for way in ("tcp", "stream"):
        assert both.stored(both.ask("POST", f"/{way}", iter([b"one", b"two"])))[1] == b"onetwo"


def test_other_ways_to_write_a_location(both: Both) -> None:
    assert both.stored(both.ask("POST", "/bare", b"body"))[1] == b"body"  # no stock parameters
    assert both.stored(both.ask("POST", "/off", b"body"))[1] == b""


@pytest.mark.parametrize("size", [9, 1_000_000])
def test_a_location_that_does_not_say_how_long_bodies_are(both: Both, size: int) -> None:
    assert both.ask("POST", "/headless", b"x" * size).status == 411
    assert both.stored(both.ask("POST", "/measured", b"x" * size))[1] == b"x" * size
    for way in ("headless", "measured"):
        assert both.stored(both.ask("GET", f"/{way}", None))[1] == b""


def test_any_method_is_a_task(both: Both) -> None:
    assert both.stored(both.ask("GET", "/tcp", None))[0][b"REQUEST_METHOD"] == b"GET"
    assert both.stored(both.ask("DELETE", "/tcp", None))[0][b"REQUEST_METHOD"] == b"DELETE"


def test_refusals_arrive_as_http(both: Both) -> None:
    def status(method: str, path: str, body: bytes | None = None) -> int:
        answer = both.ask(method, path, body)
        assert answer.record["reason"]
        return answer.status

    assert status("POST", "/keys?at=abc") == 400
    assert status("POST", "/keys?spooler=/etc") == 400
    assert status("POST", "/tcp", b"x" * (LARGE + 1)) == 413
    assert status("POST", "/stream", b"x" * (2 * LARGE)) == 413


def test_a_full_disk_is_503(tmp_path: Path) -> None:
    with listening_process(tmp_path, "127.0.0.1:0", "--min-free", str(2**60)) as listener:
        locations = f"location / {{ include uwsgi_params; uwsgi_pass 127.0.0.1:{listener.port}; }}"
        with real_nginx(tmp_path / "nginx", locations) as nginx:
            answer = nginx.ask("POST", "/", b"hello")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


NASTY = ("../x", "/etc", "..", ".", "5/../../x", "%2e%2e%2f", "007", "-1", "99999999", "1e3", "5%00", ".aspool", "~",
         "*", "5%0a")  # fmt: skip


@pytest.mark.parametrize("key", ["at", "priority", "spooler"])
def test_no_value_leads_out_of_the_spool(both: Both, key: str) -> None:
    directory = both.listener.spool.parent
    before = set(directory.iterdir())
    for value in NASTY:
        answer = both.ask("POST", f"/keys?{key}={value}", b"body")
        assert answer.status in (202, 400), (value, answer)
    assert set(directory.iterdir()) == before
    places = {path.parent.relative_to(both.listener.spool).as_posix() for path in both.listener.files()}
    assert places <= {".", "7"}


def test_the_location_of_the_page(both: Both, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "listen.md"
    (location,) = re.findall(r'```text title="nginx.conf"\n(.*?)```', page.read_text(), re.DOTALL)
    with real_nginx(tmp_path / "nginx", location.replace(":3031", f":{both.listener.port}")) as nginx:
        answer = nginx.ask("POST", "/jobs/resize", b"a picture")
    variables, body = both.stored(answer)
    assert (variables[b"job"], variables[b"priority"], body) == (b"resize", b"5", b"a picture")


@pytest.mark.heavy
def test_twenty_large_uploads_at_the_same_time(both: Both) -> None:
    data = os.urandom(LARGE)
    before = both.listener.descriptors()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda way: both.ask("POST", f"/{way}", data), ["tcp", "stream"] * 10))
    assert Counter(answer.status for answer in answers) == {202: 20}
    for answer in answers:
        assert both.stored(answer)[1] == data
    assert both.listener.megabytes("VmHWM") < MOST_MEMORY
    assert both.listener.descriptors() <= before + 2
    for path in both.listener.files():  # a gigabyte
        path.unlink()
