"""`hybrid data`: corpora as lhotse manifests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_normaliser, text_options
from hybrid.cli.options import (
    CHANNEL,
    JOBS,
    PORTION,
    Real,
    Whole,
    config_options,
    make_config,
    make_trust,
    trust_options,
    writes_among,
    writes_folder,
)
from hybrid.data.perturb import PerturbConfig

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Make, check and download corpora."""


def _corpus_options(function: Callable) -> Callable:
    function = click.option("--out-dir", type=FILE, required=True, help="Gets one folder per set.")(function)
    return click.option("--corpus-dir", type=FILE, required=True, help="The corpus in its public layout.")(function)


@command.command()
@_corpus_options
@writes_among()
def yesno(corpus_dir: Path, out_dir: Path) -> None:
    """yesno: sets train and test, alternate files.

    Example: hybrid data yesno --corpus-dir download/waves_yesno --out-dir data
    """
    from hybrid.data.yesno import prepare

    prepare(corpus_dir, out_dir)


@command.command()
@_corpus_options
@writes_among()
def fsdd(corpus_dir: Path, out_dir: Path) -> None:
    """Free Spoken Digit Dataset: sets train (takes 5 and up) and test (takes 0-4).

    Example: hybrid data fsdd --corpus-dir download/fsdd --out-dir data
    """
    from hybrid.data.fsdd import prepare

    prepare(corpus_dir, out_dir)


@command.command()
@_corpus_options
@click.option("--part", "parts", multiple=True, help="Which parts (default: all that are there).")
@writes_among()
def librispeech(corpus_dir: Path, out_dir: Path, parts: tuple[str, ...]) -> None:
    """LibriSpeech: one set per part.

    Example: hybrid data librispeech --corpus-dir download/LibriSpeech --out-dir data --part dev-clean
    """
    from hybrid.data.librispeech import prepare

    prepare(corpus_dir, out_dir, parts)


@command.command()
@click.argument("corpus", type=click.Choice(["yesno", "fsdd", "librispeech"]))
@click.option(
    "--out-dir", type=FILE, required=True, help="Gets the archive and the corpus; a cut-off download goes on."
)
@click.option("--part", "parts", multiple=True, help="Of LibriSpeech, e.g. dev-clean; may be repeated.")
@click.option("--base-url", default="", help="A mirror's folder that holds the archive.", show_default=False)
@click.option(
    "--checksum", default="", help="md5:... or sha256:... wanted instead of the known one.", show_default=False
)
@writes_among()
def download(corpus: str, out_dir: Path, parts: tuple[str, ...], base_url: str, checksum: str) -> None:
    """Download a corpus; it is checked and unpacked, and a broken download goes on.

    Example: hybrid data download librispeech --part dev-clean --out-dir download
    """
    from hybrid.base.errors import InputError
    from hybrid.data.download import SOURCES, fetch_corpus

    if corpus == "librispeech" and not parts:
        raise InputError.at("--part", "LibriSpeech comes in parts", f"Choose from {', '.join(SOURCES[corpus])}.")
    folder = Path()
    for part in parts or ("",):
        folder = fetch_corpus(corpus, out_dir, part, base_url, checksum)
    echo(f"{corpus} is in {folder}; next: hybrid data {corpus} --corpus-dir {folder} --out-dir data")


@command.command("from-audio")
@click.argument("paths", type=FILE, nargs=-1, required=True)
@click.option("--out-dir", type=FILE, required=True, help="Gets the set, and converted audio where need be.")
@click.option("--text", type=FILE, help="'name text' lines; else .txt or .lab files beside the audio, if any.")
@click.option(
    "--rate", type=Whole(1000, 768_000), default=16000, help="Wanted sampling rate, Hz; other audio is resampled."
)
@click.option("--channel", type=CHANNEL, default=-1, help="Of files with several, from 0; -1: the mean of all.")
@click.option("--speakers", type=click.Choice(["folder", "prefix", "file", "one"]), default="folder",
              help="Who speaks: the file's folder, its name up to - or _, itself, or one for all.")  # fmt: skip
