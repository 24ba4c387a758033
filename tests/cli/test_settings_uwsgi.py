"""A uwsgi.ini: read as the real uWSGI reads it (if pyuwsgi is there), and what becomes of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aspool.cli.failures import Misuse
from aspool.cli.settings import uwsgi_options
from aspool.cli.settings.found import Found
from aspool.cli.settings.uwsgi_ini import UwsgiIni

UWSGI = shutil.which("uwsgi", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
BEGIN, END = "[uwsgi]", ";end of configuration"
OURS = ("no-server", "show-config")  # what the test itself gives
NOT_KEPT = ("for", "if", "end", "given", "placed")

MAGIC = """\
; a comment
# another
[other]
x = not ours
[uwsgi]
v = %v
d = %d
p = %p
s = %s
n = %n
c = %c
e = %e
o = %o
h = %h
j = %j
first = %P %D %S %C %N %E %O
users = %u %U %g %G
percent = 100%%
twice = %d%d%n
unknown = a%yb
"""
LINES = """\
[uwsgi]
spaced   =   a b
\tindented = yes
key with space = v
no-equals
nothing =
two = a=b=c
semicolon = x ; y
hash = x # y
quoted = "in quotes"
colon : value
strange = [other]
 [uwsgi] \n\
again = 1
again = 2
= no key
swallowed = 100%
next = 1
"""
REFERENCES = """\
[uwsgi]
base = /srv/shop
one = %(base)/a
two = %(one)/%(base)
later = %(defined)
defined = x
again = 1
again = %(again)2
first = %(again)
unknown = %(nope) $(NOPE) a
env = a$(HOME)b$(PWD)
file = @(word)
itself = %(itself)
percent = 100%%(base)
set = given=3
taken = %(given)
set-ph = placed=4
taken-too = %(placed)
open = %(base
"""
BLOCKS = """\
[uwsgi]
for = a b  c
each = m%(_)
endfor =
for-times = 3
time = %(_)
end-for =
for-readline = lines
line = %(_)
endfor =
for-glob = glob-*
globbed = %(_)
endfor =
if-env = HOME
home = %(_)
endif =
if-env = HOME=/nowhere
nowhere = 1
endif =
if-not-env = NOPE
none = 1
endif =
ifenv = NOPE
some = 1
end-if =
if-exists = word
exists = %(_)
endif =
if-not-exists = word
not-exists = %(_)
endif =
if-dir = .
dir = 1
endif =
if-file = .
file = 1
endif =
if-opt = home
opt = 1
endif =
if-not-opt = dir=2
opt2 = 1
endif =
if-not-reload = x
fresh = 1
endif =
if-hostname = nobody
nobody = 1
endif =
"""
INCLUDES = """\
[uwsgi]
base = /srv
ini = :third
include = deeper/more.ini
ini = deeper/more.ini:second
own = %p
[third]
third = %x %s %(base)
"""
MORE = """\
[uwsgi]
more = %p %d %P %(base)
[second]
second = %x %n %N
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "word").write_text("hello\n")
    (tmp_path / "lines").write_text("first\nsecond\n")
    for name in ("glob-b", "glob-a"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "more.ini").write_text(MORE)
    return tmp_path


def ours(name: str) -> list[tuple[str, str]]:
    ini = UwsgiIni(os.environ)
    ini.read(name)
    return [(entry.key, ini.value(entry)) for entry in ini.entries]


