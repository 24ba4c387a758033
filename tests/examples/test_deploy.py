"""What examples/deploy and its page say: read by systemd and as YAML, with options that exist, and tried."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import yaml
from click.testing import CliRunner

from aspool.cli.main import main

from ..docs.pages import blocks
from .conftest import ASPOOL, EXAMPLES, Start, eventually
from .dockerfile import Image, health_check, said

DEPLOY = EXAMPLES / "deploy"
PAGE = EXAMPLES.parent / "docs" / "how-to" / "deploy.md"
DOCKERFILE = DEPLOY / "Dockerfile"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".service", ".socket", ".path", ".timer"))
AFTER = 2.0  # seconds after grace in which a program has ended


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ASPOOL_")]:
        monkeypatch.delenv(name)


def parsed(text: str) -> ConfigParser:
    found = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    found.optionxform = str  # type: ignore[assignment, method-assign]  # as its documentation says
    found.read_string(text)
    return found


def unit(name: str) -> ConfigParser:
    return parsed((DEPLOY / name).read_text())


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def kubernetes() -> list[Any]:
    """The objects of the fragment on the page."""
    (text,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    return list(yaml.safe_load_all(text))


def pod() -> Any:
    (found,) = [each for each in kubernetes() if each["kind"] == "StatefulSet"]
    return found["spec"]["template"]["spec"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Everything that is run, and where that is said."""
    yield "Dockerfile CMD", said(DOCKERFILE, "CMD").words
    yield "Dockerfile HEALTHCHECK", health_check(DOCKERFILE)
    for name, service in compose()["services"].items():
        yield f"compose {name}", service["command"]
    for path in UNITS:
        if path.suffix == ".service":
            yield path.name, shlex.split(unit(path.name)["Service"]["ExecStart"])
    for container in pod()["containers"]:
        yield f"kubernetes {container['name']}", container["command"]
    for block in blocks(PAGE):
        for line in block.text.splitlines() if block.language == "sh" else ():
            for command in re.findall(r"\baspool [^|&#]+", line):
                yield f"{PAGE.name}:{block.line}", shlex.split(command)


OURS = [(place, words) for place, words in commands() if words[0].rpartition("/")[2] == "aspool"]


@pytest.mark.parametrize(("place", "words"), OURS, ids=[place for place, _ in OURS])
def test_options_exist(place: str, words: list[str]) -> None:
    command = main.get_command(click.Context(main), words[1])
    assert command is not None, words[1]
    command.make_context(words[1], words[2:])  # raises for what does not exist


