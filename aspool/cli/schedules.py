"""`aspool schedules`: what fires in a spool, when, and how it went; and its verbs, which change a schedule."""

import json
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from .. import clock
from ..escape import safe
from ..schedule_record import Record
from ..schedules import Schedule, Unset
from . import output, pausing, words
from .failures import Failure, Misuse
from .looking import json_option
from .output import Column
from .parameters import seconds
from .places import app_option, spool_option
from .timetable import Known, Timetable, as_record, complete_name, find_one, local, options_of, place, timetables

NEXT, NEXT_SHOWN = 3, 10  # moments
WIDE = 110  # columns of a terminal
NAMES = 0.4  # of them, at most
STATES = {"on": "green", "paused": "yellow", "unknown": "red", "new": "yellow"}
CHANGES = {  # what `start` may change, first what a lazy one needs
    "timer": ("seconds", "iterations"),
    "cron": ("expression", "tz"),
    "filemon": ("path",),
    "signal": (),
}
name_argument = click.argument("name", shell_complete=complete_name)


class ScheduleVerbs(click.Group):
    """The group, which has a word for those who write a NAME, or an APP, where a verb is expected."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """The verbs as they stand below."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises Misuse for what is no verb."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise Misuse(
                f"{args[0]} is no verb of `aspool schedules`: they are {', '.join(self.commands)}, each with a NAME; "
                "an application is named with --app"
            )
        return super().resolve_command(ctx, args)


@click.group(cls=ScheduleVerbs, invoke_without_command=True)
@spool_option
@app_option
@json_option
@click.pass_context
def schedules(ctx: click.Context, address: str | None, app: str | None, as_json: bool) -> None:
    """List the schedules of a spool: what fires them, how the last firing ended, and the next three.

    Moments are told in the zone of the schedule, without one in that of this machine. A narrow terminal has room for
    the next moment only, and for a zone only if it is another one than here. In a pipe: one line each, with name,
    state, what fires it, zone, last moment, how that ended, and the next three moments between tabs, and "-" for
    nothing. With --app also schedules that no worker has served.
    """
    if ctx.invoked_subcommand is not None:
        return
    tables = timetables(app, address)
    if as_json:
        output.print_json([as_record(known, NEXT) for table in tables for known in table.schedules])
        return
    for table in tables:
        _print_list(table)


def _print_list(table: Timetable) -> None:
    if not output.on_terminal():
        for known in table.schedules:
            output.print_plain(_plain_row(known))
    elif table.schedules:
        _print_table(table)
    else:
        click.echo(f"no schedules in {safe(table.spool.address)}: a worker makes those of its application")
    _tell(table)


def _tell(table: Timetable) -> None:
    """What a person has to know beside the list, on stderr."""
    if table.unreadable:
        are = "record cannot" if table.unreadable == 1 else "records cannot"
        click.echo(f"{table.unreadable} {are} be read; `aspool doctor` says which", err=True)
    if not table.is_made:
        click.echo(f"there is no spool at {safe(table.spool.address)} yet: a worker makes it", err=True)
        return
    if table.schedules and not table.has_workers:
        click.echo(f"no worker lives in {safe(table.spool.address)}: nothing fires", err=True)
    pausing.tell_paused(table.spool)


def _plain_row(known: Known) -> list[Any]:
    upcoming = [local(known, moment) for moment in known.upcoming(NEXT)]
    last = None if known.record.last is None else local(known, known.record.last)
    tz = getattr(known.record.trigger, "tz", None)
    padding = [None] * (NEXT - len(upcoming))
    return [known.name, known.state, words.fires(known.record), tz, last, str(known.last), *upcoming, *padding]


def _print_table(table: Timetable) -> None:
    states = {known.state_words: STATES.get(known.state, "") for known in table.schedules}
    name, state = Column("name", _short_name), Column("state", styles=states)
    if shutil.get_terminal_size().columns < WIDE:
        titles, row_of = "fires last next", _narrow_row
    else:
        titles, row_of = "fires zone last ended next", _wide_row
    columns = [name, *(Column(title) for title in titles.split()), state]
    output.print_table(table.spool.address, columns, [row_of(known) for known in table.schedules])


def _short_name(name: str) -> str:
    """As wide as there is room for; every verb takes that for the whole."""
    return output.shortened(name, max(output.LONG_ID, int(shutil.get_terminal_size().columns * NAMES)))


def _narrow_row(known: Known) -> tuple[str, ...]:
    fires, zone = words.fires(known.record, short=True), words.zone_of(known.record, clock.now())
    last = f"{_last(known)}, {known.last.state}" if known.last.state else _last(known)
    upcoming = [words.moment(moment, clock.now(), known.zone) for moment in known.upcoming(1)]
    return known.name, f"{fires} ({zone})" if zone else fires, last, "".join(upcoming), known.state_words


