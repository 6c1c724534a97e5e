"""`hybrid decode`: search for lattices, transcripts and times."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
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
    slot_lists,
    slot_options,
    tell_failed,
    written_form,
    written_options,
)
from hybrid.cli.echo import echo
from hybrid.cli.options import (
    ENGINE,
    JOBS,
    KALDI_TIMES,
    MODEL,
    Whole,
    config_options,
    make_config,
    make_trust,
    refuse_if_given,
    trust_options,
    writes_folder,
)
from hybrid.decode.reject import RejectConfig
from hybrid.search.config import RetryConfig, SearchConfig
from hybrid.search.engines.k2_config import K2Config

ALONE = ("srt", "vtt", "textgrid", "textgrid-short")  # formats whose files cannot follow each other in one
BRIEF = 20.0  # seconds of speech that another engine finds before the kernels of the fastest are compiled


@click.command(context_settings={"show_default": True})
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder.")
@click.option("--graph", "graph_dir", type=FILE, required=True, help="Graph folder (hybrid graph compile).")
@click.option("--lm", type=FILE, help="Of a graph that was compiled with --lookahead: an ARPA file, or G.fst.")
@click.option("--exact-backoff/--epsilon-backoff", default=False, help="With --lm: no path backs off where its history "
              "has the n-gram, so that graph scores are those of the ARPA file.")  # fmt: skip
@click.option("--lang", "lang_dir", type=FILE, help="Lang folder, where the graph folder does not tell words' phones.")
@click.option("--feats", type=FILE, help="Decode this feature store (hybrid feats extract).")
@click.option("--transforms", type=FILE, help="With --feats: transforms of the speakers, for a network trained on such "
              "features (of hybrid gmm decode-fmllr).")  # fmt: skip
@click.option("--cuts", type=FILE, help="Decode these cuts; each is normalised by itself.")
@trust_options
@click.option("--scores", type=FILE, help="Decode log-likelihoods: a Kaldi archive, an scp, or a folder of UTT.npy.")
@click.option("--audio", is_flag=True, help="Decode the FILES; may be left out where there are some.")
@audio_options
@click.option("--out-dir", type=FILE, help="Folder of lattices, transcript, times and flags; without it the result of "
              "FILES is only printed.")  # fmt: skip
@format_option
@click.option(
    "--quiet/--no-quiet", default=False, help="No log lines; with --out-dir nothing but warnings and what failed."
)
@click.option("--strict/--no-strict", default=False, help="End with status 1 if anything failed.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@click.option("--threads", type=JOBS, default=1, help="Instead of --jobs: threads, which share one model and graph.")
@click.option("--engine", type=ENGINE, default="auto",
              help="auto: native on a CPU; on a GPU k2 if it is there, else torch.")  # fmt: skip
@click.option(
    "--device", default="cpu", help="Of the acoustic model and of the engines torch and k2: cpu, cuda, cuda:1."
)
@click.option(
    "--batch-frames", type=Whole(1), help="Frames scored together at most, padding counted; default a minute's."
)
@config_options(SearchConfig)
@config_options(K2Config)
@config_options(RetryConfig)
@click.option(
    "--raw/--determinized", default=False, help="Keep lattices as the search found them, with all alignments."
)
@click.option("--calibration", type=FILE, help="Of confidences (hybrid confidence train); by default calibration.json "
              "of the graph's or the model's folder.")  # fmt: skip
@slot_options
@rescore_options
@config_options(RejectConfig)
@click.option(
    "--nbest", type=Whole(0, 100_000), default=0, help="Write so many best word sequences of each to nbest.txt."
)
@written_options
@KALDI_TIMES
@click.option("--phones/--no-phones", default=False, help="Write phones with times to phones.ctm.")
@click.argument("files", nargs=-1, type=FILE)
@writes_folder("lattices", "model_dir", "graph_dir", "lang_dir", "feats", "transforms", "cuts", "scores", "rescore",
               "bias", "search_lm", "lm", "g2p", "written_rules", "written_after", "files")  # fmt: skip
def command(out_dir: Path | None, quiet: bool, strict: bool, jobs: int, threads: int, **options: Any) -> None:
    """Search audio FILES and folders (`-`: standard input), features, cuts or scores for words.

    Ends with status 1 if nothing, or less than half, could be decoded; with --strict if anything failed.

    \b
    hybrid decode --model exp/mono --graph exp/mono/graph my.wav
    hybrid decode --model exp/mono --graph exp/mono/graph --out-dir out --format srt recordings/
    hybrid decode --model exp/mono --graph exp/mono/graph --feats feats/dev --out-dir exp/mono/decode_dev --jobs 2
    """
    from hybrid.base.errors import HybridError, quote
    from hybrid.base.jobs import pool
    from hybrid.base.log import quiet_screen
    from hybrid.decode.decode_set import TooManyFailedError, decode_corpus

    formats = tuple(options["formats"])
    if out_dir is None:
        _require_printable(formats, options["files"])
    if quiet:
        quiet_screen()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hybrid-decode-")))
        source = _source(options, scratch)
        spec = _spec(options, hasattr(source, "transforms"))
        if out_dir is None:
            _require_one(formats, source.files)
            spec = _for_printing(spec, formats, source)
        out = out_dir or scratch / "out"
        try:
            with pool(jobs, threads) as executor:
                totals = decode_corpus(spec, source, out, _options(options), executor)
        except TooManyFailedError as error:
            tell_failed(error.path)
            if out_dir is not None:
                raise
            if error.done:
                show_transcript(out, formats, _several(options["files"]))
            place = quote(options["files"][0]) + ", …" * (len(options["files"]) > 1)
            count = f"{error.failed} of {error.failed + error.done} utterances could not be decoded"
            raise HybridError(f"{place}: {count}. The reasons stand above.") from error
        tell_failed(out / "failed.txt")
        if options["files"] and not (quiet and out_dir is not None):
            show_transcript(out, formats if out_dir is None else (), _several(options["files"]))
        if not quiet and out_dir is not None:
            echo(
                f"{out_dir}/transcript.txt: {totals.done} utterances, {totals.failed} failed",
                err=bool(options["files"]),
            )
    if strict and totals.failed:
        raise click.exceptions.Exit(1)


def _several(files: tuple[Path, ...]) -> bool:
    """Whether recordings were asked for, not one."""
    return len(files) > 1 or files[0].is_dir()


def _spec(options: dict[str, Any], adapted: bool) -> Any:
    from hybrid.decode.system import SystemSpec
    from hybrid.model.folder import load_model, warn_unadapted

    search, retry = make_config(SearchConfig, options), make_config(RetryConfig, options)
    own, reject = make_config(K2Config, options), make_config(RejectConfig, options)
    lang, calibration = (None if options[name] is None else str(options[name]) for name in ("lang_dir", "calibration"))
    model = options["model_dir"]
    if options["scores"] is None and not adapted:
        warn_unadapted(load_model(model), "hybrid gmm decode-fmllr")
    later = later_passes(options)
    options["why"] = later.why
    if options["raw"] and (later.second_pass is not None or later.bias.get("bias_pass") == "lattice"):
        raise click.UsageError("--rescore and --bias-pass lattice go over determinised lattices, not with --raw")
    return SystemSpec(
        str(model), str(options["graph_dir"]), lang, search, retry, options["engine"], options["device"],
        options["kaldi_times"], own, options["raw"], calibration, reject, later.second_pass, later.search_arpa,
        None if options["lm"] is None else str(options["lm"]), *slot_lists(options),
        exact_backoff=options["exact_backoff"], **later.bias,
    )  # fmt: skip


def _require_printable(formats: tuple[str, ...], files: tuple[Path, ...]) -> None:
    """Refuses without --out-dir what only its files would hold."""
    if not files or len(formats) > 1 or formats == ("lhotse",):
        raise click.UsageError("give --out-dir, or audio FILES and at most one --format to print")
    for name in ("nbest", "phones", "bias_why"):
        refuse_if_given(name, "--out-dir")


def _require_one(formats: tuple[str, ...], files: tuple[str, ...]) -> None:
    """Refuses to print several recordings in a format that holds one."""
    if formats and formats[0] in ALONE and len(files) > 1:
        raise click.UsageError(
            f"--format {formats[0]} holds one recording, and there are {len(files)}: give --out-dir, for a file of each"
        )


def _for_printing(spec: Any, formats: tuple[str, ...], source: Any) -> Any:
    """What is printed and not kept: text alone wants no lattices, and little speech no compilation before it."""
    from dataclasses import replace

    plain = spec.second_pass is None and spec.bias is None and spec.reject == RejectConfig() and not spec.raw
    only_best = plain and formats in ((), ("txt",))
    return replace(spec, only_best=only_best, brief=source.seconds() <= BRIEF)


def _options(options: dict[str, Any]) -> Any:
    from hybrid.decode.decode_set import DecodeOptions
    from hybrid.decode.scoring import BATCH_FRAMES

    frames = options["batch_frames"] or BATCH_FRAMES
    formats = tuple(options["formats"])
    return DecodeOptions(options["nbest"], options["phones"], formats, written_form(options), frames, options["why"])


def _source(options: dict[str, Any], scratch: Path) -> Any:
    """The one source that was asked for."""
    from hybrid.decode.sources import CutSource, FeatureFolder, ScoreFolder

    files = options["files"]
    options["audio"] = options["audio"] or bool(files)
    given = [name for name in ("feats", "cuts", "scores", "audio") if options[name]]
    if len(given) != 1 or bool(files) != (given == ["audio"]):
        raise click.UsageError("give one of --feats STORE, --cuts FILE, --scores SCORES, or audio FILES …")
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
        return audio_source(files, scratch, options["model_dir"], options)
    kind = {"feats": FeatureFolder, "scores": ScoreFolder}[given[0]]
    return kind(str(options[given[0]]))
