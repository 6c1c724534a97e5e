"""`hybrid nnet`: neural models, and what lattice-free MMI is trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.nnets.chain import COMMANDS as CHAIN
from hybrid.cli.nnets.scores import scores
from hybrid.cli.nnets.train import train
from hybrid.cli.options import MODEL, Whole, writes_file, writes_folder

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train and inspect neural models; trees, denominators and supervision of LF-MMI."""


for _command in (*CHAIN, scores, train):
    command.add_command(_command)


@command.command()
@click.argument("model_dir", type=MODEL)
def info(model_dir: Path) -> None:
    """Say what a network's folder holds and how its training went.

    Example: hybrid nnet info exp/chain
    """
    from hybrid.train.nnet.describe import describe

    for name, value in describe(model_dir).items():
        echo(f"{name} {value}")


def _source(model_dir: Path, feats: Path | None, transforms: Path | None) -> Any:
    """Features as a model takes them."""
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.nnet.sources import StoreSource
    from hybrid.train.nnet.tasks import speaker_transforms

    if feats is None:
        return None
    model = load_model(model_dir)
    found = {} if transforms is None else speaker_transforms(transforms, model.pipeline.dim)
    return StoreSource(FeatureStore.open(feats), model.pipeline, found)


@command.command()
@click.argument("model_dir", type=MODEL)
@click.option("--count", type=Whole(1, 1000), default=5, help="How many of the models that the training kept.")
@click.option("--of", type=click.Choice(["last", "best"]), default="last", help="Which: best on the held-out data.")
@click.option("--feats", type=FILE, help="Training features, to measure batch statistics and the prior anew.")
@click.option("--transforms", type=FILE, help="Transforms of their speakers, where the model takes them.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the averaged model.")
@writes_folder("nnet", "model_dir", "feats")
def average(model_dir: Path, count: int, of: str, feats: Path | None, transforms: Path | None, out_dir: Path) -> None:
    """Average the last or best models of a training.

    Example: hybrid nnet average exp/chain --count 5 --of best --feats exp/hires/train --out-dir exp/chain_avg
    """
    import torch

    from hybrid.base.doors import output_folder
    from hybrid.train.nnet.finish import average_model

    source = _source(model_dir, feats, transforms)
    with output_folder(out_dir, "nnet", [model_dir, *([feats] if feats else [])]):
        numbers = average_model(model_dir, out_dir, count, of == "best", source, torch.device("cpu"))
    echo(f"{out_dir}: average of models {' '.join(map(str, numbers))}")


@command.command()
@click.argument("model_dir", type=MODEL)
@click.option("--feats", type=FILE, required=True, help="Features to measure on.")
@click.option("--transforms", type=FILE, help="Transforms of their speakers, where the model takes them.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the model with the new prior.")
@writes_folder("nnet", "model_dir", "feats")
def priors(model_dir: Path, feats: Path, transforms: Path | None, out_dir: Path) -> None:
    """Measure the prior of a network trained by cross-entropy anew, as its average posterior.

    Example: hybrid nnet priors exp/xent --feats exp/feats/train --out-dir exp/xent_prior
    """
    import torch

    from hybrid.base.doors import output_folder
    from hybrid.train.nnet.finish import renew_prior

    source = _source(model_dir, feats, transforms)
    with output_folder(out_dir, "nnet", [model_dir, feats]):
        renew_prior(model_dir, out_dir, source, torch.device("cpu"))
    echo(f"{out_dir}: prior of {feats}")


@command.command()
@click.argument("model_dir", type=MODEL)
@click.option(
    "--to", type=click.Choice(["float32", "bfloat16", "int8"]), required=True, help="Numbers that it computes with."
)
@click.option("--out-dir", type=FILE, required=True, help="Folder of the model that computes so.")
@writes_folder("nnet", "model_dir")
def precision(model_dir: Path, to: str, out_dir: Path) -> None:
    """Write a network whose scores are computed in fewer bits on a CPU; its weights stay as they are.

    Example: hybrid nnet precision exp/chain --to int8 --out-dir exp/chain_int8
    """
    from dataclasses import replace

    from hybrid.base.artifact import read_meta
    from hybrid.base.doors import output_folder
    from hybrid.model.folder import load_model, save_model
    from hybrid.train.nnet.tasks import acoustic_of

    acoustic = replace(acoustic_of(model_dir), precision=to)
    with output_folder(out_dir, "nnet", [model_dir]):
        model = replace(load_model(model_dir), acoustic_model=acoustic)
        save_model(out_dir, model, read_meta(model_dir).get("settings"), {"model": model_dir})
    echo(f"{out_dir}: scores in {to}")


@command.command("export-onnx")
@click.argument("model_dir", type=MODEL)
@click.option("--out", type=FILE, required=True, help="ONNX file: features and lengths in, scores and frames out.")
@writes_file("onnx", "model_dir")
def export_onnx(model_dir: Path, out: Path) -> None:
    """Write a network as an ONNX file that gives the same scores as `hybrid decode` uses.

    Example: hybrid nnet export-onnx exp/chain --out chain.onnx
    """
    from hybrid.base.artifact import write_meta
    from hybrid.nnet.export import export_onnx as export
    from hybrid.train.nnet.tasks import acoustic_of

    export(acoustic_of(model_dir), out)
    write_meta(out, "onnx", inputs={"model": model_dir})
    echo(f"{out}: float32 features [N][T][D] and int64 lengths [N] in; scores [N][T'][P] and frames [N] out")
