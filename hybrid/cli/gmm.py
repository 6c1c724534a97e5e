"""`hybrid gmm`: train GMM-HMM models, align with them, look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.align.config import AlignConfig
from hybrid.cli.options import config_options, make_config
from hybrid.gmm.config import MixConfig, UpdateConfig
from hybrid.train.config import EmConfig

FILE = click.Path(path_type=Path)
feats_option = click.option("--feats", type=FILE, required=True, help="Folder of features (hybrid feats extract).")
lang_option = click.option("--lang", type=FILE, required=True, help="Lang folder (hybrid lang prepare).")
model_option = click.option("--model", "model_dir", type=FILE, required=True, help="Model folder.")
jobs_option = click.option("--jobs", type=click.IntRange(1), default=1, help="Processes; no result depends on it.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train GMM-HMM models, align with them, look at them."""


@command.command("train-mono")
@feats_option
@lang_option
@click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it.")
@jobs_option
@click.option("--subset-shortest", type=click.IntRange(1), help="Train on this many of the shortest utterances only.")
@click.option(
    "--cmvn", type=click.Choice(["speaker", "utterance", "sliding", "none"]), default="speaker", help="Whose means."
)
@click.option("--norm-vars/--no-norm-vars", default=False, help="Normalise variances too.")
@click.option("--delta-order", type=click.IntRange(0, 3), default=2, help="2: deltas and delta-deltas.")
@config_options(EmConfig)
@config_options(AlignConfig)
@config_options(UpdateConfig)
@config_options(MixConfig)
def train_mono(
    feats: Path,
    lang: Path,
    out_dir: Path,
    jobs: int,
    subset_shortest: int | None,
    cmvn: Any,
    norm_vars: bool,
    delta_order: int,
    **options: Any,
) -> None:
    """Train a monophone model from a flat start.

    Example: hybrid gmm train-mono --feats exp/feats/train --lang data/lang --out-dir exp/mono --boost-silence 1.25
    """
    from hybrid.base.jobs import pool
    from hybrid.feats.cmvn import CmvnConfig
    from hybrid.feats.store import FeatureStore
    from hybrid.train import mono
    from lexicon.lang_dir import LangDir

    config = mono.MonoConfig(
        em=make_config(EmConfig, options),
        align=make_config(AlignConfig, options),
        update=make_config(UpdateConfig, options),
        mix=make_config(MixConfig, options),
        cmvn=CmvnConfig(kind=cmvn, norm_vars=norm_vars),
        delta_order=delta_order,
    )
    store = FeatureStore.open(feats)
    if subset_shortest is not None:
        store = store.shortest(subset_shortest)
    with pool(jobs) as executor:
        mono.train_mono(store, LangDir.load(lang), out_dir, config, executor)


@command.command()
@model_option
@feats_option
@lang_option
@click.option("--out-dir", type=FILE, required=True, help="Gets ali.gz, failed.txt and what --ctm asks for.")
@jobs_option
@click.option("--ctm", is_flag=True, help="Also write words.ctm and phones.ctm.")
@click.option("--boost-silence", type=float, default=1.0, help="Factor on the likelihood of silence.")
@click.option("--max-failed", type=float, default=0.5, help="Share of utterances that may fail.")
@config_options(AlignConfig)
def align(
    model_dir: Path,
    feats: Path,
    lang: Path,
    out_dir: Path,
    jobs: int,
    ctm: bool,
    boost_silence: float,
    max_failed: float,
    **options: Any,
) -> None:
    """Align a set with its transcripts.

    Example: hybrid gmm align --model exp/mono --feats exp/feats/train --lang data/lang --out-dir exp/mono_ali --ctm
    """
    from hybrid.base.jobs import pool
    from hybrid.feats.store import FeatureStore
    from hybrid.model_dir import load_model
    from hybrid.train.align_set import AlignSetConfig, align_set
    from lexicon.lang_dir import LangDir

    config = AlignSetConfig(make_config(AlignConfig, options), boost_silence, max_failed, ctm)
    with pool(jobs) as executor:
        align_set(load_model(model_dir), FeatureStore.open(feats), LangDir.load(lang), out_dir, config, executor)


@command.command()
@click.argument("model_dir", type=FILE)
@click.option("--pdfs", is_flag=True, help="One line per pdf: its phones and its Gaussians.")
def info(model_dir: Path, pdfs: bool) -> None:
    """Say what a model folder holds.

    Example: hybrid gmm info exp/mono
    """
    from hybrid.gmm.describe import describe_model, describe_pdfs
    from hybrid.model_dir import load_model

    model = load_model(model_dir)
    for name, value in describe_model(model.transition_model, model.acoustic_model).items():
        click.echo(f"{name} {value}")
    click.echo(f"frame_shift {model.frame_shift:g}")
    if pdfs:
        for line in describe_pdfs(model.transition_model, model.acoustic_model, model.phones):
            click.echo(line)


@command.command()
@model_option
@feats_option
@click.option("--out", type=FILE, required=True, help="Kaldi archive NAME.ark, or a folder of .npy files.")
@click.option("--text", is_flag=True, help="Archive in text form.")
def scores(model_dir: Path, feats: Path, out: Path, text: bool) -> None:
    """Write log-likelihoods of every pdf, which `hybrid decode --scores` and Kaldi's decoders read.

    Example: hybrid gmm scores --model exp/mono --feats exp/feats/test --out exp/mono/scores/test.ark
    """
    from hybrid.base.log import get_logger, log_totals
    from hybrid.feats.store import FeatureStore
    from hybrid.model_dir import load_model
    from hybrid.train.scores import write_scores

    done, failed = write_scores(load_model(model_dir), FeatureStore.open(feats), out, text)
    log_totals(get_logger("hybrid.gmm"), done, failed)


@command.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--tree", type=FILE, help="Kaldi's tree (from Kaldi; default: tree beside the model).")
@click.option("--phones", type=FILE, help="phones.txt (from Kaldi; default: phones.txt beside the model).")
@click.option("--feats", type=FILE, help="Features whose settings the model folder shall state (from Kaldi).")
@click.option("--delta-order", type=click.IntRange(0, 3), default=2, help="Deltas that the model was trained on.")
def copy(
    source: Path, target: Path, tree: Path | None, phones: Path | None, feats: Path | None, delta_order: int
) -> None:
    """Turn a model folder into Kaldi's text model (TARGET ends in .mdl), or a Kaldi text model into a model folder.

    Kaldi's binary models become text with `gmm-copy --binary=false`.

    Example: hybrid gmm copy exp/mono exp/mono/final.mdl
    """
    from hybrid.train.kaldi_model import from_kaldi, to_kaldi

    if target.suffix == ".mdl":
        to_kaldi(source, target)
    else:
        from_kaldi(source, target, tree, phones, feats, delta_order)
