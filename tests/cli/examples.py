"""A value for each option of Settings that is not its default, and how it is written on each of the ways in."""

import json
from dataclasses import Field, fields
from typing import Any

from aspool.settings import Settings, kind

OPTIONS = {option.name: option for option in fields(Settings)}
EXAMPLES: dict[str, Any] = {
    "concurrency": 7,
    "threads": 3,
    "job_processes": 2,
    "frequency": 10.0,
    "harakiri": 90.0,
    "harakiri_grace": 2.5,
    "grace": 20.0,
    "max_tasks": 500,
    "max_rss": 300,
    "max_age": 3600.0,
    "signal_as_task": False,
    "schedules": False,
    "max_crashes": 5,
    "burst": True,
    "quiet": True,
    "spools": ("./a place", "mail=./mail", "memory:"),
    "external": ("./theirs", "other=/srv/other"),
    "ordered": True,
    "base_dir": "{runtime_dir}/spools",
    "project": "shop",
    "runtime_dir": "/run/user/7",
    "chdir": "below",
    "imports": ("first", "second.third"),
    "processes": 4,
    "supervisor": True,
    "restart_wait": 0.5,
    "longest_restart_wait": 60.0,
    "cheap": True,
    "cheap_idle": 3.0,
    "touch_reload": ("one", "another file"),
    "reload": True,
    "pidfile": "{runtime_dir}/pid",
    "health": "unix:health socket",
    "log_level": "debug",
    "log_format": "json",
    "log_config": "logging.toml",
    "listen": (":3031", "unix:a place/socket"),
    "keep": ("HTTP_X_*", "QUERY_STRING"),
    "reply": "http",
    "allow": ("10.0.0.0/8", "fd00::/8"),
    "secret_file": "a secret",
    "allow_user": ("www-data",),
    "max_packet": 4096,
    "max_body": 0,
    "max_connections": 10,
    "max_connections_per_peer": 2,
    "packet_timeout": 2.5,
    "body_timeout": 90.0,
    "min_free": 0,
    "uwsgi": ("jobs", "more.jobs", "a dir/file.py"),
    "uwsgi_options": ("locks=4", "lazy"),
    "uwsgi_strict": True,
    "uwsgi_network": True,
    "mules": 2,
    "farms": ("mail:1,2", "all:2"),
    "tz": "Europe/Paris",
}
# One task at a time, where nothing else is said.
PROGRAM = {"uwsgi": ("jobs",), "spools": ("./a",), "concurrency": 1, "harakiri_grace": 0.5}
BESIDE: dict[str, dict[str, Any]] = {  # what an option needs
    "ordered": {"spools": ("./a",)},
    "external": {"spools": ("./a",)},
    "uwsgi": {"spools": ("./a",), "concurrency": 1, "harakiri_grace": 0.5},
    "uwsgi_options": PROGRAM,
    "uwsgi_strict": PROGRAM,
    "uwsgi_network": PROGRAM,
    "mules": PROGRAM,
    "farms": PROGRAM | {"mules": 2},
    "tz": PROGRAM,
}
IN_INI: dict[str, Any] = {  # where uWSGI knows less: its spools are directories without names
    "spools": ("./a place", "mail"),
    "external": ("./theirs", "/srv/other"),
}


def wanted(name: str) -> dict[str, Any]:
    """The example of an option, and what it needs beside it."""
    return BESIDE.get(name, {}) | {name: EXAMPLES[name]}


def app_for(name: str) -> list[str]:
    """The argument APP, which a program of uWSGI has not."""
    return [] if "uwsgi" in wanted(name) else ["app"]


def as_flags(name: str, value: Any) -> list[str]:
    flag = "--" + (OPTIONS[name].metadata["flag"] or name).replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    return [part for one in _each(value) for part in (flag, str(one))]


def as_variable(name: str, value: Any) -> tuple[str, str]:
    text = " ".join(f"'{one}'" for one in value) if isinstance(value, tuple) else str(value)
    return f"ASPOOL_{name.upper()}", text


def as_toml(name: str, value: Any) -> str:
    return f"{name} = {json.dumps(value)}\n"  # which is TOML for all of these


def as_ini(name: str, value: Any, key: str) -> str:
    whole = kind(OPTIONS[name]) is float
    return "".join(f"{key} = {int(one) if whole else one}\n" for one in _each(value))


def uwsgi_names() -> list[tuple[str, str]]:
    """Each option that uWSGI has a name for, with each of them."""
    return [(name, key) for name, option in OPTIONS.items() for key in names_of(option)]


def names_of(option: "Field[Any]") -> tuple[str, ...]:
    names: tuple[str, ...] = option.metadata["uwsgi"]
    return names


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
