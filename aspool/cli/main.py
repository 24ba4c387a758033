"""`aspool`: the verbs and where each lives. A verb's module is loaded when the verb is used, so `--help` is quick."""

import importlib
from typing import Any, cast

import click

from .failures import telling

VERBS = {  # name: (module:attribute, one line)
    "worker": ("worker:worker", "Run the tasks of an application."),
    "run": ("running:run", "Run a script that was written for uWSGI."),
    "listen": ("listening:listen", "Take tasks as uwsgi packets, from nginx, uWSGI or another aspool."),
    "send": ("sending:send", "Spool a call of a task."),
    "spool": ("sending:spool", "Spool a raw message, as uwsgi.spool does."),
    "watch": ("watching:watch", "Follow messages until they end."),
    "top": ("top:top", "Show workers, running jobs and counts, live."),
    "ls": ("looking:ls", "List messages."),
    "show": ("looking:show", "Show all of one message."),
    "retry": ("changing:retry", "Let dead, waiting or put-off messages run now."),
    "cancel": ("ordering:cancel", "Cancel tasks that wait or run."),
    "reschedule": ("ordering:reschedule", "Let waiting messages run at another moment, or with another priority."),
    "rm": ("changing:rm", "Remove messages for good."),
    "purge": ("changing:purge", "Remove all messages of a state for good."),
    "pause": ("pausing:pause", "Let no worker begin messages of a task, or any."),
    "resume": ("pausing:resume", "Take a pause back."),
    "schedules": ("schedules:schedules", "List what fires by time, file or signal, and change it."),
    "signal": ("raising:signal", "Raise a signal for the handlers of an application."),
    "stats": ("stats:stats", "Count the messages, and show what the workers run."),
    "status": ("supervising:status", "Say whether workers live that run its tasks, by the exit code too."),
    "reload": ("supervising:reload", "Let workers be replaced one by one."),
    "config": ("configuring:config", "Show the options of a worker, and where each was given."),
    "migrate": ("migrating:migrate", "Say what of a program for uWSGI runs on aspool as it is."),
    "doctor": ("doctor:doctor", "Check a spool directory, and say what to do."),
    "completion": ("completion:completion", "Print the completion script for a shell."),
}


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(f"aspool.cli.{module}"), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; aspool's own errors become a sentence and an exit code."""
        with telling():
            return super().invoke(ctx)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aspool", message="%(prog)s %(version)s")
def main() -> None:
    """A task queue in which a directory is the queue.

    Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 the spool cannot be used.
    """