def theirs(name: str) -> list[tuple[str, str]]:
    """What uWSGI itself shows; but for the beginnings and ends of blocks, and what `set` made."""
    assert UWSGI is not None
    command = [UWSGI, "--ini", name, "--no-server", "--show-config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    told = done.stdout + done.stderr
    assert END in told, told
    shown = told.split(f"\n{BEGIN}\n")[1].split(f"\n{END}")[0]
    pairs = [(key, value) for line in shown.split("\n") for key, _, value in [line.partition(" = ")]]
    assert pairs[0] == ("ini", name)
    return [(key, value) for key, value in pairs[1:] if key not in OURS and not key.startswith(NOT_KEPT)]


@pytest.mark.skipif(UWSGI is None, reason="pyuwsgi is not installed")
@pytest.mark.parametrize(
    "text",
    [MAGIC, LINES, REFERENCES, BLOCKS, INCLUDES],
    ids=["magic", "lines", "references", "blocks", "includes"],
)
def test_it_is_read_as_uwsgi_does(files: Path, text: str) -> None:
    (files / "my.first.ini").write_text(text)
    assert ours("my.first.ini") == theirs("my.first.ini")


# --- what it makes of it, beyond uWSGI -------------------------------------------------------------------------------


def read(text: str) -> tuple[dict[str, Found], list[str]]:
    Path("u.ini").write_text(text)
    return uwsgi_options.read("u.ini", os.environ)


def values(text: str) -> dict[str, object]:
    return {name: found.value for name, found in read(text)[0].items()}


REAL = """\
[uwsgi]
; the shop
strict = true
project = shop
base = /srv/%(project)
chdir = %(base)
http-socket = :8080
module = shop.wsgi:application
virtualenv = $(HOME)/venv
master
processes = 8
uid = www-data
stats = @(exec://somewhere)
logto = @(/nowhere/at/all)
touch-reload = %(base)/reload

spooler-processes = 2
spooler = %(base)/spool
spooler = %(base)/mail
spooler = %(base)/spool
spooler-external = /srv/billing/spool
spooler-max-tasks = 1000
spooler-harakiri = 0
spooler-frequency = 5
spooler-ordered = 1
spooler-quiet = off
spooler-import = tasks/mail.py
spooler-import = shop.tasks
"""


def test_a_whole_one(files: Path) -> None:
    found, warnings = read(REAL)
    assert {name: one.value for name, one in found.items()} == {
        "processes": 2,
        "spools": ("/srv/shop/spool", "/srv/shop/mail"),
        "external": ("/srv/billing/spool",),
        "max_tasks": 1000,
        "harakiri": None,
        "frequency": 5.0,
        "ordered": True,
        "quiet": False,
        "imports": ("tasks.mail", "shop.tasks"),
    }
    assert found["spools"].where == "u.ini:18, 19, 20"
    assert warnings == []


def test_the_first_spool_is_where_messages_go(files: Path) -> None:
    text = "[uwsgi]\nspooler-external = /srv/theirs\nspooler = /srv/ours\n"
    assert values(text) == {"external": ("default=/srv/theirs",), "spools": ("/srv/ours",)}


def test_paths_stay_paths(files: Path) -> None:
    text = "[uwsgi]\nspooler = a=b\nspooler = memory:\nspooler = /c=d:e\nspooler = f/g=h\n"
    assert values(text) == {"spools": ("./a=b", "./memory:", "/c=d:e", "f/g=h")}


def test_options_that_only_look_like_ours_are_told(files: Path) -> None:
    found, warnings = read("[uwsgi]\nspooler_processes = 2\nspooler-niceness = 3\nspooler-frequency = 0\n")
    assert found == {}
    left_out = "is left out: it is no spooler option that aspool knows"
    assert warnings == [
        f"u.ini:2: spooler_processes {left_out}; did you mean spooler-processes?",
        f"u.ini:3: spooler-niceness {left_out}",
        "u.ini:4: spooler-frequency = 0 is left out: aspool hears of new messages at once anyway",
    ]


def test_what_only_uwsgi_knows_is_told(files: Path) -> None:
    found, warnings = read("[uwsgi]\nif-plugin = python\nspooler = a\nendif =\nspooler = b\n")
    assert found["spools"].value == ("b",)
    assert warnings == ["u.ini:2: if-plugin and its block are left out: only uWSGI knows what holds"]


def test_a_section_that_is_not_there_is_told(files: Path) -> None:
    with pytest.raises(Misuse, match=r"u.ini has no options in a section \[uwsgi\]: name another one, u.ini:SECTION"):
        read("[uwsg]\nspooler = a\n")


def test_a_place_in_another_file(files: Path) -> None:
    (files / "more").write_text("[uwsgi]\n\nspooler = b\n")
    found, _ = read("[uwsgi]\nspooler = a\nini = more\n")
    assert (found["spools"].value, found["spools"].where) == (("a", "b"), "u.ini:2, more:3")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("spooler-processes = two", r"u\.ini:2: spooler-processes must be a whole number, not 'two'"),
        ("spooler-max-tasks = -1", "spooler-max-tasks must be a whole number, not '-1'"),
        ("spooler-harakiri", "spooler-harakiri must be a whole number, not ''"),
        ("spooler = @(nowhere)", r"u\.ini:2: nowhere cannot be read: No such file or directory"),
        ("spooler = @(exec://id)", "u.ini:2: aspool takes no setting from exec://id: it reads files only"),
        ("ini = nowhere.ini", r"nowhere\.ini cannot be read"),
        ("ini = u.ini", r"u\.ini includes itself"),
        ("for-readline = nowhere\nspooler = %(_)", "nowhere cannot be read"),
    ],
)
def test_one_that_cannot_be(files: Path, text: str, sentence: str) -> None:
    with pytest.raises(Misuse, match=sentence):
        read(f"[uwsgi]\n{text}\n")


def test_bytes_that_are_not_utf_8(files: Path) -> None:
    Path("u.ini").write_bytes(b"[uwsgi]\r\nspooler = /srv/\xff\r\n")
    found, _ = uwsgi_options.read("u.ini", os.environ)
    assert found["spools"].value == (os.fsdecode(b"/srv/\xff"),)