def test_there_are_commands() -> None:
    assert len(OURS) >= 6


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What aspool.toml comes to."""
    monkeypatch.chdir(DEPLOY)
    shown = CliRunner().invoke(main, ["config", "--all", "--json"])
    assert shown.exit_code == 0, shown.output
    return {name: each["value"] for name, each in json.loads(shown.stdout).items()}


def test_the_page_shows_what_the_files_say() -> None:
    shown = {block.language: block.text for block in blocks(PAGE) if block.language in ("toml", "ini")}
    assert tomllib.loads(shown["toml"]) == tomllib.loads((DEPLOY / "aspool.toml").read_text())
    service = parsed(shown["ini"])["Service"]
    assert len(service) > 10
    assert dict(service).items() <= dict(unit("aspool.service")["Service"]).items()


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_all_wait_for_longer_than_grace(settings: dict[str, Any]) -> None:
    least = settings["grace"] + AFTER
    assert float(unit("aspool.service")["Service"]["TimeoutStopSec"]) > least
    assert float(unit("aspool-burst.service")["Service"]["TimeoutStopSec"]) > least
    assert seconds(compose()["services"]["worker"]["stop_grace_period"]) > least
    assert pod()["terminationGracePeriodSeconds"] > least


def test_signals_reach_the_program() -> None:
    assert said(DOCKERFILE, "CMD").is_list
    assert said(DOCKERFILE, "STOPSIGNAL").text == "SIGTERM"
    for _, words in commands():
        assert words[0].rpartition("/")[2] not in ("sh", "bash")


def test_all_are_the_same_user_on_the_same_spool(settings: dict[str, Any]) -> None:
    user, _, group = said(DOCKERFILE, "USER").text.partition(":")
    security = pod()["securityContext"]
    assert [security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")] == [int(user), int(group), int(group)]
    (volume,) = said(DOCKERFILE, "VOLUME").words
    mounts = {mount["mountPath"] for container in pod()["containers"] for mount in container["volumeMounts"]}
    assert mounts == {volume}
    assert {service["volumes"][0].partition(":")[2] for service in compose()["services"].values()} == {volume}
    for name in ("aspool.service", "aspool-burst.service"):
        assert f"/var/lib/{unit(name)['Service']['StateDirectory']}" == volume
        assert unit(name)["Service"]["Environment"] == f"ASPOOL_SPOOL={volume}/spool"
    assert unit("aspool.path")["Path"]["PathChanged"] == f"{volume}/spool"


def test_a_volume_for_one_pod() -> None:
    (claim,) = [each for each in kubernetes() if each["kind"] == "StatefulSet"]
    (template,) = claim["spec"]["volumeClaimTemplates"]
    assert template["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert claim["spec"]["replicas"] == 1
    (worker,) = [each for each in pod()["containers"] if each["name"] == "worker"]
    ports = {port["name"]: port["containerPort"] for port in worker["ports"]}
    address = worker["command"][worker["command"].index("--health") + 1]
    assert worker["livenessProbe"]["httpGet"] == {"path": "/alive", "port": "health"}
    assert "readinessProbe" not in worker, "the web application beside it can spool without workers"
    assert address == f"*:{ports['health']}", "probes come from outside of the pod"


# --- systemd -----------------------------------------------------------------------------------------------------


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here: apt-get install systemd")


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    needs("systemd-analyze")
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text().replace("/srv/shop/.venv/bin/aspool", ASPOOL))
    places = [str(tmp_path / path.name) for path in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *places], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if any(path.name in line for path in UNITS)]
    assert (done.returncode, ours) == (0, [])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> int:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code


def test_health_answers_on_a_socket_of_systemds(home: Path) -> None:
    needs("systemd-socket-activate")
    (home / "greetings.py").write_text((DEPLOY / "greetings.py").read_text())
    port = free_port()
    listened = unit("aspool-health.socket")["Socket"]["ListenStream"].replace("9101", str(port))
    command = ["systemd-socket-activate", "-l", listened, sys.executable, "-m", "aspool.cli", "worker", "greetings"]
    with (home / "out").open("w") as out:
        process = subprocess.Popen(command, cwd=home, stdout=out, stderr=out, env={**os.environ, "LANG": "C"})
    try:
        eventually(lambda: "Listening on" in (home / "out").read_text(), lambda: (home / "out").read_text())
        assert answer(port, "/alive") == 200  # it starts the worker
        eventually(lambda: answer(port, "/ready") == 200, lambda: (home / "out").read_text())
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


# --- Docker ------------------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_the_image_runs(tmp_path: Path, start: Start) -> None:
    web_port, health_port = str(free_port()), str(free_port())
    image = Image(DOCKERFILE, tmp_path / "image", {"8000": web_port, "9101": health_port})
    image.build()
    running: list[subprocess.Popen[bytes]] = []

    def container(words: list[str]) -> "subprocess.Popen[bytes]":
        command = image.command(words)
        with (tmp_path / f"{len(running)}.out").open("wb") as out:
            running.append(subprocess.Popen(command, cwd=image.workdir, env=image.variables, stdout=out, stderr=out))
        return running[-1]

    def is_healthy() -> bool:
        words = image.command(health_check(DOCKERFILE))
        return subprocess.run(words, cwd=image.workdir, env=image.variables, capture_output=True).returncode == 0

    try:
        services = compose()["services"]
        assert not is_healthy(), "nobody works yet"
        web = container(services["web"]["command"])
        worker = container(services["worker"]["command"])
        eventually(is_healthy, lambda: (tmp_path / "1.out").read_text())
        eventually(lambda: is_there(web_port, "/alive"), lambda: (tmp_path / "0.out").read_text())
        test = image.command(services["web"]["healthcheck"]["test"][1:])
        assert subprocess.run(test, env=image.variables, timeout=60).returncode == 0
        sent = httpx.post(f"http://127.0.0.1:{web_port}/greet", params={"name": "Ada"}, timeout=30).json()
        eventually(lambda: f'"{sent["id"]}"' in (tmp_path / "1.out").read_text(), "the log of the job")
        metrics = httpx.get(f"http://127.0.0.1:{health_port}/metrics", timeout=30).text
        assert "aspool_" in metrics
        worker.send_signal(signal.Signals[said(DOCKERFILE, "STOPSIGNAL").text])
        assert worker.wait(30) == 0
        assert not is_healthy()
        web.terminate()
        web.wait(30)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert [path.name for path in (tmp_path / "image/var/lib/shop/spool").iterdir()] == [".aspool"]


def is_there(port: str, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).is_success
    except httpx.TransportError:
        time.sleep(0.05)
        return False
