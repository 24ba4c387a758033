"""Peers that are not there, that say nothing, too little, too late or something else."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aspool import Body, Spooler, SpoolFull
from aspool.errors import NotSpooled, PartlySpooled, SpoolUnusable, Uncertain
from aspool.exchange import ANSWER_MODIFIER, PING_MODIFIER, Answer, Greeting, packet
from aspool.spools.uwsgi import UwsgiSpool
from aspool.testing.conformance import message
from aspool.wire import variables_size

from .conftest import PATIENCE, Behaviour, Connection, listening

pytestmark = pytest.mark.anyio
SOON = 0.1  # seconds
GREETING = Greeting(b"n" * 16, "yes").written()
UWSGI = packet({}, PING_MODIFIER)


async def failure(behaviour: Behaviour, body: Body | None = None, timeout: float = 30.0) -> Exception:
    """What the sender raises."""
    with listening(behaviour) as listener:
        (answer,) = await UwsgiSpool(listener.address, timeout=timeout).put([message(body=body)])
        assert isinstance(answer, Exception), answer
        assert listener.address in str(answer)
    return answer


def until_it_closes(connection: Connection) -> None:
    while connection.socket.recv(65_536):
        pass


def reset(connection: Connection) -> None:
    """Close so that the peer gets a reset."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def then(*steps: bytes | Callable[[Connection], None]) -> Behaviour:
    """Take a packet before each thing that is said, and do the rest."""

    def behave(connection: Connection) -> None:
        for step in steps:
            if isinstance(step, bytes):
                assert connection.packet() is not None
                connection.say(step)
            else:
                step(connection)

    return behave


def a_packet(connection: Connection) -> None:
    assert connection.packet() is not None


# --- nobody is there ---------------------------------------------------------------------------------------------


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"uwsgi://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SpoolUnusable, match=r"Connection refused; nothing was sent.*aspool listen"):
            await Spooler(address).spool({"a": "b"})
    with pytest.raises(SpoolUnusable, match="cannot be reached: No such file"):
        await Spooler(f"uwsgi://{tmp_path}/none.sock").spool({"a": "b"})
    with pytest.raises(SpoolUnusable, match="too long"):
        await Spooler(f"uwsgi:///{'x' * 200}").spool({"a": "b"})


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("aspool.spools.uwsgi.connection.getaddrinfo", unknown)
    with pytest.raises(SpoolUnusable, match="Name or service not known"):
        await Spooler("uwsgi://nowhere.example:1").spool({"a": "b"})


@pytest.mark.parametrize("name", ["ü..b", "ü" * 64 + ".example", "\u202ehost"])
async def test_a_name_that_cannot_be(name: str) -> None:
    """IDNA refuses it with an error of its own kind."""
    with pytest.raises(SpoolUnusable, match=r"is no name of a machine: .*nothing was sent"):
        await Spooler(f"uwsgi://{name}:1").spool({"a": "b"})


async def test_whatever_goes_wrong_is_the_answer_of_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("aspool.spools.uwsgi.connection.getaddrinfo", broken)
    for number in (1, 3):
        answers = await UwsgiSpool("uwsgi://nowhere.example:1").put([message() for _ in range(number)])
        assert [type(answer) for answer in answers] == [ZeroDivisionError] * number


async def test_the_rest_of_a_batch_does_not_try_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def unknown(*_: object, **__: object) -> object:
        asked.append(1)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("aspool.spools.uwsgi.connection.getaddrinfo", unknown)
    answers = await UwsgiSpool("uwsgi://nowhere.example:1").put([message() for _ in range(100)])
    assert {type(answer) for answer in answers} == {SpoolUnusable}
    assert len(asked) <= 8


async def test_a_full_queue_of_a_unix_socket_is_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(tmp_path / "s"))
        full.listen(0)
        first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        with first, second:
            first.connect(str(tmp_path / "s"))
            second.setblocking(False)
            second.connect_ex(str(tmp_path / "s"))
            with pytest.raises(SpoolUnusable, match=r"nothing happened for 0\.1 s"):
                await Spooler(f"uwsgi://{tmp_path}/s?timeout={SOON}").spool({"a": "b"})


# --- nothing was sent yet ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (then(), "did not let us speak"),
        (then(a_packet), "closed the connection"),
        (then(a_packet, reset), "Connection reset"),
        (then(b"\x64\x00"), "in the middle of its answer"),
        (then(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not of a web server"),
        (then(b"\x65\x00\x00\x00"), "modifier1 101"),
        (then(GREETING[:-3] + b"may"), "trusts 'may'"),
        (then(Greeting(b"n" * 17, "yes").written()), "a nonce of 17 bytes"),
        (then(packet({b"aspool.hello": b"2"}, PING_MODIFIER)), "greets in version '2'"),
    ],
)
async def test_a_greeting_that_fails_leaves_nothing(behaviour: Behaviour, words: str) -> None:
    error = await failure(behaviour)
    assert type(error) is NotSpooled
    assert words in str(error)


async def test_a_peer_that_says_nothing() -> None:
    error = await failure(until_it_closes, timeout=SOON)
    assert type(error) is NotSpooled
    assert "nothing happened for 0.1 s" in str(error)


async def test_a_peer_that_does_not_even_greet() -> None:
    error = await failure(then(Answer(False, error="full", reason="too many connections").written(greeted=True)))
    assert type(error) is SpoolFull
    assert "too many connections" in str(error)


# --- a part was sent ---------------------------------------------------------------------------------------------


