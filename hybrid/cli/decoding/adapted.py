"""`hybrid gmm decode-fmllr`: decoding with transforms of each speaker."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from hybrid.cli.decoding.options import (
    FILE,
    audio_options,
    audio_source,
    format_option,
    later_passes,
    rescore_options,
    show_transcript,
    tell_failed,
)
from hybrid.cli.echo import echo
from hybrid.cli.options import (
    ENGINE,
    JOBS,
    KALDI_TIMES,
    MODEL,
    config_options,
    make_config,
    writes_folder,
)
from hybrid.decode.reject import RejectConfig
from hybrid.gmm.adapt_config import AdaptConfig, FmllrConfig
from hybrid.search.config import RetryConfig, SearchConfig

__all__ = ["decode_fmllr"]


@click.command("decode-fmllr")
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder, of a speaker-adaptive training.")
@click.option("--graph", "graph_dir", type=FILE, required=True, help="Graph folder (hybrid graph compile).")
@click.option("--lang", type=FILE, required=True, help="Lang folder: which phones are silence.")
@click.option("--feats", type=FILE, help="Feature store to decode.")
@click.option("--audio", is_flag=True, help="Decode the FILES; may be left out where there are some.")
@click.option("--speakers", type=click.Choice(["folder", "prefix", "file", "one"]), default="file",
              help="Who speaks in FILES: the folder, the name up to - or _, the file, or one.")  # fmt: skip
@audio_options
@click.option("--out-dir", type=FILE, required=True, help="Folder of lattices, transcript, times and transforms.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@click.option("--engine", type=ENGINE, default="auto", help="Search engine.")
@KALDI_TIMES
@config_options(AdaptConfig)
@config_options(FmllrConfig)
@config_options(SearchConfig)
@config_options(RetryConfig)
@rescore_options
@config_options(RejectConfig)
@format_option
@click.argument("files", nargs=-1, type=FILE)
@writes_folder("lattices", "feats", "model_dir", "graph_dir", "files")
def decode_fmllr(
    model_dir: Path,
    graph_dir: Path,
    lang: Path,
    feats: Path | None,
    files: tuple[Path, ...],
    audio: bool,
    speakers: str,
    out_dir: Path,
    jobs: int,
    engine: str,
    kaldi_times: bool,
    formats: tuple[str, ...],
    **options: Any,
) -> None:
    """Decode with transforms of each speaker, estimated from a first, unadapted pass and improved by a second.

    Example: hybrid gmm decode-fmllr --model exp/tri3b --graph exp/tri3b/graph --lang data/lang --feats exp/feats/dev
    --out-dir exp/tri3b/decode_dev --jobs 2, or my.wav in the place of --feats
    """
    from hybrid.adapt.two_pass import decode_adapted
    from hybrid.base.jobs import pool
    from hybrid.decode.decode_set import DecodeOptions
    from hybrid.decode.sources import FeatureFolder
    from hybrid.decode.system import SystemSpec
    from lexicon.lang_dir import LangDir

    if bool(feats) == bool(files) or (audio and not files):
        raise click.UsageError("give --feats STORE or audio FILES …")
    later = later_passes(options)
    adapt, fmllr = make_config(AdaptConfig, options), make_config(FmllrConfig, options)
    search, retry = make_config(SearchConfig, options), make_config(RetryConfig, options)
    spec = SystemSpec(
        str(model_dir), str(graph_dir), str(lang), search, retry, engine, kaldi_times=kaldi_times,
        second_pass=later.second_pass, search_arpa=later.search_arpa, reject=make_config(RejectConfig, options),
        **later.bias,
    )  # fmt: skip
    silence = LangDir.load(lang).silence_phones
    with pool(jobs) as executor, TemporaryDirectory(prefix="hybrid-decode-") as scratch:
        source = (
            FeatureFolder(str(feats)) if feats else audio_source(files, Path(scratch), model_dir, options, speakers)
        )
        totals = decode_adapted(
            spec, source, out_dir, silence, adapt, fmllr, DecodeOptions(formats=formats, why=later.why), executor
        )
    tell_failed(out_dir / "failed.txt")
    if files:
        show_transcript(out_dir)
    echo(f"{out_dir}/transcript.txt: {totals.done} utterances, {totals.failed} failed")
