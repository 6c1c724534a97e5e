"""`hybrid nnet`: neural models, and what lattice-free MMI is trained with."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.echo import echo
from hybrid.cli.nnet_chain import COMMANDS as CHAIN
from hybrid.cli.nnet_train import train

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train and inspect neural models; trees, denominators and supervision of LF-MMI."""


for _command in (*CHAIN, train):
    command.add_command(_command)


@command.command()
@click.argument("model_dir", type=FILE)
def info(model_dir: Path) -> None:
    """Say what a network's folder holds and how its training went.

    Example: hybrid nnet info exp/chain
    """
    from hybrid.train.nnet.describe import describe

    for name, value in describe(model_dir).items():
        echo(f"{name} {value}")
