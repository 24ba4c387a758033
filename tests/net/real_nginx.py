"""A real nginx in front of a listener: it answers HTTP on a socket file, so no port has to be free."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or "/usr/sbin/nginx"
STOCK = (  # Debian's uwsgi_params
    "QUERY_STRING $query_string", "REQUEST_METHOD $request_method", "CONTENT_TYPE $content_type",
    "CONTENT_LENGTH $content_length", "REQUEST_URI $request_uri", "PATH_INFO $document_uri",
    "DOCUMENT_ROOT $document_root", "SERVER_PROTOCOL $server_protocol", "REQUEST_SCHEME $scheme",
    "HTTPS $https if_not_empty", "REMOTE_ADDR $remote_addr", "REMOTE_PORT $remote_port", "SERVER_PORT $server_port",
    "SERVER_NAME $server_name",
)  # fmt: skip
CONFIGURATION = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log warn; {user}
events {{ worker_connections 1024; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;
    scgi_temp_path {directory}/s;
    server {{
        listen unix:{directory}/http;
        uwsgi_modifier1 17;
        {locations}
    }}
}}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def record(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Nginx:
    directory: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = _Connection(str(self.directory / "http"))
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def errors(self) -> str:
        return (self.directory / "error.log").read_text(errors="replace")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("nginx", timeout=100)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def real_nginx(directory: Path, locations: str) -> Iterator[Nginx]:
    """nginx with these locations, each of which has uwsgi_modifier1 17, and may include uwsgi_params."""
    if not os.path.exists(NGINX) and "CI" not in os.environ:
        pytest.skip("there is no nginx here: apt-get install nginx")
    directory.mkdir()
    (directory / "uwsgi_params").write_text("".join(f"uwsgi_param {one};\n" for one in STOCK))
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(directory=directory, locations=locations, user=user)
    (directory / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-p", directory, "-c", directory / "nginx.conf", "-e", directory / "error.log"])
    try:
        deadline = time.monotonic() + 60
        while not _listens(directory / "http"):
            assert process.poll() is None, (directory / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Nginx(directory)
    finally:
        process.terminate()
        process.wait(60)


def _listens(path: Path) -> bool:
    """Its file is there a moment before it listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
