"""Files of any content and any name: nothing raises, nothing is deleted, nothing leaves the spool."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import given, settings
from hypothesis import strategies as st

from aspool import DirectorySpool
from aspool.outcomes import Buried, HandedBack, PutOff
from aspool.spools.directory.claim import Candidate, Claimer, FileClaim
from aspool.spools.directory.finish import Finisher
from aspool.spools.directory.names import PREFIX
from aspool.spools.directory.tree import AREAS, PRIVATE
from aspool.wire import encode

keys = st.sampled_from(
    [b"aspool.v", b"aspool.task", b"aspool.args", b"aspool.front", b"aspool.options", b"aspool.expires",
     b"aspool.spooled", b"aspool.len", b"aspool.crc", b"priority", b"at", b"spooler", b"body", b"x"]
)  # fmt: skip
values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"-1", b"0", b"1e999", b"nan", b"9" * 30, b"../../etc", b"{}", b"[[[[", b"\xff\xfe"]),
)
packets = st.builds(encode, st.dictionaries(keys, values, max_size=8), st.integers(0, 255))
contents = st.one_of(st.binary(max_size=200), st.tuples(packets, st.binary(max_size=50)).map(b"".join))
file_names = st.one_of(
    st.from_regex(r"uwsgi_spoolfile_on_[0-9]{16}_[A-Za-z0-9._-]{1,20}_[0-9]{1,6}_[0-9]{1,3}", fullmatch=True),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=40).map(PREFIX.__add__),
)
outcomes = st.sampled_from(
    [HandedBack(), PutOff(3e9, 1, 1), PutOff(4e9, 999_999_999, 99_999), Buried("x" * 5000, "\udcff", 7, 7)]
)


@settings(max_examples=150, deadline=None)
@given(content=contents, name=file_names, outcome=outcomes)
def test_any_file(content: bytes, name: str, outcome: HandedBack) -> None:
    root = Path(mkdtemp())
    try:
        spool = DirectorySpool(root / "spool", durability="process")
        spool.put_blocking([])
        path = spool.path / name
        path.write_bytes(content)
        os.utime(path, (1e9, 1e9))
        inode = path.stat().st_ino
        answer = Claimer(spool._tree).claim(Candidate(spool._tree.top, name), 9e9)
        if isinstance(answer, FileClaim):
            Finisher(spool._tree, durable=False).finish(answer, outcome)
        spool.browse()
        spool.counts()
        left = [p for p in spool.path.rglob("*") if p.is_file() and p.stat().st_ino == inode]
        assert len(left) == 1, "kept, wherever it lies now"
        assert left[0].read_bytes()[4:] == content[4:]
        assert set(os.listdir(root)) == {"spool"}
        assert set(os.listdir(spool.path / PRIVATE)) == {*AREAS, "version"}
    finally:
        shutil.rmtree(root)