def _wide_row(known: Known) -> tuple[str, ...]:
    fires, tz = words.fires(known.record, short=True), getattr(known.record.trigger, "tz", "")
    upcoming = words.soon(known.upcoming(NEXT), clock.now(), known.zone)
    return known.name, fires, tz, _last(known), str(known.last), upcoming, known.state_words


def _last(known: Known) -> str:
    return "never" if known.record.last is None else words.moment(known.record.last, clock.now(), known.zone)


# --- one schedule ------------------------------------------------------------------------------------------------


@schedules.command()
@name_argument
@spool_option
@app_option
@json_option
def show(name: str, as_json: bool, **_: object) -> None:
    """Show all of one schedule.

    That is also its next ten moments, its last error and its options. NAME may be the last part of a name, as nightly
    for app.nightly, or its beginning or end. "known" is when a worker last gave a sign that it knows it, as it does
    when it begins, and every hour.
    """
    known = _found(name)
    above = click.get_current_context().parent
    if as_json or (above is not None and above.params.get("as_json")):
        arguments = _arguments(known.record.schedule)
        output.print_json({**as_record(known, NEXT_SHOWN), "fired": known.record.fired, "arguments": arguments})
        return
    for key, value in _pairs(known):
        if value not in (None, ""):
            output.print_pair(key, value)


def _arguments(schedule: Schedule) -> Any:
    """The arguments as values; as text if they are no JSON."""
    try:
        return json.loads(schedule.arguments) if schedule.arguments else None
    except (ValueError, RecursionError):
        return schedule.arguments


def _pairs(known: Known) -> list[tuple[str, Any]]:
    record, end = known.record, known.record.end
    schedule, trigger = record.schedule, record.trigger
    return [
        ("name", known.name),
        ("task", schedule.task),
        ("arguments", schedule.arguments),
        ("fires", words.fires(record)),
        ("expression", getattr(trigger, "expression", None)),
        ("zone", getattr(trigger, "tz", None)),
        ("in code", _in_code(known)),
        ("state", known.state_words),
        ("known", None if known.known is None else output.at(known.known)),
        ("fired", f"{output.count(record.fired, 'time')} since it was started" if record.fired else None),
        ("last", "never" if record.last is None else output.at(record.last)),
        ("last id", record.last_id if schedule.options.target == "spooler" else None),
        ("ended", str(known.last)),
        ("error", end.reason if end is not None and end.reason not in ("", known.last.reason) else None),
        *_next_pairs(known),
        ("options", ", ".join(f"{name}={value}" for name, value in _options(schedule) if value is not None)),
    ]


def _options(schedule: Schedule) -> list[tuple[str, Any]]:
    return [("target", schedule.options.target), *options_of(schedule).items()]


def _in_code(known: Known) -> str | None:
    """What the code says, where that is something else."""
    said, schedule = known.record.schedule.trigger, known.record.schedule
    if schedule.runtime:
        return "no: a program made it while it ran"
    return None if said == known.record.trigger else words.trigger_words(said)


def _next_pairs(known: Known) -> list[tuple[str, Any]]:
    moments = [local(known, moment) for moment in known.upcoming(NEXT_SHOWN)]
    if not output.on_terminal():
        return [("next", moment) for moment in moments]
    return [("next", "\n".join(_told(moment.astimezone(known.zone)) for moment in moments))]


def _told(moment: datetime) -> str:
    """A moment in full, and its distance, if it is near."""
    is_near = abs(moment.timestamp() - clock.now()) < output.DAY
    return f"{moment:%a %Y-%m-%d %H:%M:%S %z}" + (f" ({output.moment(moment)})" if is_near else "")


def _found(name: str, *, whole: bool = False) -> Known:
    """The schedule that is meant. Raises as `find_one`."""
    return find_one(timetables(*place(click.get_current_context())), name, whole=whole)


# --- changing it -------------------------------------------------------------------------------------------------


def _verb(function: Callable[..., None]) -> click.Command:
    """A verb about one schedule; the function is given a name and its own options."""
    return schedules.command()(name_argument(spool_option(app_option(function))))


def _do(action: Callable[[], Awaitable[object]]) -> None:
    import anyio

    anyio.run(action)


def _look(known: Known) -> Record:
    import anyio

    return anyio.run(known.handle.look)


