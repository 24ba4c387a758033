"""What people do: they upload photographs and sign up. What they were promised (ids) is what the proof asks for."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

AT_A_TIME = 8
FIRST_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Émile", "Fatima", "Grace", "Hiroshi", "Inês", "Jürgen")
LAST_NAMES = ("Archer", "Baker", "Cook", "Dyer", "Farmer", "Glover")


@dataclass(slots=True)
class Promised:
    """What the application has acknowledged: from then on it must happen."""

    thumbnails: dict[str, tuple[Path, int]] = field(default_factory=dict)  # id: photograph and width
    mails: dict[str, str] = field(default_factory=dict)  # id: address


async def make_traffic(address: str, photographs: list[Path], widths: tuple[int, ...], promised: Promised) -> None:
    """Upload each photograph once for each width and sign everybody up, some at a time, mixed."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as web:
        uploads: list[Request] = [
            partial(_upload, web, promised, path, width) for width in widths for path in photographs
        ]
        people = [f"{first} {last}" for last in LAST_NAMES for first in FIRST_NAMES]
        sign_ups: list[Request] = [partial(_sign_up, web, promised, number, name) for number, name in enumerate(people)]
        await _some_at_a_time([request for pair in _mixed(uploads, sign_ups) for request in pair])


async def _upload(web: httpx.AsyncClient, promised: Promised, path: Path, width: int) -> None:
    with path.open("rb") as file:
        answer = await web.post("/photos", params={"width": width}, files={"photograph": (path.name, file)})
    promised.thumbnails[answer.raise_for_status().json()["id"]] = (path, width)


async def _sign_up(web: httpx.AsyncClient, promised: Promised, number: int, name: str) -> None:
    email = f"person{number}@example.org"
    answer = await web.post("/signup", json={"name": name, "email": email})
    promised.mails[answer.raise_for_status().json()["id"]] = email


Request = Callable[[], Coroutine[Any, Any, None]]


def _mixed(one: Sequence[Request], other: Sequence[Request]) -> list[Sequence[Request]]:
    longest = max(len(one), len(other))
    return [[*one[position : position + 1], *other[position : position + 1]] for position in range(longest)]


async def _some_at_a_time(requests: Sequence[Request]) -> None:
    places = asyncio.Semaphore(AT_A_TIME)

    async def send(request: Request) -> None:
        async with places:
            await request()

    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(send(request))
