"""`hybrid lattice mbr`, `confidence`, `oracle`, `align`, `to-ctm`: words of lattices, how sure they are, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import (
    FILE,
    lattices_argument,
    lm_option,
    output_argument,
    penalty_option,
    read_table,
    record,
    scale_of,
    scale_option,
    shift_of,
    spell,
    text_option,
    words_option,
)
from hybrid.cli.options import KALDI_TIMES, MODEL, PORTION, SCALE, Real, writes_file

if TYPE_CHECKING:
    from hybrid.lattice.mbr import MbrResult
    from hybrid.model.folder import Model
    from hybrid.timing.frame_times import FrameTimes
    from lexicon.symbols import SymbolTable

__all__ = ["COMMANDS", "aligned", "model_option"]

model_option = click.option("--model", type=MODEL, help="That made the lattices; with it words are put to time.")


@click.command("mbr")
@lattices_argument
@words_option
@scale_option
@lm_option
@penalty_option
@click.option("--form", type=click.Choice(["words", "risk", "sausage", "json"]), default="words",
              help="risk: expected errors, words. sausage, json: the confusion network.")  # fmt: skip
def mbr_command(
    lattices: Path, words: Path | None, acoustic_scale: float | None, lm_scale: float, word_penalty: float, form: str
) -> None:
    """Print the words with the fewest expected errors (minimum Bayes risk) of determinised lattices.

    \b
    hybrid lattice determinize exp/tri2b/decode_dev - --model exp/tri2b | hybrid lattice mbr - --words words.txt
    """
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    for utterance, compact in read_compact_folder(lattices):
        found = mbr_decode(compact, scale, lm_scale, word_penalty)
        if form in ("words", "risk"):
            risk = f" {found.risk:.6f}" if form == "risk" else ""
            echo(f"{utterance}{risk} {spell(found.word_ids, table, lattices)}".rstrip())
        elif form == "sausage":
            bins = [
                " ".join(f"{name} {posterior:.7g}" for name, posterior in row) for row in _bins(found, table, lattices)
            ]
            echo(" ".join([utterance, *(f"[ {row} ]" for row in bins)]))
        else:
            echo(json.dumps(_network(utterance, found, table, lattices), ensure_ascii=False))


def _name(word: int, table: SymbolTable | None, place: Path) -> str:
    return str(word) if table is None else table.symbol(word, place)


def _bins(found: MbrResult, table: SymbolTable | None, place: Path) -> list[list[tuple[str, float]]]:
    network = found.network
    return [[(_name(w, table, place), p) for w, p in network.bin(b)] for b in range(len(network))]


def _network(utterance: str, found: MbrResult, table: SymbolTable | None, place: Path) -> dict[str, Any]:
    """The words and the confusion network as plain values; times are frames."""
    words = [
        {"word": _name(w, table, place), "confidence": round(c, 6), "begin": round(b, 3), "end": round(e, 3)}
        for w, c, b, e in zip(
            found.word_ids.tolist(), found.confidences.tolist(), found.begin_frames.tolist(), found.end_frames.tolist()
        )  # fmt: skip
    ]
    bins = [
        {"begin": round(float(b), 3), "end": round(float(e), 3), "words": [[w, round(p, 6)] for w, p in row]}
        for b, e, row in zip(found.network.bin_begins, found.network.bin_ends, _bins(found, table, place))
    ]
    return {"utterance": utterance, "risk": round(found.risk, 6), "words": words, "bins": bins}


@click.command("confidence")
@lattices_argument
@words_option
@scale_option
@lm_option
@penalty_option
@click.option("--mbr/--no-mbr", default=False, help="Of the words with least Bayes risk, not of the best path.")
def confidence_command(
    lattices: Path, words: Path | None, acoustic_scale: float | None, lm_scale: float, word_penalty: float, mbr: bool
) -> None:
    """Print of each word of determinised lattices how sure it is: id, number, word, posterior."""
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    for utterance, compact in read_compact_folder(lattices):
        found = mbr_decode(compact, scale, lm_scale, word_penalty, fixed=not mbr)
        for number, (word, value) in enumerate(zip(found.word_ids.tolist(), found.confidences.tolist()), 1):
            echo(f"{utterance} {number} {_name(word, table, lattices)} {value:.4f}")


@click.command("oracle")
@lattices_argument
@click.argument("reference", metavar="TEXT", type=FILE)
@click.option("--words", type=FILE, required=True, help="words.txt.")
@click.option("--unknown", default="<UNK>", help="The word of the table that stands for those it lacks.")
def oracle_command(lattices: Path, reference: Path, words: Path, unknown: str) -> None:
    """Print of each lattice the errors of its path closest to TEXT (lines of id, words), and of all together."""
    from hybrid.base.errors import HybridError, InputError, quote
    from hybrid.base.reading import text_lines
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.oracle import oracle

    table = read_table(lattices, words)
    assert table is not None
    other = table.get(unknown, table.max_id + 1)  # no word of any lattice: an error wherever it stands
    said = {line.split()[0]: line.split()[1:] for _, line in text_lines(reference) if line.strip()}
    errors = spoken = count = 0
    for utterance, lattice in read_lattice_folder(lattices):
        if utterance not in said:
            raise InputError.at(
                reference, f"has no line for utterance '{quote(utterance)}'", "Give the text of all lattices."
            )
        found = oracle(lattice, [table.get(word, other) for word in said[utterance]])
        size = len(said[utterance])
        errors, spoken, count = errors + found.errors, spoken + size, count + 1
        echo(f"{utterance} {found.errors} / {size} {spell(found.word_ids, table, lattices)}".rstrip())
    if not count:
        raise HybridError(f"{quote(lattices)}: holds no lattice. Give an archive that is not empty.")
    echo(f"oracle WER {100 * errors / max(spoken, 1):.2f} % ({errors} errors, {spoken} words, {count} lattices)")


def _model(lattices: Path, folder: Path) -> Model:
    from hybrid.agreement import part_of, require_fit
    from hybrid.model.folder import load_model

    model = load_model(folder)
    require_fit(part_of(lattices, "lattices"), model.part)
    return model


def _boundary(model: Model, folder: Path) -> dict[int, str]:
    """The position marks of a model's phones."""
    from hybrid.base.errors import InputError
    from hybrid.timing.word_alignment import position_marks

    marks = position_marks(model.phones)
    if marks is None:
        raise InputError.at(
            folder / "phones.txt", "has no phones with position marks (AH_B, AH_E, …), by which words are told",
            "Use a model of position-dependent phones, or the times of `hybrid decode`.",
        )  # fmt: skip
    return marks


