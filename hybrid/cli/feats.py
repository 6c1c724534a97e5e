"""`hybrid feats`: features and CMVN statistics."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Extract features, look at them, write them as Kaldi archives."""


@command.command()
@click.option("--cuts", type=FILE, required=True, help="Manifest, or a folder that holds cuts.jsonl.gz.")
@click.option("--config", "config_file", type=FILE, help="YAML of feature settings; what it leaves out has defaults.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting, e.g. high_freq=5500.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the features; a killed run goes on in it.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Processes.")
@click.option("--resample/--no-resample", default=False, help="Resample audio of another rate (else it fails).")
@click.option("--max-failed", type=float, default=0.1, help="Fraction of utterances that may fail.")
def extract(
    cuts: Path, config_file: Path | None, changes: tuple[str, ...], out_dir: Path, jobs: int, resample: bool,
    max_failed: float,
) -> None:  # fmt: skip
    """Extract MFCC or filter-bank features of a set.

    Example: hybrid feats extract --cuts data/train --config conf/mfcc.yaml --out-dir exp/feats/train --jobs 2
    """
    from hybrid.base.config import config_from_dict, config_to_dict, read_yaml
    from hybrid.base.errors import InputError
    from hybrid.base.log import get_logger, log_settings
    from hybrid.feats.build import ExtractConfig, extract_features
    from hybrid.feats.config import FeatureConfig

    values = read_yaml(config_file) if config_file else {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise InputError.at("--set", f"'{change}' is not NAME=VALUE")
        values[name.strip().replace("-", "_")] = _plain(value)
    config = config_from_dict(FeatureConfig, values, config_file or "--set")
    log_settings(get_logger("hybrid.feats"), "features", config_to_dict(config))
    extract_features(cuts, out_dir, config, ExtractConfig(resample, max_failed), jobs)


def _plain(value: str) -> object:
    import yaml

    from hybrid.base.errors import InputError

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError.at("--set", f"'{value}' is no plain value") from error


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
    click.echo(f"kind {feats.config.kind}\ndimension {feats.config.dim}\nsampling_rate {feats.config.sampling_rate}")
    click.echo(f"utterances {len(feats)}\nspeakers {len(feats.speakers())}\nframes {frames}\nseconds {seconds:.2f}")
    if speakers:
        for speaker in feats.speakers():
            mine = feats.utterances_of(speaker)
            total = sum(feats.duration(u) for u in mine)
            mean = " ".join(f"{value:.2f}" for value in feats.stats(speaker).mean)
            click.echo(f"speaker {speaker} utterances {len(mine)} seconds {total:.1f} mean {mean}")
