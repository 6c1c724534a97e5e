"""`hybrid nnet train`: networks by cross-entropy, lattice-free MMI, full sum, or on lattices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.options import MODEL, Real, config_options, make_trust, trust_options, writes_folder
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, FullSumConfig, OptimiserConfig, TrainingConfig

if TYPE_CHECKING:
    from hybrid.feats.config import FeatureConfig
    from hybrid.train.nnet.run import Task
    from hybrid.train.nnet.settings import Settings
    from hybrid.train.nnet.sources import FeatureSource

__all__ = ["source_of", "source_options", "train"]

FILE = click.Path(path_type=Path)
LATTICES = ("smbr", "mmi", "bmmi")
NEEDED = {"chain": ("tree", "den", "sup"), "full-sum": ("tree", "sup"), "xent": ("model", "ali")}
NEEDED |= dict.fromkeys(LATTICES, ("model", "lattices", "ali"))


def source_options(function: Any) -> Any:
    """Adds the options that say what is trained on; `source_of` takes them."""
    for option in (
        click.option("--transforms", type=FILE, help="Transforms of the speakers (with --like)."),
        click.option("--like", type=MODEL, help="Model whose feature pipeline is used (with --feats)."),
        click.option("--cuts", type=FILE, help="Audio instead, whose features are computed when wanted."),
        click.option("--feats", type=FILE, help="Features made already (hybrid feats extract)."),
    ):
        function = option(function)
    return function


def _check_features(feats: Path, wanted: FeatureConfig, like: Path | None) -> None:
    """Refuses a store of other features than the settings name; a model's own pipeline says itself what it takes."""
    from hybrid.base.config import read_config
    from hybrid.base.errors import MismatchError
    from hybrid.feats.config import FeatureConfig

    if like is not None or wanted == FeatureConfig() or not (feats / "config.yaml").exists():
        return
    found = read_config(FeatureConfig, feats / "config.yaml")
    names = [name for name, value in vars(wanted).items() if vars(found)[name] != value]
    if names:
        raise MismatchError(
            f"{feats}: holds other features than the section 'features' of --config wants: {names[0]} is "
            f"{vars(found)[names[0]]}, wanted {vars(wanted)[names[0]]}. Extract them by those settings (hybrid feats "
            "extract --config), or leave the section out."
        )


def source_of(options: dict[str, Any], settings: Settings, trust: Any) -> FeatureSource:
    """Opens the one source of features that was named."""
    from hybrid.train.nnet import tasks

    if (options["feats"] is None) == (options["cuts"] is None):
        raise click.UsageError("give one of --feats STORE and --cuts SET")
    augment = settings.config.augment
    if options["feats"] is not None:
        _check_features(options["feats"], settings.features, options["like"])
        return tasks.store_source(options["feats"], settings.cmvn, augment, options["like"], options["transforms"])
    return tasks.audio_source(options["cuts"], settings.features, settings.cmvn, augment, trust)


@click.command()
@click.option("--config", "config_file", type=FILE, help="YAML with sections network, features, cmvn, chain, "
              "full_sum, augment, batches, optimiser, training; options given here go before it.")  # fmt: skip
@click.option("--objective", type=click.Choice(list(NEEDED)), default="chain",
              help="chain: lattice-free MMI; full-sum: all alignments, from nothing; xent: cross-entropy; others: on "
              "lattices, from a network.")  # fmt: skip
@source_options
@click.option("--tree", type=FILE, help="chain, full-sum: tree (hybrid nnet chain-tree, chain-flat).")
@click.option("--den", type=FILE, help="chain: denominator (hybrid nnet chain-den).")
@click.option("--sup", type=FILE, help="chain, full-sum: supervision (hybrid nnet chain-sup).")
@click.option("--model", type=MODEL, help="xent: model that the alignments are of; lattices: network to start from.")
@click.option("--ali", type=FILE, help="xent, lattices: alignments by that model (hybrid gmm align).")
@click.option("--lattices", type=FILE, help="Lattices of the training set by that network (hybrid decode --raw).")
@click.option("--boost", type=Real(0), default=0.1, help="bmmi: nats that a wrong frame makes a path likelier.")
@click.option("--graph-scale", type=Real(0), default=1.0, help="Of graph scores in lattices, beside the model's "
              "acoustic scale.")  # fmt: skip
