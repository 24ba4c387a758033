"""Warnings about settings: on stderr, where the errors are too."""

import click

from ...escape import safe


def warn(sentence: str) -> None:
    """Tell a person."""
    click.echo(f"aspool: {safe(sentence)}", err=True)
