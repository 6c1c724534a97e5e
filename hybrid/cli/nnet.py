"""`hybrid nnet`: neural models, and what lattice-free MMI is trained with."""

from __future__ import annotations

import click

from hybrid.cli.nnet_chain import COMMANDS as CHAIN


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train and inspect neural models; trees, denominators and supervision of LF-MMI."""


for _command in CHAIN:
    command.add_command(_command)
