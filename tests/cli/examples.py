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
}
BESIDE: dict[str, dict[str, Any]] = {  # what an option needs
    "ordered": {"spools": ("./a",)},
    "external": {"spools": ("./a",)},
}
IN_INI: dict[str, Any] = {  # where uWSGI knows less: its spools are directories without names
    "spools": ("./a place", "mail"),
    "external": ("./theirs", "/srv/other"),
}


def wanted(name: str) -> dict[str, Any]:
    """The example of an option, and what it needs beside it."""
    return BESIDE.get(name, {}) | {name: EXAMPLES[name]}


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