@click.option("--lang", type=FILE, help="Lang folder or words.txt whose spelling the words take, where it has them.")
@text_options
@click.option("--cut-at-pauses", type=Real(0), default=0.0, help="Cut audio without text at pauses, at most so many "
              "seconds long; 0: do not cut.")  # fmt: skip
@click.option("--jobs", type=JOBS, default=1, help="Processes.")
@writes_folder("data", "paths", "text", "lang")
def from_audio(
    paths: tuple[Path, ...], out_dir: Path, text: Path | None, rate: int, channel: int, speakers: str,
    lang: Path | None, cut_at_pauses: float, jobs: int, **options: Any,
) -> None:  # fmt: skip
    """Make a set of your own recordings: files or folders, any format, any rate.

    Example: hybrid data from-audio recordings/ --text recordings/text --out-dir data/mine
    """
    from hybrid.data.own import OwnConfig, prepare

    try:
        config = OwnConfig(rate, channel, speakers)  # type: ignore[arg-type]
        segmenter = _segmenter(cut_at_pauses) if cut_at_pauses else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    count = prepare(paths, out_dir, config, text, segmenter, jobs, make_normaliser(options, lang))
    echo(f"{count} utterances in {out_dir / 'cuts.jsonl.gz'}")


@command.command("from-kaldi")
@click.argument("folder", type=FILE)
@click.option("--out-dir", type=FILE, required=True, help="Gets the set, and the audio of commands.")
@click.option("--allow-commands", is_flag=True, help="Run the shell commands that wav.scp gives as audio.")
@writes_folder("data", "folder")
def from_kaldi(folder: Path, out_dir: Path, allow_commands: bool) -> None:
    """Make a set of a data folder of Kaldi's: wav.scp, segments, utt2spk, text.

    Example: hybrid data from-kaldi kaldi/data/train --out-dir data/train
    """
    from hybrid.data.kaldi_dir import from_kaldi as make
    from hybrid.data.trust import Trust

    count = make(folder, out_dir, Trust(commands=allow_commands))
    echo(f"{count} utterances in {out_dir / 'cuts.jsonl.gz'}")


@command.command("to-kaldi")
@click.option("--cuts", type=FILE, required=True, help="Set to write.")
@click.option("--out-dir", type=FILE, required=True, help="Gets wav.scp, segments, text, utt2spk, spk2utt, utt2dur.")
@writes_folder("kaldi-data", "cuts")
def to_kaldi(cuts: Path, out_dir: Path) -> None:
    """Write a set as a data folder of Kaldi's; features go there by `hybrid feats copy` and `hybrid feats cmvn`.

    Example: hybrid data to-kaldi --cuts data/train --out-dir kaldi/data/train
    """
    from hybrid.data.kaldi_dir import to_kaldi as write

    echo(f"{write(cuts, out_dir)} utterances in {out_dir}")


def _segmenter(longest: float):  # type: ignore[no-untyped-def]
    from hybrid.feats.vad import VadConfig, segment_file

    config = VadConfig(max_length=longest)
    return lambda path: [(segment.start, segment.duration) for segment in segment_file(path, config)]


@command.command()
@click.option("--cuts", type=FILE, required=True, help="Set to choose from.")
@click.option("--out-dir", type=FILE, required=True, help="Gets the chosen set.")
@click.option("--count", type=Whole(), default=0, help="Take at most so many; 0: all.")
@click.option("--order", type=click.Choice(["first", "shortest", "longest", "random"]), default="first",
              help="Which come first.")  # fmt: skip
@click.option("--seed", type=Whole(), default=0, help="Of order random.")
@click.option("--ids", type=FILE, help="File of utterance ids (first word of each line).")
@click.option("--speaker", "speakers", multiple=True, help="Only this speaker; may be repeated.")
@click.option("--not-speaker", "not_speakers", multiple=True, help="Without this speaker; may be repeated.")
@click.option("--max-duration", type=Real(0), default=0.0, help="Leave out longer ones, seconds; 0: keep.")
@writes_folder("data", "cuts", "ids")
@trust_options
def subset(
    cuts: Path, out_dir: Path, count: int, order: str, seed: int, ids: Path | None, speakers: tuple[str, ...],
    not_speakers: tuple[str, ...], max_duration: float, **options: Any,
) -> None:  # fmt: skip
    """Take some utterances of a set.

    Example: hybrid data subset --cuts data/train --count 300 --order shortest --out-dir data/train_300
    """
    from hybrid.data.sets import split_lines
    from hybrid.data.subset import SubsetConfig, subset_set

    wanted = {line.split()[0] for _, line in split_lines(ids)[0]} if ids else None
    config = SubsetConfig(count, order, seed, speakers, not_speakers, max_duration)
    chosen = subset_set(cuts, out_dir, config, wanted, make_trust(options))
    echo(f"{chosen} utterances in {out_dir / 'cuts.jsonl.gz'}")


