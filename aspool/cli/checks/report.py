"""Findings as people and pipes read them."""

from collections.abc import Sequence

import click

from ...escape import safe
from .. import output
from .finding import Finding

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def report(title: str, findings: Sequence[Finding]) -> None:
    """One line for each, and what to do below it; in a pipe level, check, text and advice between tabs."""
    if not output.on_terminal():
        for one in findings:
            output.print_plain((one.level, one.check, one.text, one.advice))
        return
    width = max(12, *(len(one.check) for one in findings)) if findings else 12
    click.echo(click.style(safe(title), bold=True))
    for one in findings:
        level = click.style(f"{one.level:<5}", fg=STYLES[one.level])
        click.echo(f"  {level}{safe(one.check):<{width}} {safe(one.text)}")
        if one.advice:
            click.echo(f"       {'':<{width}} → {safe(one.advice)}")
