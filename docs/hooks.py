"""What mkdocs puts into the pages from the program itself: the command line, the settings, the errors."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any

import click

from aspool import WorkerSettings, errors
from aspool.cli.main import VERBS, main
from aspool.cli.settings.options import flag
from aspool.settings import ListenerSettings, Settings, UwsgiSettings, kind

Row = tuple[str, ...]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each `<!-- generated: NAME -->` of a page."""
    for name, generate in GENERATED.items():
        marker = f"<!-- generated: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, generate())
    return markdown


def commands() -> str:
    """A section for each verb, and below it one for each verb that it has."""
    root = click.Context(main, info_name="aspool", color=False, **main.context_settings)
    return "\n\n".join(_command(root, main, verb) for verb in VERBS)


def _command(above: click.Context, group: click.Group, verb: str, level: str = "##") -> str:
    command = group.get_command(above, verb)
    assert command is not None
    ctx = click.Context(command, info_name=verb, parent=above)
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    given = [option for option in command.get_params(ctx) if isinstance(option, click.Option)]
    records = [record for option in given if (record := option.get_help_record(ctx)) is not None]
    options = [(f"`{names}`", _text(told)) for names, told in records]
    title = ctx.command_path.removeprefix("aspool ")
    parts = [
        f"{level} {title}",
        f"```text\n{usage}\n```",
        _told(command.help or ""),
        _table(("option", "meaning"), options),
    ]
    if isinstance(command, click.Group):
        parts += [_command(ctx, command, name, f"{level}#") for name in command.list_commands(ctx)]
    return "\n\n".join(parts)


def _told(help: str) -> str:
    """Paragraphs of a help text; one that begins with \\b keeps its lines."""
    return "\n\n".join(
        f"```text\n{paragraph[1:].strip()}\n```" if paragraph.startswith("\b") else _text(paragraph)
        for paragraph in inspect.cleandoc(help).split("\n\n")
    )


def settings() -> str:
    """One row for each option: of each worker, of all of `aspool worker`, of its listener, of programs of uWSGI."""
    of_a_worker = {option.name for option in fields(WorkerSettings)}
    of_a_listener = {option.name for option in fields(ListenerSettings)}
    of_uwsgi = {option.name for option in fields(UwsgiSettings)}
    head = ("option", "default", "unit", "meaning", "flag", "uWSGI")
    return "\n\n".join(
        f"### {title}\n\n{_table(head, [_setting(option) for option in fields(Settings) if fits(option.name)])}"
        for title, fits in (
            ("Of each worker", of_a_worker.__contains__),
            ("Of all of `aspool worker`", lambda name: name not in of_a_worker | of_a_listener | of_uwsgi),
            ("Of its listener, and of `aspool listen`", of_a_listener.__contains__),
            ("Of a program that was written for uWSGI", of_uwsgi.__contains__),
        )
    )


def _setting(option: "Field[Any]") -> Row:
    told, unit, uwsgi = (option.metadata[key] for key in ("help", "unit", "uwsgi"))
    name = flag(option)
    shown = f"{name}`, `--no-{name[2:]}" if kind(option) is bool else name
    names = ", ".join(f"`{one}`" for one in uwsgi)
    return f"`{option.name}`", _default(option.default), unit, _text(told), f"`{shown}`", names


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value == ():
        return "none"
    return f"`{value}`" if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def error_tree() -> str:
    """The tree, and a row for each error."""
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.AspoolError)]
    rows = [(f"`{kind.__name__}`", _text(inspect.getdoc(kind) or "")) for kind in kinds]
    return f"```text\n{tree}\n```\n\n{_table(('error', 'when'), rows)}"


def _table(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _text(text: str) -> str:
    """Plain text in Markdown, on one line."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")


GENERATED: dict[str, Callable[[], str]] = {"cli": commands, "settings": settings, "errors": error_tree}
