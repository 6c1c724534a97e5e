"""`hybrid report`: a decoding, or two side by side, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import config_options, make_config, make_trust, trust_options, writes_file
from hybrid.report.config import ReportConfig

if TYPE_CHECKING:
    from hybrid.data.manifest import Cut
    from hybrid.report.collect import SystemResult

FILE = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True})
@click.argument("decoded", type=FILE)
@click.option("--ref", type=FILE, required=True, help="Cuts (or their folder): texts, speakers, times, audio; or "
              "`utt word word …` lines, without sound.")  # fmt: skip
@click.option("--utt2spk", type=FILE, help="Speakers, where --ref is text that does not tell them.")
@click.option("--out", type=FILE, required=True, help="The page.")
@click.option("--against", type=FILE, help="A second decoding of the same set, shown beside it and tested against it.")
@click.option("--words", type=FILE, help="words.txt; by default that of the graph, where it still lies.")
@click.option("--against-words", type=FILE, help="The same of the second decoding.")
@click.option("--calibration", type=FILE, help="Of `hybrid confidence train`, for the first decoding.")
@click.option("--against-calibration", type=FILE, help="The same for the second.")
@click.option("--silent", multiple=True, help="Word of the lattices that stands for silence, and in no transcript.")
@click.option("--title", help="Of the page; by default the folder's name.")
@config_options(ReportConfig)
@trust_options
@writes_file("report", "decoded", "ref", "against")
def command(
    decoded: Path, ref: Path, utt2spk: Path | None, out: Path, against: Path | None, words: Path | None,
    against_words: Path | None, calibration: Path | None, against_calibration: Path | None, silent: tuple[str, ...],
    title: str | None,
    **options: Any,
) -> None:  # fmt: skip
    """Write a page of the folder DECODED: error rates, aligned errors, confidences, single utterances with their sound.

    The page is one file that needs no network; its address may hold a filter and an utterance (#text=the&u=ID).

    \b
    hybrid report exp/tri3b/decode_dev --ref data/dev --out dev.html --against exp/chain/decode_dev
    """
    from hybrid.base.artifact import atomic_path, write_meta
    from hybrid.confidence.calibration import Calibration
    from hybrid.report.collect import read_system
    from hybrid.report.page import render
    from hybrid.score.significance import BootstrapConfig
    from hybrid.score.transcripts import read_transcripts

    trust, config = make_trust(options), make_config(ReportConfig, options)
    reference = read_transcripts(ref, utt2spk)
    cuts = _cuts(ref, trust)
    systems = []
    for folder, table, file in ((decoded, words, calibration), (against, against_words, against_calibration)):
        if folder is not None:
            known = None if file is None else Calibration.load(file)
            systems.append(read_system(folder, reference, config, cuts, table, known, silent))
    sounds = _sounds(systems, cuts, config.sounds)
    resampling = BootstrapConfig(replications=config.replications)
    page = render(title or f"{decoded}", systems, reference.speakers, sounds, resampling)
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_meta(out, "report", {"decoded": str(decoded), "ref": str(ref), "against": str(against)})
    echo(f"{out}: {len(systems[0].pairs)} utterances, {len(sounds)} with sound, {len(page) / 1e6:.1f} MB")


def _cuts(ref: Path, trust: Any) -> dict[str, Cut]:
    """The cuts of a manifest; none where the reference is text."""
    from hybrid.data.manifest import read_cuts

    if not (ref.is_dir() or ref.name.removesuffix(".gz").endswith(".jsonl")):
        return {}
    return {cut.id: cut for cut in read_cuts(ref, trust) if not cut.fault}


def _sounds(systems: list[SystemResult], cuts: dict[str, Cut], count: int) -> dict[str, tuple[str, str, float]]:
    """Sound and picture of the utterances with the most errors; what cannot be read is told and left out."""
    from hybrid.base.errors import HybridError, quote
    from hybrid.base.log import get_logger
    from hybrid.data.manifest import load_samples
    from hybrid.report.spectrogram import flac_uri, png_uri

    errors = systems[0].score.words
    worst = sorted(zip((-errors.errors).tolist(), errors.ids))
    found: dict[str, tuple[str, str, float]] = {}
    for _, utterance in worst:
        if len(found) == count:
            break
        if utterance not in cuts:
            continue
        try:
            samples, rate = load_samples(cuts[utterance])
        except HybridError as error:
            get_logger(__name__).warning("%s: no sound (%s)", quote(utterance), error)
            continue
        found[utterance] = flac_uri(samples, rate), png_uri(samples, rate), len(samples) / rate
    return found