def aligned(lattices: Path, model: Path, phones: bool, lang: Path | None = None) -> Iterator[tuple[str, Any]]:
    """Yields utterances and their lattices with words, or phones, on their frames.

    Args:
      model: that made them; words are told by the position marks of its phones.
      lang: whose lexicon tells words instead.
    """
    from hybrid.base.errors import InputError, quote
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.lattice import LatticeError
    from hybrid.timing.lattice_alignment import align_lattice
    from hybrid.timing.lexicon_alignment import align_by_lexicon, pronunciations_of
    from lexicon.lang_dir import LangDir

    loaded = _model(lattices, model)
    if lang is not None:
        lexicon = pronunciations_of(LangDir.load(lang).align_lexicon)
        for utterance, compact in read_compact_folder(lattices):
            yield utterance, align_by_lexicon(compact, loaded.transition_model, lexicon, phones)
        return
    marks = _boundary(loaded, model)
    for utterance, compact in read_compact_folder(lattices):
        try:
            yield utterance, align_lattice(compact, loaded.transition_model, marks, phones)
        except LatticeError as error:
            cure = "Give --model the one that made the lattices."
            raise InputError.at(lattices, f"utterance '{quote(utterance)}': {error}", cure) from error


@click.command("align")
@lattices_argument
@output_argument
@click.option("--model", type=MODEL, required=True, help="That made the lattices.")
@click.option(
    "--lang", type=FILE, help="Lang folder of the graph: words are told by its lexicon, not by marks of phones."
)
@click.option("--phones/--no-phones", default=False, help="An arc for each phone, not for each word and pause.")
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def align_command(lattices: Path, output: Path, model: Path, lang: Path | None, phones: bool, text: bool) -> None:
    """Put the words of determinised lattices on their frames: every arc is a word or a pause, in Kaldi's compact form.

    \b
    hybrid lattice align det.gz words.gz --model exp/tri2b
    """
    from hybrid.lattice.archive import write_lattices

    count = write_lattices(output, aligned(lattices, model, phones, lang), compact=True, text=text)
    record(output, lattices, {"phones": phones}, count, boundary_lag=_model(lattices, model).boundary_lag)


