"""`hybrid feats`: features and CMVN statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.base.errors import quote
from hybrid.cli.echo import echo
from hybrid.cli.options import (
    CHANNEL,
    JOBS,
    MODEL,
    PORTION,
    Real,
    Whole,
    make_trust,
    trust_options,
    writes_file,
    writes_folder,
)

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Extract features, look at them, write them as Kaldi archives."""


@command.command()
@click.option("--cuts", type=FILE, required=True, help="Manifest, or a folder that holds cuts.jsonl.gz.")
@click.option("--config", "config_file", type=FILE, help="YAML of feature settings; what it leaves out has defaults.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting, e.g. high_freq=5500.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the features; a killed run goes on in it.")
@click.option("--jobs", type=JOBS, default=1, help="Processes.")
@click.option("--resample/--no-resample", default=False, help="Resample audio of another rate (else it fails).")
@click.option("--max-failed", type=PORTION, default=0.1, help="Fraction of utterances that may fail.")
@writes_folder("features", "cuts")
@trust_options
def extract(
    cuts: Path, config_file: Path | None, changes: tuple[str, ...], out_dir: Path, jobs: int, resample: bool,
    max_failed: float, **options: Any,
) -> None:  # fmt: skip
    """Extract MFCC or filter-bank features of a set.

    Example: hybrid feats extract --cuts data/train --config conf/mfcc.yaml --out-dir exp/feats/train --jobs 2
    """
    from hybrid.base.config import config_to_dict
    from hybrid.base.log import get_logger, log_settings
    from hybrid.feats.build import ExtractConfig, extract_features

    config = _settings(config_file, changes)
    log_settings(get_logger("hybrid.feats"), "features", config_to_dict(config))
    extract_features(cuts, out_dir, config, ExtractConfig(resample, max_failed, make_trust(options)), jobs)


def _settings(config_file: Path | None, changes: tuple[str, ...]) -> Any:
    """Returns the FeatureConfig of a file and of NAME=VALUE changes."""
    from hybrid.base.config import config_from_dict, read_yaml
    from hybrid.base.errors import InputError
    from hybrid.base.reading import parse_yaml
    from hybrid.feats.config import FeatureConfig

    values = read_yaml(config_file) if config_file else {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise InputError.at("--set", f"'{quote(change)}' is not NAME=VALUE")
        values[name.strip().replace("-", "_")] = parse_yaml(value, f"--set {quote(name)}")
    return config_from_dict(FeatureConfig, values, config_file or "--set")


@command.command("from-kaldi")
@click.argument("folder", type=FILE)
@click.option("--config", "config_file", type=FILE, help="YAML of the settings they were made with, if they are MFCC "
              "or filter banks: models trained on them then take audio, too.")  # fmt: skip
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="One such setting, e.g. high_freq=5500.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the features.")
@click.option("--max-failed", type=PORTION, default=0.1, help="Fraction of utterances that may fail.")
@click.option("--allow-commands", is_flag=True, help="Run the shell commands in feats.scp and cmvn.scp.")
@writes_folder("features", "folder")
def from_kaldi(
    folder: Path, config_file: Path | None, changes: tuple[str, ...], out_dir: Path, max_failed: float,
    allow_commands: bool,
) -> None:  # fmt: skip
    """Take features from a data folder of Kaldi's: feats.scp, and utt2spk, text and cmvn.scp where they are.

    Example: hybrid feats from-kaldi kaldi/data/train --out-dir exp/feats/train
    """
    from hybrid.feats.from_kaldi import features_from_kaldi

    config = _settings(config_file, changes) if config_file or changes else None
    store = features_from_kaldi(folder, out_dir, config, allow_commands, max_failed)
    echo(f"{len(store)} utterances of dimension {store.config.dim} in {out_dir}")


@command.command()
@click.argument("store", type=FILE)
@click.option("--speakers", is_flag=True, help="One line per speaker.")
def info(store: Path, speakers: bool) -> None:
    """Say what a folder of features holds.

    Example: hybrid feats info exp/feats/train --speakers
    """
    from hybrid.feats.store import FeatureStore

    feats = FeatureStore.open(store)
    frames = sum(feats.num_frames(u) for u in feats.ids)
    seconds = sum(feats.duration(u) for u in feats.ids)
    echo(f"kind {feats.config.kind}\ndimension {feats.config.dim}\nsampling_rate {feats.config.sampling_rate}")
    echo(f"utterances {len(feats)}\nspeakers {len(feats.speakers())}\nframes {frames}\nseconds {seconds:.2f}")
    if speakers:
        for speaker in feats.speakers():
            mine = feats.utterances_of(speaker)
            total = sum(feats.duration(u) for u in mine)
            mean = " ".join(f"{value:.2f}" for value in feats.stats(speaker).mean)
            echo(f"speaker {speaker} utterances {len(mine)} seconds {total:.1f} mean {mean}")