@_verb
def run(name: str, **_: object) -> None:
    """Let a schedule run once, now, beside its own moments.

    It runs also if it is paused or stopped. In --iterations this does not count.
    """
    known = _found(name)
    if known.is_for_workers and not known.is_served:
        raise Failure(f"{known.name} runs in all workers, and {known.nobody}")
    _do(known.handle.run)
    if known.is_for_workers:
        click.echo(f"all workers of {safe(known.spool.address)} run {safe(known.name)} now")
        return
    click.echo(f"{safe(known.name)} runs now, as {safe(_look(known).last_id)}")
    if not known.is_served:
        click.echo(f"{safe(known.nobody)}: it waits for one", err=True)


@_verb
def pause(name: str, **_: object) -> None:
    """Let a schedule fire no more until `resume`.

    It lasts through every restart; moments that pass meanwhile are not made up for.
    """
    known = _found(name)
    _do(known.handle.pause)
    _tell_change(known, {
        "on": "is paused in",
        "paused": "was paused already in",
        "off": "does not fire anyway: it is stopped in",
    })  # fmt: skip


@_verb
def resume(name: str, **_: object) -> None:
    """Take `pause` back."""
    known = _found(name)
    if known.record.state == "off":
        raise Failure(f"{known.name} is not paused, but stopped: `aspool schedules start` lets it fire")
    _do(known.handle.resume)
    _tell_change(known, {"on": "was not paused in", "paused": "goes on in"}, with_next=True)


@_verb
def stop(name: str, **_: object) -> None:
    """Let a schedule fire no more until `start`."""
    known = _found(name)
    _do(known.handle.stop)
    _tell_change(known, {"on": "is stopped in", "paused": "is stopped in", "off": "was stopped already in"})


def _start_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--path", metavar="PATH", help="a file monitor: watch this"),
        click.option("--tz", metavar="ZONE", help="a cron: in this zone, as Europe/Paris"),
        click.option("--expression", metavar="CRON", help="a cron: at these moments, as '30 2 * * *'"),
        click.option("--iterations", type=click.IntRange(min=1), metavar="N", help="a timer: so many times in all"),
        click.option("--seconds", type=seconds, metavar="S", help="a timer: fire every so many seconds (or 90m, 12h)"),
    ):
        command = option(command)
    return command


@_verb
@_start_options
def start(name: str, **options: Any) -> None:
    """Let a schedule fire from now on.

    It fires as its code says; with options changed, until it is started again or its code changes. A timer counts
    from now, and its iterations anew.
    """
    changes = {key: value for key, value in options.items() if value is not None and key not in ("app", "address")}
    known = _found(name)
    _check_changes(known, changes)
    _do(lambda: known.handle.start(**changes))
    _tell_change(known, dict.fromkeys(("on", "paused", "off"), "is started in"), with_next=True)


def _check_changes(known: Known, changes: Mapping[str, Any]) -> None:
    """Raises Misuse for options that a schedule of this kind does not have, or needs."""
    record, said = known.record, known.record.schedule.trigger
    kind = said.of if isinstance(said, Unset) else said.kind
    has = CHANGES[kind]
    if odd := [f"--{name}" for name in changes if name not in has]:
        there_are = " and ".join(f"--{name}" for name in has)
        raise Misuse(
            f"{known.name} is a {kind}, and has no {' and '.join(odd)}: "
            + (f"its options are {there_are}" if has else "`start` has no options for it")
        )
    is_unsaid = isinstance(said if changes else record.trigger, Unset)
    if is_unsaid and has[0] not in changes:
        raise Misuse(f"{known.name} is a lazy {kind}, and its code does not say when: give --{has[0]}")


@_verb
def remove(name: str, **_: object) -> None:
    """Forget a schedule that a program has made.

    One that is in the code of an application begins anew with the next worker. NAME is the whole
    name here, or its last part.
    """
    known = _found(name, whole=True)
    if known.known is None:
        raise Failure(f"{known.name} is in the code only: no worker has made it known to {known.spool.address} yet")
    _do(known.handle.remove)
    arguments = f", with {known.record.schedule.arguments}" if known.record.schedule.arguments else ""
    what = f"{known.record.schedule.task}: {words.fires(known.record)}{arguments}"
    click.echo(f"{safe(known.name)} is removed from {safe(known.spool.address)} ({safe(what)})")
    if not known.record.schedule.runtime:
        click.echo("it comes from the code of an application, whose workers make it anew", err=True)


def _tell_change(known: Known, told: dict[str, str], *, with_next: bool = False) -> None:
    """What has become of it, by the state that it had; and when it fires next."""
    after = ""
    if with_next:
        record = _look(known)
        upcoming: Sequence[float] = list(record.upcoming(clock.now(), 1))
        when = f"; next {output.moment(output.at(upcoming[0]))}" if upcoming else ""
        after = f": {words.fires(record)}{when}"
    click.echo(f"{safe(known.name)} {told[known.record.state]} {safe(known.spool.address)}{safe(after)}")
