"""Printing of results: what files hold is shown, but never obeyed by a terminal."""

from __future__ import annotations

import re

import click

from hybrid.base.errors import one_line

__all__ = ["echo"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def echo(text: object = "", nl: bool = True, err: bool = False) -> None:
    """Prints as `click.echo`, with control characters escaped except tabs and line ends, which tables are made of."""
    click.echo(_CONTROL.sub(lambda found: one_line(found[0]), str(text)), nl=nl, err=err)
