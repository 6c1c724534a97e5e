"""`hybrid gmm train-deltas`, `train-lda-mllt`, `train-sat`: the stages above the monophone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.align.config import AlignConfig
from hybrid.cli.decoding.adapted import decode_fmllr
from hybrid.cli.echo import echo
from hybrid.cli.options import (
    JOBS,
    MODEL,
    PORTION,
    SCALE,
    config_options,
    make_config,
    make_nested,
    nested_options,
    writes_file,
    writes_folder,
)
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.train.gmm.ladder_config import LdaMlltConfig, SatTrainingConfig, TriConfig

if TYPE_CHECKING:
    import numpy as np

    from hybrid.model.folder import Model
    from hybrid.train.gmm.ladder import Start

__all__ = ["COMMANDS", "start_of", "transforms_beside"]

FILE = click.Path(path_type=Path)


def _common(function: Callable) -> Callable:
    """Adds the options that every stage has."""
    for option in (
        click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it."),
        click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it."),
        click.option("--ali", type=FILE, required=True, help="Folder of its alignments of the set (hybrid gmm align)."),
        click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder of the stage below."),
        click.option("--lang", type=FILE, required=True, help="Lang folder (hybrid lang prepare)."),
        click.option("--feats", type=FILE, required=True, help="Folder of features (hybrid feats extract)."),
    ):
        function = option(function)
    return function


def start_of(feats: Path, lang: Path, model_dir: Path, ali: Path) -> Start:
    """Loads what a training starts from: the model below, its alignments, features and lang folder."""
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.gmm.ladder import Start, load_feature_alignments
    from lexicon.lang_dir import LangDir

    model = load_model(model_dir)
    return Start(model, load_feature_alignments(ali, model), FeatureStore.open(feats), LangDir.load(lang))


def transforms_beside(ali: Path, model: Model) -> dict[str, np.ndarray] | None:
    """Loads the speakers' transforms that alignments were made with; None where they were made without."""
    from hybrid.gmm.speaker_transforms import load_transforms

    saved = ali / "transforms.safetensors"
    return load_transforms(saved, model.pipeline.dim, model.hashes.get("tree")) if saved.exists() else None


@click.command("train-deltas")
@_common
@click.option("--delta-order", type=click.IntRange(0, 3), default=2, help="2: deltas and delta-deltas.")
@nested_options(TriConfig)
@writes_folder("gmm", "feats", "lang", "model_dir", "ali")
def train_deltas(
    feats: Path, lang: Path, model_dir: Path, ali: Path, out_dir: Path, jobs: int, delta_order: int, **options: Any
) -> None:
    """Train triphones on features with deltas.

    Example: hybrid gmm train-deltas --feats exp/feats/train --lang data/lang --model exp/mono --ali exp/mono_ali
    --out-dir exp/tri1 --max-leaves 1500 --total-gaussians 8000 --boost-silence 1.25
    """
    from hybrid.base.jobs import pool
    from hybrid.train.gmm.tri import train_tri

    config = make_nested(TriConfig, options, delta_order=delta_order)
    with pool(jobs) as executor:
        train_tri(start_of(feats, lang, model_dir, ali), out_dir, config, executor)


@click.command("train-lda-mllt")
@_common
@nested_options(LdaMlltConfig)
@writes_folder("gmm", "feats", "lang", "model_dir", "ali")
def train_lda_mllt(
    feats: Path, lang: Path, model_dir: Path, ali: Path, out_dir: Path, jobs: int, **options: Any
) -> None:
    """Train triphones on spliced features, projected by LDA and rotated by MLLT.

    Example: hybrid gmm train-lda-mllt --feats exp/feats/train --lang data/lang --model exp/tri1 --ali exp/tri1_ali
    --out-dir exp/tri2b --max-leaves 2000 --total-gaussians 12000
    """
    from hybrid.base.jobs import pool
    from hybrid.train.gmm.lda_mllt import train_lda_mllt as train

    config = make_nested(LdaMlltConfig, options)
    with pool(jobs) as executor:
        train(start_of(feats, lang, model_dir, ali), out_dir, config, executor)