@command.command("perturb-speed")
@click.option("--cuts", type=FILE, required=True, help="Set to vary.")
@click.option("--out-dir", type=FILE, required=True, help="Gets the set of all speeds.")
@config_options(PerturbConfig)
@writes_folder("data", "cuts")
@trust_options
def perturb_speed(cuts: Path, out_dir: Path, **options: Any) -> None:
    """Make a set with each utterance at several speeds; audio is changed when it is read.

    Example: hybrid data perturb-speed --cuts data/train --volume-low 0.125 --volume-high 2 --out-dir data/train_sp
    """
    from hybrid.data.perturb import perturb_set

    trust = make_trust(options)
    count = perturb_set(cuts, out_dir, make_config(PerturbConfig, options), trust)
    echo(f"{count} utterances in {out_dir / 'cuts.jsonl.gz'}")


@command.command()
@click.argument("sets", type=FILE, nargs=-1, required=True)
@click.option("--out-dir", type=FILE, required=True, help="Gets the one set of all.")
@writes_folder("data", "sets")
@trust_options
def combine(sets: tuple[Path, ...], out_dir: Path, **options: Any) -> None:
    """Put sets together.

    Example: hybrid data combine data/train-clean-100 data/mine --out-dir data/train
    """
    from hybrid.data.subset import combine_sets

    count = combine_sets(sets, out_dir, make_trust(options))
    echo(f"{count} utterances in {out_dir / 'cuts.jsonl.gz'}")


@command.command()
@click.option("--cuts", type=FILE, required=True, help="Set to check.")
@click.option("--words", type=FILE, help="words.txt, a lexicon or a word list: words outside it are counted.")
@click.option("--out-dir", type=FILE, help="Gets the repaired set, failed.txt, findings.tsv and oov.txt.")
@click.option("--rate", type=Whole(0, 768_000), default=0, help="Wanted sampling rate, Hz; 0 takes what comes.")
@click.option("--need-text/--no-need-text", default=True, help="Utterances without words fail.")
@click.option("--read-audio/--headers-only", default=True, help="Read every sample: only this finds a cut flac.")
@click.option("--max-overlap", type=Real(0), default=0.5, help="Seconds that two segments of a channel may share.")
@click.option("--max-failed", type=PORTION, default=0.1, help="Fraction of utterances that may fail.")
@click.option("--jobs", type=JOBS, default=1, help="Processes.")
@writes_folder("data", "cuts", "words")
@trust_options
def check(
    cuts: Path, words: Path | None, out_dir: Path | None, rate: int, need_text: bool, read_audio: bool,
    max_overlap: float, max_failed: float, jobs: int, **options: Any,
) -> None:  # fmt: skip
    """Check a set and its audio; repair what can be repaired, name what cannot.

    Example: hybrid data check --cuts data/mine --words lang/words.txt --rate 16000 --out-dir data/mine_checked
    """
    from hybrid.base.errors import HybridError
    from hybrid.data.check import CheckConfig, check_cuts
    from hybrid.data.check_report import read_vocabulary, summary_lines, write_report

    try:
        config = CheckConfig(rate, need_text, read_audio, max_overlap)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    report = check_cuts(cuts, config, read_vocabulary(words) if words else None, jobs, make_trust(options))
    for line in summary_lines(report):
        echo(line)
    if out_dir is not None:
        write_report(report, out_dir, cuts, config)
    failed = len(report.failed)
    if not report.records or failed > max_failed * report.total:
        raise HybridError(f"{cuts}: {failed} of {report.total} utterances failed (allowed: {max_failed:.0%}).")
