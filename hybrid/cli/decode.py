"""`hybrid decode`: search for lattices, transcripts and times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import (
    CHANNEL,
    ENGINE,
    JOBS,
    KALDI_TIMES,
    MODEL,
    Real,
    Whole,
    config_options,
    make_config,
    make_trust,
    trust_options,
    writes_folder,
)
from hybrid.search.config import RetryConfig, SearchConfig
from hybrid.search.engines.k2_config import K2Config

FILE = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True})
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder.")
@click.option("--graph", "graph_dir", type=FILE, required=True, help="Graph folder (hybrid graph compile).")
@click.option("--lang", "lang_dir", type=FILE, help="Lang folder, where the graph folder does not tell words' phones.")
@click.option("--feats", type=FILE, help="Decode this feature store (hybrid feats extract).")
@click.option("--transforms", type=FILE, help="With --feats: transforms of the speakers, for a network trained on such "
              "features (of hybrid gmm decode-fmllr).")  # fmt: skip
@click.option("--cuts", type=FILE, help="Decode these cuts; each is normalised by itself.")
@trust_options
@click.option("--scores", type=FILE, help="Decode log-likelihoods: a Kaldi archive, an scp, or a folder of UTT.npy.")
@click.option("--audio", is_flag=True, help="Decode the FILES; long ones are cut at pauses.")
@click.option("--channel", type=CHANNEL, default=0, help="Channel of the FILES, from 0; -1 mixes all.")
@click.option("--max-length", type=Real(1), default=30.0, help="Seconds; longer recordings are cut at pauses.")
@click.option("--out-dir", type=FILE, required=True, help="Folder of lattices, transcript, times and flags.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@click.option("--threads", type=JOBS, default=1, help="Instead of --jobs: threads, which share one model and graph.")
@click.option("--engine", type=ENGINE, default="auto",
              help="auto: k2 on a GPU, else native, which needs no k2.")  # fmt: skip
@click.option("--device", default="cpu", help="Of the acoustic model and of k2: cpu, cuda, cuda:1.")
@click.option(
    "--batch-frames", type=Whole(1), help="Frames scored together at most, padding counted; default a minute's."
)
@config_options(SearchConfig)
@config_options(K2Config)
@config_options(RetryConfig)
@click.option(
    "--nbest", type=Whole(0, 100_000), default=0, help="Write so many best word sequences of each to nbest.txt."
)
@KALDI_TIMES
@click.option("--phones/--no-phones", default=False, help="Write phones with times to phones.ctm.")
@click.option(
    "--raw/--determinized", default=False, help="Keep lattices as the search found them, with all alignments."
)
@click.argument("files", nargs=-1, type=FILE)
@writes_folder("lattices", "model_dir", "graph_dir", "lang_dir", "feats", "transforms", "cuts", "scores", "files")
def command(
    model_dir: Path,
    graph_dir: Path,
    lang_dir: Path | None,
    out_dir: Path,
    jobs: int,
    threads: int,
    engine: str,
    device: str,
    nbest: int,
    phones: bool,
    raw: bool,
    kaldi_times: bool,
    batch_frames: int | None,
    **options: Any,
) -> None:
    """Search features, cuts, scores or audio FILES for lattices, transcripts and times.

    \b
    hybrid decode --model exp/mono --graph exp/mono/graph --feats feats/dev --out-dir exp/mono/decode_dev --jobs 2
    hybrid decode --model exp/mono --graph exp/mono/graph --audio --out-dir out my.wav other.flac
    """
    from hybrid.base.jobs import pool
    from hybrid.base.log import get_logger, log_settings
    from hybrid.decode.decode_set import DecodeOptions, decode_corpus
    from hybrid.decode.scoring import BATCH_FRAMES
    from hybrid.decode.system import SystemSpec
    from hybrid.model.folder import load_model, warn_unadapted

    search, retry = make_config(SearchConfig, options), make_config(RetryConfig, options)
    lang = None if lang_dir is None else str(lang_dir)
    spec = SystemSpec(
        str(model_dir), str(graph_dir), lang, search, retry, engine, device, kaldi_times,
        make_config(K2Config, options), raw,
    )  # fmt: skip
    source = _source(options)
    if options["scores"] is None and not hasattr(source, "transforms"):
        warn_unadapted(load_model(model_dir), "hybrid gmm decode-fmllr")
    log_settings(
        get_logger(__name__), "decode", {"model": model_dir, "graph": graph_dir, "engine": engine, **vars(search)}
    )
    decode_options = DecodeOptions(nbest, phones, batch_frames or BATCH_FRAMES)
    with pool(jobs, threads) as executor:
        totals = decode_corpus(spec, source, out_dir, decode_options, executor)
    echo(f"{out_dir}/transcript.txt: {totals.done} utterances, {totals.failed} failed")


def _source(options: dict[str, Any]) -> Any:
    """The one source that was asked for."""
    from hybrid.decode.sources import AudioFiles, CutSource, FeatureFolder, ScoreFolder
    from hybrid.feats.vad import VadConfig

    files = tuple(str(f) for f in options["files"])
    given = [name for name in ("feats", "cuts", "scores", "audio") if options[name]]
    if len(given) != 1 or bool(files) != (given == ["audio"]):
        raise click.UsageError("give one of --feats STORE, --cuts FILE, --scores SCORES, or --audio FILES …")
    trust = make_trust(options)
    transforms = options.pop("transforms")
    if transforms is not None:
        if given != ["feats"]:
            raise click.UsageError("--transforms goes with --feats")
        from hybrid.adapt.sources import AdaptedFeatureFolder

        return AdaptedFeatureFolder(str(options["feats"]), str(transforms))
    if given == ["cuts"]:
        return CutSource(str(options["cuts"]), trust)
    if given == ["audio"]:
        return AudioFiles(files, VadConfig(max_length=options["max_length"]), options["channel"])
    kind = {"feats": FeatureFolder, "scores": ScoreFolder}[given[0]]
    return kind(str(options[given[0]]))