@click.command("train-sat")
@_common
@nested_options(SatTrainingConfig)
@writes_folder("gmm", "feats", "lang", "model_dir", "ali")
def train_sat(feats: Path, lang: Path, model_dir: Path, ali: Path, out_dir: Path, jobs: int, **options: Any) -> None:
    """Train on features adapted to each speaker by fMLLR.

    The features are those of the stage below; transforms of the training speakers are saved beside the model, and
    taken from --ali where that folder has some.

    Example: hybrid gmm train-sat --feats exp/feats/train --lang data/lang --model exp/tri2b --ali exp/tri2b_ali
    --out-dir exp/tri3b --max-leaves 2000 --total-gaussians 12000
    """
    from hybrid.base.jobs import pool
    from hybrid.train.gmm.sat import train_sat as train

    config = make_nested(SatTrainingConfig, options)
    start = start_of(feats, lang, model_dir, ali)
    with pool(jobs) as executor:
        train(start, out_dir, config, executor, transforms_beside(ali, start.model))


@click.command("align-fmllr")
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder, of a speaker-adaptive training.")
@click.option("--feats", type=FILE, required=True, help="Folder of features (hybrid feats extract).")
@click.option("--lang", type=FILE, required=True, help="Lang folder (hybrid lang prepare).")
@click.option("--out-dir", type=FILE, required=True, help="Gets ali.gz, transforms.safetensors and failed.txt.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@click.option("--boost-silence", type=SCALE, default=1.0, help="Factor on the likelihood of silence.")
@click.option("--silence-weight", type=PORTION, default=0.0, help="Weight of silence in fMLLR.")
@click.option("--max-failed", type=PORTION, default=0.5, help="Share of utterances that may fail.")
@config_options(FmllrConfig)
@config_options(AlignConfig)
@writes_folder("alignments", "feats", "lang", "model_dir")
def align_fmllr(
    model_dir: Path,
    feats: Path,
    lang: Path,
    out_dir: Path,
    jobs: int,
    boost_silence: float,
    silence_weight: float,
    max_failed: float,
    **options: Any,
) -> None:
    """Align a set with its transcripts and transforms of its speakers.

    Example: hybrid gmm align-fmllr --model exp/tri3b --feats exp/feats/train --lang data/lang --out-dir exp/tri3b_ali
    """
    from hybrid.adapt.align_adapted import AlignAdaptedConfig, align_adapted
    from hybrid.base.jobs import pool
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from lexicon.lang_dir import LangDir

    config = AlignAdaptedConfig(
        make_config(AlignConfig, options), make_config(FmllrConfig, options), boost_silence, silence_weight, max_failed
    )
    with pool(jobs) as executor:
        align_adapted(load_model(model_dir), FeatureStore.open(feats), LangDir.load(lang), out_dir, config, executor)


@click.command("tree")
@click.argument("model_dir", type=FILE)
@click.option("--svg", type=FILE, help="Draw the tree into this file instead.")
@click.option("--kaldi", type=FILE, help="Show this tree of Kaldi's (text or binary) with MODEL's names.")
@writes_file("svg", "model_dir", "kaldi", argument="svg")
def show_tree(model_dir: Path, svg: Path | None, kaldi: Path | None) -> None:
    """Print the context tree of a model as questions, or draw it.

    Example: hybrid gmm tree exp/tri1 --svg tree.svg
    """
    from hybrid.base.artifact import atomic_path
    from hybrid.tree import read_tree
    from hybrid.tree.draw import describe_tree, draw_svg
    from lexicon.symbols import SymbolTable

    tree = read_tree(kaldi or model_dir / "tree")
    table = SymbolTable.read(model_dir / "phones.txt")
    names = dict(zip(table.ids, table.symbols))
    if svg is None:
        echo(describe_tree(tree, names), nl=False)
        return
    with atomic_path(svg) as temporary:
        temporary.write_text(draw_svg(tree, names), encoding="utf-8")


COMMANDS = (show_tree, align_fmllr, train_deltas, train_lda_mllt, train_sat, decode_fmllr)