@click.option("--lang", type=FILE, help="Lattices: lang folder, whose silence phones count as one.")
@click.option("--smoothing", type=click.FloatRange(0, 0.9), default=0.0, help="xent: label smoothing.")
@click.option("--network", default="", help="Architecture instead of the YAML's.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of the network, e.g. dim=256.")
@click.option("--init", type=MODEL, help="Trained network to start from instead of random weights.")
@click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it.")
@config_options(ChainConfig)
@config_options(FullSumConfig)
@config_options(AugmentConfig)
@config_options(BatchConfig)
@config_options(OptimiserConfig)
@config_options(TrainingConfig)
@trust_options
@writes_folder("nnet", "feats", "cuts", "like", "transforms", "tree", "den", "sup", "model", "ali", "lattices", "init")
def train(config_file: Path | None, out_dir: Path, **options: Any) -> None:
    """Train a network; with torchrun, in several processes.

    \b
    hybrid nnet train --config conf/chain.yaml --cuts data/train --tree exp/chain/tree --den exp/chain/den
      --sup exp/chain/sup --out-dir exp/chain/tdnnf
    hybrid nnet train --objective xent --config conf/xent.yaml --cuts data/train --model exp/tri2b
      --ali exp/tri2b_ali --out-dir exp/xent
    """
    from hybrid.cli.nnets.settings import read_settings
    from hybrid.train.nnet.run import train_network

    trust = make_trust(options)
    settings = read_settings(config_file, options, click.get_current_context())
    missing = [name for name in NEEDED[options["objective"]] if options[name] is None]
    if missing:
        wanted = ", ".join(f"--{name}" for name in NEEDED[options["objective"]])
        raise click.UsageError(f"--objective {options['objective']} needs {wanted}; --{missing[0]} is missing")
    if options["objective"] in LATTICES or options["init"] is not None:
        settings = _as_trained(options, settings)
    task = _task(options, settings)
    train_network(task, source_of(options, settings, trust), out_dir, settings.config)


def _as_trained(options: dict[str, Any], settings: Settings) -> Settings:
    """Takes the shape of the network to start from, and its features where lattices are trained on."""
    from dataclasses import replace

    from hybrid.train.nnet.tasks import network_of

    trained = network_of(options["init"] or options["model"])
    if options["objective"] in LATTICES:
        options["like"] = options["like"] or options["model"]
    shape = replace(settings.config, architecture=trained.architecture, network=trained.settings()["network"])
    return replace(settings, config=shape)


def _task(options: dict[str, Any], settings: Settings) -> Task:
    from dataclasses import replace

    from hybrid.train.nnet import tasks
    from hybrid.train.nnet.chain import chain_task
    from hybrid.train.nnet.checkpoint import network_arrays
    from hybrid.train.nnet.full_sum_training import full_sum_task

    factor = settings.subsampling_factor
    if options["objective"] == "xent":
        task = tasks.cross_entropy_task(options["model"], options["ali"], options["smoothing"], factor)
    elif options["objective"] in LATTICES:
        task = _lattice_task(options, settings)
    elif options["objective"] == "full-sum":
        task = full_sum_task(options["tree"], options["sup"], settings.full_sum, factor, settings.config.batches.whole)
    else:
        whole = settings.config.batches.whole
        task = chain_task(options["tree"], options["den"], options["sup"], settings.chain, factor, whole)
    if options["init"] is None:
        return task
    return replace(
        task, start=network_arrays(tasks.network_of(options["init"])), inputs={**task.inputs, "init": options["init"]}
    )


def _lattice_task(options: dict[str, Any], settings: Settings) -> Task:
    from hybrid.model.folder import load_model
    from hybrid.nnet.losses import DiscriminativeConfig
    from hybrid.train.nnet.discriminative import discriminative_task
    from lexicon.lang_dir import LangDir

    if not settings.config.batches.whole:
        raise click.UsageError(f"--objective {options['objective']} trains on whole utterances: give --chunk-frames 0")
    scale = load_model(options["model"]).acoustic_model.acoustic_scale
    config = DiscriminativeConfig(options["objective"], scale, options["boost"])
    silence = () if options["lang"] is None else LangDir.load(options["lang"]).silence_phones
    return discriminative_task(
        options["model"], options["lattices"], options["ali"], config, options["graph_scale"], silence
    )