async def test_a_peer_that_closes_in_the_middle_of_a_body() -> None:
    error = await failure(then(GREETING, a_packet, reset), Body(bytes(20_000_000)))
    assert type(error) is NotSpooled
    assert "did not take the whole message" in str(error)


async def test_a_peer_that_takes_no_more_of_a_body() -> None:
    begun = time.monotonic()
    given_up = threading.Event()

    def hold(_: Connection) -> None:
        assert given_up.wait(PATIENCE)

    with listening(then(GREETING, a_packet, hold)) as listener:
        (error,) = await UwsgiSpool(listener.address, timeout=SOON).put([message(body=Body(bytes(20_000_000)))])
        given_up.set()
    assert type(error) is NotSpooled
    assert "nothing happened for 0.1 s" in str(error)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_body_that_is_refused_in_its_middle(goes_on: bool) -> None:
    """The reason is read, also when the peer closes at once and the rest of the body breaks."""
    refusal = Answer(False, error="full", reason="the body is too large").written(greeted=True)
    behaviour = then(GREETING, refusal, *[until_it_closes] * goes_on)
    error = await failure(behaviour, Body(bytes(20_000_000)))
    assert type(error) is SpoolFull
    assert "too large" in str(error)


async def test_a_peer_that_has_stored_what_it_has_not_got() -> None:
    behaviour = then(GREETING, Answer(True, "one").written(greeted=True), until_it_closes)
    error = await failure(behaviour, Body(bytes(20_000_000)))
    assert type(error) is Uncertain
    assert "before it had all of it" in str(error)


# --- all was sent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (then(GREETING, a_packet), "it closed the connection"),
        (then(GREETING, b"\xff\x00"), "in the middle of its answer"),
        (then(GREETING, a_packet, reset), "Connection reset"),
        (then(GREETING, b"HTTP/1.1 202 Accepted\r\n\r\n"), "announces"),
        (then(GREETING, packet({}, ANSWER_MODIFIER, 7)), "modifiers 255 and 7"),
        (then(GREETING, packet({}, 17, 1)), "modifiers 17 and 1"),
        (then(GREETING, Answer(False, error="uncertain", reason="no fsync").written(greeted=True)), "no fsync"),
    ],
)
async def test_without_an_answer_it_is_uncertain(behaviour: Behaviour, words: str) -> None:
    error = await failure(behaviour)
    assert type(error) is Uncertain
    assert words in str(error)
    assert error.id


async def test_an_answer_that_drips_does_not_hold_the_sender() -> None:
    def drip(connection: Connection) -> None:
        a_packet(connection)
        for byte in packet({b"aspool.id": b"x" * 1000}, ANSWER_MODIFIER, 1):
            connection.say(bytes([byte]))
            time.sleep(0.02)

    begun = time.monotonic()
    error = await failure(then(GREETING, drip), timeout=4 * SOON)
    assert type(error) is Uncertain
    assert time.monotonic() - begun < 10


async def test_an_answer_that_comes_in_pieces() -> None:
    def pieces(connection: Connection) -> None:
        a_packet(connection)
        for byte in Answer(True, "given").written(greeted=True):
            connection.say(bytes([byte]))

    with listening(then(GREETING, pieces)) as listener:
        assert (await Spooler(listener.address).spool({"a": "b"})).id == "given"


# --- a uWSGI -----------------------------------------------------------------------------------------------------


async def test_a_large_message_that_a_uwsgi_resets() -> None:
    """As its `uwsgi_proto_uwsgi_parser` does with what is over its buffer-size: it closes without reading the rest."""

    def header_only(connection: Connection) -> None:
        header = connection.socket.recv(4)
        if header[0] == PING_MODIFIER:
            connection.socket.recv(variables_size(header))
            connection.say(UWSGI)
        else:
            connection.socket.recv(1)  # the rest is there, so that the close resets

    with listening(header_only) as listener:
        spooler = Spooler(listener.address)
        with pytest.raises(NotSpooled, match=r"take 5007 bytes, and a uWSGI takes 4096.*--buffer-size"):
            await spooler.spool({"key": "x" * 5000})
        with pytest.raises((Uncertain, NotSpooled)) as told:
            await spooler.spool({"key": "x" * 50})
        assert "buffer-size" not in str(told.value)


async def test_a_uwsgi_is_asked_once_and_again_where_it_matters() -> None:
    said = []

    def uwsgi(connection: Connection) -> None:
        found = connection.packet()
        if found is not None:
            said.append(found.modifier1)
            connection.say(UWSGI if found.modifier1 == PING_MODIFIER else b"\xff\x00\x00\x01")

    with listening(uwsgi) as listener:
        spooler = Spooler(listener.address)
        for _ in range(3):
            await spooler.spool({"a": "b"})
        await spooler.task_named("t").spool()  # an aspool that has come in its place would take it for a raw message
        with pytest.raises(PartlySpooled):
            await spooler.spool_many([spooler.task_named("t").using(id="chosen").call()])
    assert said == [PING_MODIFIER, 17, 17, 17, PING_MODIFIER, 17, PING_MODIFIER]


# --- descriptors -------------------------------------------------------------------------------------------------


async def test_nothing_stays_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    for behaviour in (then(), then(a_packet, reset), then(GREETING, a_packet), until_it_closes):
        await failure(behaviour, timeout=SOON)
        before, threads = descriptors(), threading.active_count()
        await failure(behaviour, timeout=SOON)
        assert (descriptors(), threading.active_count()) == (before, threads)
