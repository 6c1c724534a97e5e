"""`hybrid nnet`: neural models, and what lattice-free MMI is trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.nnet_chain import COMMANDS as CHAIN
from hybrid.cli.options import config_options, make_trust, trust_options, writes_folder
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, OptimiserConfig, TrainingConfig

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train and inspect neural models; trees, denominators and supervision of LF-MMI."""


for _command in CHAIN:
    command.add_command(_command)


@command.command()
@click.option("--config", "config_file", type=FILE, help="YAML with sections network, features, cmvn, augment, "
              "batches, optimiser, training; options given here go before it.")  # fmt: skip
@click.option("--objective", type=click.Choice(["xent"]), default="xent", help="What is trained.")
@click.option("--feats", type=FILE, help="Features made already (hybrid feats extract).")
@click.option("--cuts", type=FILE, help="Audio instead, whose features are computed when wanted.")
@click.option("--like", type=FILE, help="Model whose feature pipeline is used (with --feats).")
@click.option("--transforms", type=FILE, help="Transforms of the speakers (with --like).")
@click.option("--model", "model_dir", type=FILE, help="xent: model that the alignments are of.")
@click.option("--ali", type=FILE, help="xent: alignments (hybrid gmm align).")
@click.option("--smoothing", type=click.FloatRange(0, 0.9), default=0.0, help="xent: label smoothing.")
@click.option("--network", default="", help="Architecture instead of the YAML's.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of the network, e.g. dim=256.")
@click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it.")
@config_options(AugmentConfig)
@config_options(BatchConfig)
@config_options(OptimiserConfig)
@config_options(TrainingConfig)
@trust_options
@writes_folder("nnet", "feats", "cuts", "like", "model_dir", "ali")
def train(config_file: Path | None, out_dir: Path, **options: Any) -> None:
    """Train a network; with torchrun, in several processes.

    \b
    hybrid nnet train --objective xent --config conf/xent.yaml --feats exp/feats/train --model exp/tri2b
    --ali exp/tri2b_ali --out-dir exp/xent
    """
    from hybrid.cli.nnet_settings import read_settings
    from hybrid.train.nnet import tasks
    from hybrid.train.nnet.run import train_network

    trust = make_trust(options)
    settings = read_settings(config_file, options, click.get_current_context())
    config = settings.config
    if (options["feats"] is None) == (options["cuts"] is None):
        raise click.UsageError("give one of --feats STORE and --cuts SET")
    if options["model_dir"] is None or options["ali"] is None:
        raise click.UsageError("--objective xent needs --model MODEL and --ali ALIGNMENTS")
    task = tasks.cross_entropy_task(
        options["model_dir"], options["ali"], options["smoothing"], settings.subsampling_factor
    )
    if options["feats"] is not None:
        source = tasks.store_source(
            options["feats"], settings.cmvn, config.augment, options["like"], options["transforms"]
        )
    else:
        source = tasks.audio_source(options["cuts"], settings.features, settings.cmvn, config.augment, trust)
    train_network(task, source, out_dir, config)


@command.command()
@click.argument("model_dir", type=FILE)
def info(model_dir: Path) -> None:
    """Say what a network's folder holds and how its training went.

    Example: hybrid nnet info exp/chain
    """
    from hybrid.train.nnet.describe import describe

    for name, value in describe(model_dir).items():
        echo(f"{name} {value}")
