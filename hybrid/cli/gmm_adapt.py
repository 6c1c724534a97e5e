"""`hybrid gmm adapt-map`, `adapt-mllr`: a model moved to new speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hybrid.cli.options import JOBS, MODEL, config_options, make_config, writes_folder
from hybrid.gmm.adapt_config import MapConfig, MllrConfig

__all__ = ["COMMANDS"]

FILE = click.Path(path_type=Path)


def _common(function: Callable) -> Callable:
    for option in (
        click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it."),
        click.option("--out-dir", type=FILE, required=True, help="Folder of the adapted model."),
        click.option("--ali", type=FILE, required=True, help="Alignments of the new speech (hybrid gmm align)."),
        click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder to adapt."),
        click.option("--feats", type=FILE, required=True, help="Features of the new speech (hybrid feats extract)."),
    ):
        function = option(function)
    return function


@click.command("adapt-map")
@_common
@config_options(MapConfig)
@writes_folder("gmm", "feats", "model_dir", "ali")
def adapt_map(feats: Path, model_dir: Path, ali: Path, out_dir: Path, jobs: int, **options: Any) -> None:
    """Adapt each Gaussian as far as new speech justifies (MAP); graphs of the model stay valid.

    Example: hybrid gmm adapt-map --model exp/tri1 --feats exp/feats/mine --ali exp/tri1_ali_mine
    --out-dir exp/tri1_mine
    """
    from hybrid.base.jobs import pool
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.gmm.adapt_model import adapt_map as adapt
    from hybrid.train.gmm.ladder import load_alignments

    model, store, config = load_model(model_dir), FeatureStore.open(feats), make_config(MapConfig, options)
    with pool(jobs) as executor:
        adapt(model, load_alignments(ali, model), store, out_dir, config, executor)


@click.command("adapt-mllr")
@_common
@click.option("--lang", type=FILE, required=True, help="Lang folder: which phones are silence.")
@config_options(MllrConfig)
@writes_folder("gmm", "feats", "model_dir", "ali", "lang")
def adapt_mllr(feats: Path, model_dir: Path, ali: Path, lang: Path, out_dir: Path, jobs: int, **options: Any) -> None:
    """Adapt the means by a few affine transforms (MLLR), for little speech; graphs of the model stay valid.

    Example: hybrid gmm adapt-mllr --model exp/tri1 --feats exp/feats/mine --ali exp/tri1_ali_mine --lang data/lang
    --out-dir exp/tri1_mine
    """
    from hybrid.base.jobs import pool
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.gmm.adapt_model import adapt_mllr as adapt
    from hybrid.train.gmm.ladder import load_alignments
    from lexicon.lang_dir import LangDir

    model, store, config = load_model(model_dir), FeatureStore.open(feats), make_config(MllrConfig, options)
    with pool(jobs) as executor:
        adapt(model, load_alignments(ali, model), store, LangDir.load(lang), out_dir, config, executor)


COMMANDS = (adapt_map, adapt_mllr)
