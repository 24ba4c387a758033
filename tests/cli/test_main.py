"""The program as a whole: help, version, completion, exit codes, and what it loads."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from aspool import __version__
from aspool.cli.failures import NoSpool, telling
from aspool.cli.main import VERBS

Run = Callable[..., Result]


def test_help_lists_all_verbs_and_is_light() -> None:
    code = (
        "import sys\nfrom aspool.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('rich', 'pydantic', 'anyio', 'aspool.worker') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    result = run(verb, "-h")
    assert result.exit_code == 0
    assert f"Usage: main {verb}" in result.output


def test_version(run: Run) -> None:
    assert run("--version").output.split()[-1] == __version__


def test_unknown_verbs_and_options(run: Run) -> None:
    assert run("wrk").exit_code == 2
    assert run("ls", "--wrong").exit_code == 2
    assert run().exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    assert "_ASPOOL_COMPLETE" in run("completion", shell).output


def completed(words: str) -> str:
    """What bash would offer for the last word."""
    count = str(len(words.split()) - 1)
    environment = {
        **os.environ,
        "_ASPOOL_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": count,
    }
    code = "from aspool.cli.main import main; main(prog_name='aspool')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_shell_completes_verbs_and_ids(run: Run) -> None:
    assert completed("aspool retr") == "plain,retry"
    run("send", "app", "send_mail", "to=a", "--id", "welcome-42")
    assert completed("aspool show wel") == "plain,welcome-42"
    assert completed("aspool show -d nowhere wel") == ""


def test_a_reader_that_leaves_is_no_failure(run: Run) -> None:
    run("send", "app", "send_mail", "to=a")
    code = f"{sys.executable} -m aspool.cli ls | true"
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_what_another_user_owns_is_told_in_words() -> None:
    with pytest.raises(NoSpool, match=r"/spool is not for this user: run this as the one whose spool it is"), telling():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/spool")