@click.command("to-ctm")
@lattices_argument
@words_option
@model_option
@scale_option
@lm_option
@penalty_option
@click.option("--mbr/--no-mbr", default=True, help="Words with least Bayes risk; else those of the best path.")
@click.option(
    "--frame-shift", type=SCALE, help="Seconds per frame; by default the model's, else the lattices', else 0.01."
)
@KALDI_TIMES
def to_ctm_command(
    lattices: Path, words: Path | None, model: Path | None, acoustic_scale: float | None, lm_scale: float,
    word_penalty: float, mbr: bool, frame_shift: float | None, kaldi_times: bool,
) -> None:  # fmt: skip
    """Print words with times and confidences (CTM) of determinised lattices; times count from each utterance's start.

    Without --model words stand where their arcs do, which is right for lattices of `hybrid lattice align`.
    """
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode
    from hybrid.timing.ctm import TimedLabel, ctm_header, ctm_lines

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    times = _times(lattices, model, frame_shift, kaldi_times)
    entries = read_compact_folder(lattices) if model is None else aligned(lattices, model, phones=False)
    for line in ctm_header(times):
        echo(line)
    for utterance, compact in entries:
        found = mbr_decode(compact, scale, lm_scale, word_penalty, fixed=not mbr)
        labels = []
        for word, value, *frames in zip(found.word_ids, found.confidences, found.begin_frames, found.end_frames):
            begin, end = (times.boundary(frame) for frame in frames)
            labels.append(TimedLabel(_name(int(word), table, lattices), begin, end - begin, float(value)))
        for line in ctm_lines(utterance, labels):
            echo(line)


def _times(lattices: Path, model: Path | None, frame_shift: float | None, kaldi: bool) -> FrameTimes:
    from hybrid.base.log import get_logger
    from hybrid.lattice.lattice_set import shared_facts
    from hybrid.timing.frame_times import FrameTimes

    if model is not None and frame_shift is None:
        return FrameTimes.of(_model(lattices, model), kaldi)
    shift, lag = shift_of(lattices, frame_shift), shared_facts(lattices).boundary_lag
    if not kaldi and frame_shift is None and lag is None:
        told = "%s: no record tells windows, so boundaries lie at frame number × shift, as Kaldi's; --model tells them"
        get_logger(__name__).warning(told, lattices)
    return FrameTimes(shift, 0.0 if kaldi or frame_shift is not None or lag is None else lag)


@click.command("keyword")
@lattices_argument
@click.argument("phrases", nargs=-1, required=True)
@click.option("--words", type=FILE, required=True, help="words.txt.")
@model_option
@scale_option
@lm_option
@click.option("--boost", type=Real(), default=0.0, help="Added to the log probability of each phrase where it is said.")
@click.option("--least", type=PORTION, default=0.01, help="Leave out what is less probable.")
@click.option(
    "--frame-shift", type=SCALE, help="Seconds per frame; by default the model's, else the lattices', else 0.01."
)
def keyword_command(
    lattices: Path, phrases: tuple[str, ...], words: Path, model: Path | None, acoustic_scale: float | None,
    lm_scale: float, boost: float, least: float, frame_shift: float | None,
) -> None:  # fmt: skip
    """Print where PHRASES may have been said: id, begin, end, posterior, phrase; of determinised lattices.

    Without --model words stand where their arcs do, which is right for lattices of `hybrid lattice align`.

    \b
    hybrid lattice keyword words.lat.gz "NEW YORK" BOSTON --words graph/words.txt --boost 3
    """
    from hybrid.lattice.algebra.keywords import boosted, find_keyword, merged_hits
    from hybrid.lattice.archive import read_compact_folder

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    assert table is not None
    wanted = {phrase: tuple(table.encode(phrase.split(), words)) for phrase in phrases if phrase.strip()}
    times = _times(lattices, model, frame_shift, False)
    entries = read_compact_folder(lattices) if model is None else aligned(lattices, model, phones=False)
    for utterance, compact in entries:
        raised = boosted(compact, dict.fromkeys(wanted.values(), boost / lm_scale)) if boost and lm_scale else compact
        for phrase, ids in wanted.items():
            for hit in merged_hits(find_keyword(raised, ids, scale, lm_scale)):
                if hit.posterior >= least:
                    begin, end = times.boundary(hit.begin_frame), times.boundary(hit.end_frame)
                    echo(f"{utterance} {begin:.2f} {end:.2f} {hit.posterior:.4f} {phrase}")


COMMANDS = (keyword_command, mbr_command, confidence_command, oracle_command, align_command, to_ctm_command)
