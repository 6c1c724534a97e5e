"""What the commands that decode share: audio of users, options of a second pass, what is shown on the terminal."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import CHANNEL, PORTION, Real, Whole, named_files, refuse_if_given

__all__ = ["FILE", "audio_options", "audio_source", "format_option", "later_passes", "rescore_options",
           "show_transcript", "slot_lists", "slot_options", "tell_failed", "written_form",
           "written_options"]  # fmt: skip

FILE = click.Path(path_type=Path, allow_dash=True)
SHOWN = 20  # failed utterances on the terminal
FORMATS = ("txt", "json", "srt", "vtt", "ctm", "textgrid", "textgrid-short", "lhotse")
format_option = click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True,
                             help="Write these too, to OUT/recordings; without --out-dir: print this.")  # fmt: skip


def rescore_options(function: Any) -> Any:
    """Adds the options of a second pass; `later_passes` takes them."""
    for option in (
        click.option("--bias-why/--no-bias-why", default=False,
                     help="With --bias: write what became of each phrase in each utterance to why.jsonl."),
        click.option("--bias-nearest", type=Whole(0), default=0,
                     help="With --bias, for lists of thousands: search twice, and raise so many of the phrases, the "
                     "nearest in sound to what the first search finds; 0: raise all."),
        click.option("--bias-pass", type=click.Choice(["search", "lattice"]), default="search",
                     help="With --bias: raise phrases while searching (engines native and reference), or in the "
                     "lattices, after all models of --rescore."),
        click.option("--bias-boost", type=Real(), default=5.0,
                     help="With --bias: natural log per word of phrases without their own."),
        click.option("--bias", type=FILE, help="Raise the phrases of this list: a phrase a line, after a tab its boost "
                     "per word, after another the words that must stand before it."),
        click.option("--search-lm", type=FILE, help="ARPA of the graph, where its records do not lead to it."),
        click.option("--rescore-share", type=PORTION,
                     help="Of the last model's probabilities; by default all of an n-gram's, half of a neural one's."),
        click.option("--rescore", type=FILE, multiple=True,
                     help="Second pass with this ARPA file, or folder of a neural model; several follow each other."),
    ):  # fmt: skip
        function = option(function)
    return function


def slot_options(function: Any) -> Any:
    """Adds --fill and --g2p."""
    for option in (
        click.option("--g2p", type=FILE, help="With --fill or --bias: guesses pronunciations that are missing."),
        click.option("--fill", multiple=True, metavar="SLOT=LIST",
                     help="What stands in a slot of the graph: a list of words and phrases, one a line, with a weight "
                     "and phones after tabs where wanted; may be repeated."),
    ):  # fmt: skip
        function = option(function)
    return function


def slot_lists(options: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Returns (slot, list) of each --fill, and the model of --g2p."""
    pairs = named_files("--fill", options["fill"])
    return tuple(sorted(pairs.items())), None if options["g2p"] is None else str(options["g2p"])


@dataclass(frozen=True, eq=False)
class LaterPasses:
    """What `rescore_options` ask for.

    Attributes:
      second_pass: what is done to each lattice, if anything. search_arpa: the ARPA file of the graph, where named.
      bias: settings of the list that is raised, as `SystemSpec` has them. why: tell what became of its phrases.
    """

    second_pass: Any
    search_arpa: str | None
    bias: dict[str, Any]
    why: bool


def later_passes(options: dict[str, Any]) -> LaterPasses:
    """Takes the options of `rescore_options`."""
    from hybrid.rescore.decoding_pass import passes_of

    names = ("bias", "bias_boost", "bias_pass", "bias_nearest")
    bias, why = {name: options.pop(name) for name in names}, options.pop("bias_why")
    paths, share, arpa = (options.pop(name) for name in ("rescore", "rescore_share", "search_lm"))
    if share is not None and not paths:
        raise click.UsageError("--rescore-share goes with --rescore")
    if bias["bias"] is None:
        for name in (*names[1:], "bias_why"):
            refuse_if_given(name, "--bias")
        bias = {}
    else:
        bias["bias"] = str(bias["bias"])
    return LaterPasses(passes_of(paths, share), None if arpa is None else str(arpa), bias, why)


def written_options(function: Any) -> Any:
    """Adds the options of the written form; `written_form` takes them."""
    for option in (
        click.option("--written-after", type=FILE, help="With --written: table of written text and what replaces it."),
        click.option("--written-rules", type=FILE, help="With --written: table of spoken phrases and what is written "
                     "for them, a tab between; they go before all grammars."),
        click.option("--written-style", type=click.Choice(["plain", "nemo"]), default="plain",
                     help="With --written: as in sentences (5:45, 20 minutes), or as NeMo's grammars (05:45, 20 min)."),
        click.option("--written/--no-written", default=False,
                     help="Numbers, times, dates, money, addresses in written form (English): written.txt, written.ctm "
                     "and the --format files."),
    ):  # fmt: skip
        function = option(function)
    return function


