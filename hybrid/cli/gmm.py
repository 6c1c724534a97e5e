"""`hybrid gmm`: train GMM-HMM models, align with them, look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.align.config import AlignConfig
from hybrid.cli.echo import echo
from hybrid.cli.gmm_adapt import COMMANDS as ADAPT
from hybrid.cli.gmm_kaldi import COMMANDS as KALDI
from hybrid.cli.gmm_ladder import COMMANDS as LADDER
from hybrid.cli.options import (
    JOBS,
    KALDI_TIMES,
    MODEL,
    PORTION,
    SCALE,
    Whole,
    config_options,
    make_config,
    writes_either,
    writes_file,
    writes_folder,
)
from hybrid.gmm.config import MixConfig, UpdateConfig
from hybrid.train.gmm.config import EmConfig

if TYPE_CHECKING:
    from hybrid.gmm.acoustic import GmmAcousticModel
    from hybrid.model.folder import Model

FILE = click.Path(path_type=Path)
feats_option = click.option("--feats", type=FILE, required=True, help="Folder of features (hybrid feats extract).")
lang_option = click.option("--lang", type=FILE, required=True, help="Lang folder (hybrid lang prepare).")
model_option = click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder.")
jobs_option = click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train GMM-HMM models, align with them, look at them."""


def _gmm_of(model: Model) -> GmmAcousticModel:
    """Returns the GMM of a model folder, or says that it holds something else."""
    from hybrid.base.errors import InputError
    from hybrid.gmm.acoustic import GmmAcousticModel

    if not isinstance(model.acoustic_model, GmmAcousticModel):
        raise InputError.at(model.path, "holds no GMM", "Name the folder of a GMM.")
    return model.acoustic_model


for _rung in (*LADDER, *ADAPT, *KALDI):
    command.add_command(_rung)


@command.command("train-mono")
@feats_option
@lang_option
@click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it.")
@jobs_option
@click.option("--subset-shortest", type=Whole(1), help="Train on this many of the shortest utterances only.")
@click.option(
    "--cmvn", type=click.Choice(["speaker", "utterance", "sliding", "none"]), default="speaker", help="Whose means."
)
@click.option("--norm-vars/--no-norm-vars", default=False, help="Normalise variances too.")
@click.option("--delta-order", type=click.IntRange(0, 3), default=2, help="2: deltas and delta-deltas.")
@config_options(EmConfig)
@config_options(AlignConfig)
@config_options(UpdateConfig)
@config_options(MixConfig)
@writes_folder("gmm", "feats", "lang")
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
    from hybrid.train.gmm import mono
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
@KALDI_TIMES
@click.option("--boost-silence", type=SCALE, default=1.0, help="Factor on the likelihood of silence.")
@click.option("--max-failed", type=PORTION, default=0.5, help="Share of utterances that may fail.")
@config_options(AlignConfig)
@writes_folder("alignments", "model_dir", "feats", "lang")
def align(
    model_dir: Path,
    feats: Path,
    lang: Path,
    out_dir: Path,
    jobs: int,
    ctm: bool,
    kaldi_times: bool,
    boost_silence: float,
    max_failed: float,
    **options: Any,
) -> None:
    """Align a set with its transcripts.

    Example: hybrid gmm align --model exp/mono --feats exp/feats/train --lang data/lang --out-dir exp/mono_ali --ctm
    """
    from hybrid.aligner.align_set import AlignSetConfig, align_set
    from hybrid.base.jobs import pool
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from lexicon.lang_dir import LangDir

    config = AlignSetConfig(make_config(AlignConfig, options), boost_silence, max_failed, ctm, kaldi_times)
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
    from hybrid.model.folder import load_model

    model = load_model(model_dir)
    acoustic = _gmm_of(model)
    for name, value in describe_model(model.transition_model, acoustic).items():
        echo(f"{name} {value}")
    echo(f"frame_shift {model.frame_shift:g}")
    if pdfs:
        for line in describe_pdfs(model.transition_model, acoustic, model.phones):
            echo(line)


@command.command()
@model_option
@feats_option
@click.option("--out", type=FILE, required=True, help="Kaldi archive NAME.ark, or a folder of .npy files.")
@click.option("--text", is_flag=True, help="Archive in text form.")
@writes_either(
    lambda out: out.suffix in (".ark", ".gz"),
    writes_file("scores", "model_dir", "feats"),
    writes_folder("scores", "model_dir", "feats", argument="out"),
)
def scores(model_dir: Path, feats: Path, out: Path, text: bool) -> None:
    """Write log-likelihoods of every pdf, which `hybrid decode --scores` and Kaldi's decoders read.

    Example: hybrid gmm scores --model exp/mono --feats exp/feats/test --out exp/mono/scores/test.ark
    """
    from hybrid.aligner.score_set import write_scores
    from hybrid.base.log import get_logger, log_totals
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model

    done, failed = write_scores(load_model(model_dir), FeatureStore.open(feats), out, text)
    log_totals(get_logger("hybrid.gmm"), done, failed)


@command.command()
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--tree", type=FILE, help="Kaldi's tree (default: `tree` beside the model).")
@click.option("--phones", type=FILE, help="phones.txt (default: the one beside the model).")
@click.option("--feats", type=FILE, help="Features such as the model was trained on.")
@click.option("--delta-order", type=click.IntRange(0, 3), default=2, help="Deltas that the model was trained on.")
@writes_either(
    lambda target: target.suffix == ".mdl",
    writes_file("mdl", "source", argument="target"),
    writes_folder("gmm", "source", "feats", argument="target"),
    argument="target",
)
def copy(
    source: Path, target: Path, tree: Path | None, phones: Path | None, feats: Path | None, delta_order: int
) -> None:
    """Turn a model folder into Kaldi's text model (TARGET ends in .mdl), or Kaldi's text model into a model folder.

    A binary model of Kaldi's becomes text with its `gmm-copy --binary=false`. --feats is needed with Kaldi's model,
    which does not say what its features are.

    Example: hybrid gmm copy exp/mono exp/mono/final.mdl
    """
    from hybrid.base.doors import output_folder
    from hybrid.base.errors import InputError
    from hybrid.base.log import get_logger
    from hybrid.feats.pipeline import FeaturePipeline
    from hybrid.feats.store import FeatureStore
    from hybrid.gmm.acoustic import GmmAcousticModel
    from hybrid.gmm.kaldi_model import read_kaldi_model, write_kaldi_model
    from hybrid.model.folder import Model, load_model, save_model
    from hybrid.tree import read_tree

    if target.suffix == ".mdl":
        model = load_model(source)
        write_kaldi_model(target, model.transition_model, _gmm_of(model).gmm)
        if model.pipeline.transforms or model.speaker_independent is not None:
            get_logger(__name__).warning(
                "%s holds more than a .mdl does (a matrix of its features, or a speaker-independent model): "
                "`hybrid gmm to-kaldi` writes all of it",
                source,
            )
        return
    if feats is None:
        raise InputError.at("--feats", "is missing", "Name features with the settings that the model was trained on.")
    transition_model, gmm = read_kaldi_model(source, read_tree(tree or source.parent / "tree"))
    pipeline = FeaturePipeline.for_store(FeatureStore.open(feats), delta_order=delta_order)
    table = phones or source.parent / "phones.txt"
    model = Model(transition_model, GmmAcousticModel(gmm), pipeline, table)
    with output_folder(target, "gmm", [source, feats], "TARGET"):
        save_model(target, model, inputs={"kaldi model": source})
