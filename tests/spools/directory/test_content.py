"""The content of a task file is the same whether its body is at hand or comes in pieces, and its checksum fits."""

from hypothesis import given
from hypothesis import strategies as st

from aspool import wire
from aspool.message import Message
from aspool.spools.directory.content import CHECKSUM, LENGTH, Content, checksum_fits, whole


@given(st.lists(st.binary(max_size=50), max_size=5), st.sampled_from([b"", b'{"n":1}', b'"' + b"x" * 70_000 + b'"']))
def test_pieces_and_whole_give_the_same_file(pieces: list[bytes], arguments: bytes) -> None:
    message = Message(id="a", task="t", arguments=arguments, spooled=1.0, due=1.0)
    content = Content(message)
    length_before = len(content.packet())
    for piece in pieces:
        content.add(piece)
    packet = content.packet()
    assert len(packet) == length_before, "it is filled in where it stands"
    assert whole(message, b"".join(pieces)) == packet + content.front + b"".join(pieces)


@given(st.binary(min_size=1, max_size=100), st.integers(0, 255))
def test_the_checksum_fits_with_any_mark_and_with_nothing_else_changed(body: bytes, mark: int) -> None:
    data = whole(Message(id="a", task="t", arguments=b"{}"), body)
    packet = wire.decode(data)
    assert packet.variables[LENGTH] == b"%016d" % len(body)
    checksum = packet.variables[CHECKSUM]
    assert checksum_fits(data[:3] + bytes([mark]) + data[4:], packet.size, checksum)
    for changed in (data + b"x", data[:-1], data[:10] + bytes([data[10] ^ 1]) + data[11:]):
        assert not checksum_fits(changed, packet.size, checksum)