@command.command()
@click.argument("store", type=FILE)
@click.option("--out", type=FILE, required=True, help="Archive to write; compressed where it ends in .gz.")
@click.option("--scp", type=FILE, help="Also write an index there.")
@click.option("--text/--binary", default=False, help="Form of the archive.")
@click.option(
    "--cmvn", type=click.Choice(["none", "speaker", "utterance", "sliding"]), default="none", help="Normalise."
)
@click.option("--deltas", type=click.IntRange(0, 4), default=0, help="Append slopes up to this order.")
@click.option("--splice", type=(Whole(0, 1000), Whole(0, 1000)), default=(0, 0), help="Frames put in before and after.")
@click.option("--model", type=MODEL, help="Apply this model's pipeline instead.")
@writes_file("archive", "store", "model")
@writes_file("scp", "store", "out", argument="scp")
def copy(
    store: Path, out: Path, scp: Path | None, text: bool, cmvn: str, deltas: int, splice: tuple[int, int],
    model: Path | None,
) -> None:  # fmt: skip
    """Write features as a Kaldi archive, static ones or as a model sees them.

    Example: hybrid feats copy exp/feats/dev --cmvn speaker --deltas 2 --out dev.ark --scp dev.scp
    """
    from hybrid.base.log import track
    from hybrid.feats.cmvn import CmvnConfig
    from hybrid.feats.pipeline import FeaturePipeline
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import write_matrices

    feats = FeatureStore.open(store)
    if model is not None:
        from hybrid.model.folder import load_model

        pipeline = load_model(model).pipeline
    else:
        config = CmvnConfig(kind=cmvn)  # type: ignore[arg-type]
        pipeline = FeaturePipeline(
            feats.config, config, delta_order=deltas, splice_left=splice[0], splice_right=splice[1]
        )
    items = ((utterance, pipeline.features(feats, utterance)) for utterance in track(feats.ids, "features"))
    count = write_matrices(out, items, text, scp)
    echo(f"{count} utterances of dimension {pipeline.dim} written to {out}")


@command.command()
@click.argument("store", type=FILE)
@click.option("--out", type=FILE, required=True, help="Archive of one [2][dimension + 1] matrix per speaker.")
@click.option("--text/--binary", default=False, help="Form of the archive.")
@writes_file("archive", "store")
def cmvn(store: Path, out: Path, text: bool) -> None:
    """Write CMVN statistics per speaker as Kaldi's compute-cmvn-stats does.

    Example: hybrid feats cmvn exp/feats/train --out cmvn.ark
    """
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import write_matrices

    feats = FeatureStore.open(store)
    stats = ((speaker, feats.stats(speaker).to_matrix()) for speaker in feats.speakers())
    count = write_matrices(out, stats, text)
    echo(f"{count} speakers written to {out}")


@command.command()
@click.argument("audio", type=FILE, nargs=-1, required=True)
@click.option("--channel", type=CHANNEL, default=-1, help="From 0; -1: the mean of all.")
@click.option("--max-length", type=Real(1), default=30.0, help="Seconds; longer segments are cut.")
@click.option("--min-pause", type=Real(0), default=0.5, help="Seconds of silence that separate segments.")
def vad(audio: tuple[Path, ...], channel: int, max_length: float, min_pause: float) -> None:
    """Print where recordings hold speech: file, start and end in seconds.

    Example: hybrid feats vad meeting.wav --max-length 20
    """
    from hybrid.base.errors import HybridError, InputError
    from hybrid.base.log import get_logger
    from hybrid.feats.vad import VadConfig, segment_file

    try:
        config = VadConfig(max_length=max_length, min_pause=min_pause)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    failed = 0
    for path in audio:
        try:
            for segment in segment_file(path, config, channel):
                echo(f"{path}\t{segment.start:.2f}\t{segment.end:.2f}")
        except InputError as error:
            get_logger("hybrid.feats").error("%s", error)
            failed += 1
    if failed == len(audio):
        raise HybridError(f"none of {failed} file(s) could be read.")
