"""UwsgiSpool: messages that are sent to a remote uWSGI or aspool. It is only written to; they run there."""

import asyncio
import os
import stat
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NoReturn

from anyio import CapacityLimiter, create_task_group, to_thread

from ... import portal
from ...body import Body, is_upload
from ...errors import CallError, SpoolUnusable, Unsupported
from ...exchange import LONGEST_SECRET, checked_secret
from ...message import Message
from ...outcomes import Outcome
from ...protocol import Claim, Stored, WorkerSide
from ..readers import readable
from .sending import Peer
from .where import Where, checked_timeout

PARALLEL = 8  # connections for the messages of one put

Answer = Stored | Exception


class UwsgiSpool:
    """A remote spool behind a uwsgi socket: `uwsgi://HOST:PORT`, or `uwsgi:///path` for a unix socket.

    `timeout` (seconds, 10 unless given) is how long the peer may take for each message, from the connection to the
    answer, and again for each piece of a body. `secret_file` has the secret that an aspool there asks for. Both may
    also be in the address, as `?timeout=5&secret_file=/etc/aspool.secret`. `external` is always true, and `ordered`
    says nothing here: those who run the messages decide. Making one does no I/O. Raises CallError for values that
    cannot be.
    """

    concurrency = None
    external = True

    def __init__(
        self,
        address: str,
        *,
        timeout: float | None = None,
        secret_file: str | None = None,
        external: bool = True,
        ordered: bool = False,  # noqa: ARG002 - settings say it of all spools
    ) -> None:
        if not external:
            raise CallError(f"{address} is only written to: no worker of ours can run what is there")
        where = Where.read(address)
        if timeout is not None:
            where = replace(where, timeout=checked_timeout(timeout))
        if secret_file is not None:
            where = replace(where, secret_file=os.path.abspath(secret_file))
        self.address = address
        self.where = where
        self._peer = Peer(where)

    def __repr__(self) -> str:
        return f"UwsgiSpool({self.address!r})"

    async def open(self) -> None:
        """Look at the secret. Nobody is called: a peer that is down for a moment keeps no program from starting.

        Raises SpoolUnusable.
        """
        await self._secret()

    async def _secret(self) -> bytes:
        """What is in its file now: a new one needs no restart. Raises SpoolUnusable."""
        if self.where.secret_file is None:
            return b""
        try:
            return await to_thread.run_sync(_read_secret, self.where.secret_file)
        except OSError as error:
            why = f"{self.where.secret_file} cannot be read: {error.strerror or error}"
        except CallError as error:
            why = str(error)
        raise SpoolUnusable(f"nothing can be sent to {self.where}: {why}")

    # --- writing ---------------------------------------------------------------------------------------------

    async def put(self, messages: Sequence[Message]) -> Sequence[Answer]:
        """Send messages, each on a connection of its own, a few at the same time. Raises SpoolUnusable.

        Each answer is that of the peer, or what kept the message from getting there.
        """
        batch = _Batch(self._peer, await self._secret())
        if len(messages) == 1:
            return [await batch.send(messages[0])]
        return await batch.send_all(messages)

    def put_blocking(self, messages: Sequence[Message]) -> Sequence[Answer]:
        """The same, without an event loop. Raises CallError in a thread that runs one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return portal.call(self._put_blocking, messages)
        raise CallError(
            f"{self.where} is on the other side of a network: to wait for it would stop this thread's event loop; "
            "use await ….spool(…)"
        )

    async def _put_blocking(self, messages: Sequence[Message]) -> Sequence[Answer]:
        refusals = {number: error for number, one in enumerate(messages) if (error := _needs_a_loop(one.body))}
        answers = iter(await self.put([one for number, one in enumerate(messages) if number not in refusals]))
        return [refusals[number] if number in refusals else next(answers) for number in range(len(messages))]

    def readable(self, body: Body) -> Body:
        """A body that can be read at once, without being spooled."""
        return readable(body)

    async def aclose(self) -> None:
        """Nothing is open between two messages."""

    # --- what only those can do who run messages ---------------------------------------------------------------

    def serving(self, side: WorkerSide) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the seam's
        """Raises Unsupported."""
        self._refuse()

    async def claim(self, limit: int, now: float) -> Sequence[Claim]:  # noqa: ARG002 - the seam's
        """Raises Unsupported."""
        self._refuse()

    async def finish(self, settled: Sequence[tuple[Claim, Outcome]]) -> None:  # noqa: ARG002 - the seam's
        """Raises Unsupported."""
        self._refuse()

    def abandon(self, claim: Claim) -> None:  # noqa: ARG002 - the seam's
        """Raises Unsupported."""
        self._refuse()

    async def wait(self, timeout: float) -> None:  # noqa: ARG002 - the seam's
        """Raises Unsupported."""
        self._refuse()

    def next_due(self) -> float | None:
        """Raises Unsupported."""
        self._refuse()

    @property
    def has_looked(self) -> bool:
        """Raises Unsupported."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unsupported(f"{self.where} is only written to: its messages run there, at the other end of the socket")


def _read_secret(path: str) -> bytes:
    """Raises OSError, and CallError for one that everybody knows, and for what is no file."""
    with open(path, "rb", opener=_opener) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise CallError(f"the secret file {path} is no file")
        if mode & stat.S_IROTH:
            raise CallError(f"everybody can read the secret in {path}: chmod 600 it")
        return checked_secret(file.read(LONGEST_SECRET + 1), path)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would be waited for


class _Batch:
    """The messages of one put."""

    def __init__(self, peer: Peer, secret: bytes) -> None:
        self._peer = peer
        self._secret = secret
        self._unreachable: SpoolUnusable | None = None

    async def send_all(self, messages: Sequence[Message]) -> list[Answer]:
        """One answer for each, in order."""
        answers: dict[int, Answer] = {}
        limiter = CapacityLimiter(PARALLEL)

        async def send(number: int, message: Message) -> None:
            async with limiter:
                answers[number] = await self.send(message)

        async with create_task_group() as group:
            for number, message in enumerate(messages):
                group.start_soon(send, number, message)
        return [answers[number] for number in range(len(messages))]

    async def send(self, message: Message) -> Answer:
        """The answer; once the peer cannot be reached, the others of the batch are not tried.

        Whatever is raised is the answer of this message alone; only a cancellation gets through.
        """
        if self._unreachable is not None:
            return self._unreachable
        try:
            return await self._peer.send(message, self._secret)
        except SpoolUnusable as error:
            self._unreachable = error
            return error
        except Exception as error:
            return error


def _needs_a_loop(body: Body | None) -> TypeError | None:
    """Whether a source of a body belongs to an event loop, which is not the one of the blocking form."""
    if body is None or body.is_stored or not (hasattr(body.source, "__aiter__") or is_upload(body.source)):
        return None
    return TypeError(f"a Body of {type(body.source).__name__} needs an event loop: use await task.spool(…)")