def written_form(options: dict[str, Any]) -> Any:
    """Takes the options of `written_options`: the form, None where it was not asked for."""
    from hybrid.written.form import WrittenForm
    from hybrid.written.rewriting import Rules, read_rules
    from hybrid.written.sentence import WrittenConfig

    asked, style = options.pop("written"), options.pop("written_style")
    paths = [options.pop(name) for name in ("written_rules", "written_after")]
    if not asked:
        if any(path is not None for path in paths) or style != "plain":
            raise click.UsageError("--written-rules, --written-after and --written-style go with --written")
        return None
    before, after = (Rules() if path is None else read_rules(path) for path in paths)
    return WrittenForm(WrittenConfig(style), before, after)


def tell_failed(path: Path) -> None:
    """Shows what failed and why, on standard error."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines[:SHOWN]:
        echo(f"failed: {line}", err=True)
    if len(lines) > SHOWN:
        echo(f"failed: {len(lines) - SHOWN} more, see {path}", err=True)


def show_transcript(out: Path, formats: tuple[str, ...] = (), several: bool = False) -> None:
    """Prints the transcript, in written form where there is one, or the files of a format; of JSON one document.

    Args:
      several: recordings were asked for, not one: JSON is an array, however many there are.

    Raises:
      InputError: standard output is closed.
    """
    from hybrid.base.errors import InputError

    if sys.stdout is None:
        raise InputError.at("standard output", "is closed", "Leave it open, or give --out-dir.")
    kind = formats[0] if formats else "txt"
    written = (out / "written.txt").exists()
    if kind == "txt":
        files = [out / ("written.txt" if written else "transcript.txt")]
    elif kind == "ctm":
        files = [out / ("written.ctm" if written else "words.ctm")]
    else:
        files = sorted((out / "recordings").glob("*"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    if kind == "json" and several:
        texts = ["[\n", ",\n".join(text.rstrip() for text in texts), "\n]\n"]
    for text in texts:
        echo(text, nl=False)


def audio_options(function: Any) -> Any:
    """Adds the options of audio files: `channel`, `max_length`, `said`."""
    for option in (
        click.option("--max-length", type=Real(1), default=30.0, help="Seconds; longer recordings are cut at pauses."),
        click.option("--find-speech/--no-find-speech", "said", default=True,
                     help="Leave out of the FILES what does not move as speech does: hum, tones, noise, babble."),
        click.option("--channel", type=CHANNEL, default=-1, help="Channel of the FILES, from 0; -1: the mean of all."),
    ):  # fmt: skip
        function = option(function)
    return function


def _kept(stream: IO[bytes], path: Path) -> str:
    """Keeps what comes from a stream in a file, as audio is read more than once; returns its path."""
    with open(path, "wb") as file:
        shutil.copyfileobj(stream, file)
    return str(path)


def audio_source(
    paths: tuple[Path, ...], scratch: Path, model_dir: Path, options: dict[str, Any], speakers: str = "file"
) -> Any:
    """Audio files, those below folders, and what standard input (`-`) and pipes hold, which is kept in `scratch`.

    Args:
      model_dir: whose band the files should have.
      options: of `audio_options`.
    """
    from hybrid.base.errors import InputError
    from hybrid.base.log import get_logger
    from hybrid.data.find_audio import scan
    from hybrid.decode.sources import AudioFiles
    from hybrid.feats.vad import VadConfig
    from hybrid.model.folder import load_model

    files: list[str] = []
    called: list[tuple[str, str]] = []
    for path in paths:
        if str(path) == "-":
            if str(scratch / "stdin") in files:
                raise InputError.at("-", "stands for standard input, which can be read once", "Give it once.")
            files.append(_kept(sys.stdin.buffer, scratch / "stdin"))
            called.append((files[-1], "standard input"))
        elif path.is_fifo():  # a pipe of the shell: <(sox …)
            with open(path, "rb") as stream:
                files.append(_kept(stream, scratch / f"pipe-{len(files) + 1}"))
            called.append((files[-1], str(path)))
        elif path.is_dir():
            found = scan([path])
            files += [str(file) for _, file in found.audio]
            for _, reason in found.dead:
                get_logger(__name__).warning("%s", reason)
            if found.others:
                get_logger(__name__).info("%s: %d files are no audio", path, len(found.others))
        else:
            files.append(str(path))
    rate = round(2 * load_model(model_dir).pipeline.static.top_freq)
    vad = VadConfig(max_length=options["max_length"], said=options["said"])
    return AudioFiles(tuple(files), vad, options["channel"], speakers, rate, tuple(called))
