"""`hybrid confidence`: calibrate the confidences of words, use a calibration, measure it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import FILE, lattices_argument, lm_option, read_table, scale_of, scale_option
from hybrid.cli.lattices.words import model_option
from hybrid.cli.options import MODEL, Real, Whole, writes_file

if TYPE_CHECKING:
    from hybrid.confidence.facts import WordFacts
    from hybrid.score.judged import ConfidenceReport, JudgedUtterance

ref_option = click.option("--ref", type=FILE, required=True, help="Cuts (or their folder), or `utt word word …` lines; "
                          "lattices without a text are left out.")  # fmt: skip
words_option = click.option("--words", type=FILE, required=True, help="words.txt of the graph.")
speakers_option = click.option("--utt2spk", type=FILE, help="Speakers, where --ref is text that does not tell them.")
mbr_option = click.option("--mbr/--no-mbr", default=False, help="Words with least Bayes risk; else those of the best "
                          "path, as `hybrid decode` gives them.")  # fmt: skip
silent_option = click.option("--silent", multiple=True, help="Word that stands for silence, and in no transcript; "
                             "repeat it for several.")  # fmt: skip
calibration_option = click.option("--calibration", type=FILE, required=True, help="Of `hybrid confidence train`.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Say how sure words and utterances are: confidences calibrated on speech whose words are known."""


def _facts(
    lattices: Path, words: Path, model: Path | None, silent: tuple[str, ...], scale: float, lm_scale: float, mbr: bool
) -> Iterator[tuple[str, list[str], WordFacts]]:
    """Yields utterance, its words and their facts."""
    from hybrid.cli.lattices.words import aligned
    from hybrid.confidence.facts import without_words, word_facts
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode

    table = read_table(lattices, words)
    assert table is not None
    for utterance, compact in read_compact_folder(lattices) if model is None else aligned(lattices, model, False):
        compact = without_words(compact, silent, table)
        found = mbr_decode(compact, scale, lm_scale, fixed=not mbr)
        labels = [table.symbol(word, lattices) for word in found.word_ids.tolist()]
        yield utterance, labels, word_facts(compact, found, labels, scale, lm_scale)


def _judged(lattices: Path, ref: Path, utt2spk: Path | None, *rest: Any) -> list[JudgedUtterance]:
    from hybrid.base.errors import InputError
    from hybrid.score.judged import judge
    from hybrid.score.transcripts import read_transcripts

    said = read_transcripts(ref, utt2spk)
    found = [
        judge(utterance, facts, labels, said.words[utterance], said.speakers.get(utterance, ""))
        for utterance, labels, facts in _facts(lattices, *rest)
        if utterance in said.words
    ]
    if not found:
        raise InputError.at(ref, "has the text of none of the lattices", "Check that both are of the same set.")
    return found


@command.command()
@lattices_argument
@click.argument("output", type=FILE)
@ref_option
@words_option
@speakers_option
@click.option("--model", type=MODEL, help="That made the lattices; with it words are put on their frames.")
@silent_option
@scale_option
@lm_option
@mbr_option
@click.option("--method", type=click.Choice(["logistic", "isotonic"]), default="logistic",
              help="logistic: of posterior, lengths, LM score and depth; isotonic: of the posterior.")  # fmt: skip
@click.option("--l2", type=Real(0), default=1.0, help="Pull of the logistic weights towards 0.")
@click.option("--folds", type=Whole(0, 1000), default=5, help="Measure it on speakers left out in turn; 0: do not.")
@writes_file("calibration", "lattices", "ref", "words", argument="output")
def train(
    lattices: Path, output: Path, ref: Path, words: Path, utt2spk: Path | None, model: Path | None,
    silent: tuple[str, ...], acoustic_scale: float | None, lm_scale: float, mbr: bool, method: str, l2: float,
    folds: int,
) -> None:  # fmt: skip
    """Fit a calibration to determinised LATTICES of speech whose words are known, into the file OUTPUT.

    Use it on lattices of the same model, graph and scales, and of other speakers than these.

    \b
    hybrid confidence train dev.lat.gz exp/tri3b/calibration.json --ref data/dev --words exp/tri3b/graph/words.txt
    """
    from hybrid.confidence.calibration import CalibrationConfig
    from hybrid.score.judged import cross_validated, evaluate
    from hybrid.score.judged import train as fit

    scale, config = scale_of(lattices, acoustic_scale), CalibrationConfig(method, l2)
    judged = _judged(lattices, ref, utt2spk, words, model, silent, scale, lm_scale, mbr)
    fitted = fit(judged, scale, lm_scale, config)
    if folds > 1:
        echo(f"uncalibrated: {evaluate(judged, [one.facts.posterior for one in judged])}")
        held_out = cross_validated(judged, folds, scale, lm_scale, config)
        echo(f"speakers left out in turn: {evaluate(judged, held_out)}")
    fitted.save(output, {"words": words})
    echo(f"{output}: {method}, of {fitted.words} words of {len(judged)} utterances")


@command.command()
@lattices_argument
@calibration_option
@words_option
@model_option
@silent_option
@mbr_option
@click.option("--form", type=click.Choice(["words", "utterances"]), default="words",
              help="words: utterance, number, word, confidence; utterances: utterance, confidence, words.")  # fmt: skip
def apply(
    lattices: Path, calibration: Path, words: Path, model: Path | None, silent: tuple[str, ...], mbr: bool, form: str
) -> None:
    """Print the calibrated confidence of each word of determinised LATTICES, or of each utterance.

    \b
    hybrid confidence apply test.lat.gz --calibration exp/tri3b/calibration.json --words exp/tri3b/graph/words.txt
    """
    from hybrid.confidence.calibration import Calibration
    from hybrid.confidence.facts import utterance_confidence

    known = Calibration.load(calibration)
    for utterance, labels, facts in _facts(lattices, words, model, silent, known.acoustic_scale, known.lm_scale, mbr):
        values = known.apply(facts)
        if form == "utterances":
            echo(" ".join([utterance, f"{utterance_confidence(values):.4f}", *labels]))
            continue
        for number, (label, value) in enumerate(zip(labels, values.tolist()), 1):
            echo(f"{utterance} {number} {label} {value:.4f}")


@command.command()
@lattices_argument
@calibration_option
@ref_option
@words_option
@speakers_option
@model_option
@silent_option
@mbr_option
@click.option("--bins", type=Whole(1, 1000), default=10, help="Of the reliability diagram.")
def evaluate(
    lattices: Path, calibration: Path, ref: Path, words: Path, utt2spk: Path | None, model: Path | None,
    silent: tuple[str, ...], mbr: bool, bins: int,
) -> None:  # fmt: skip
    """Measure calibrated confidences: reliability, calibration error, normalised cross-entropy, deferral.

    \b
    hybrid confidence evaluate test.lat.gz --calibration exp/tri3b/calibration.json --ref data/test --words words.txt
    """
    from hybrid.confidence.calibration import Calibration
    from hybrid.score.judged import evaluate as measure

    known = Calibration.load(calibration)
    judged = _judged(lattices, ref, utt2spk, words, model, silent, known.acoustic_scale, known.lm_scale, mbr)
    echo(f"uncalibrated: {measure(judged, [one.facts.posterior for one in judged], bins)}")
    echo(f"calibrated: {(found := measure(judged, [known.apply(one.facts) for one in judged], bins))}")
    echo(_table(found), nl=False)


def _table(found: ConfidenceReport) -> str:
    diagram, curve = found.reliability, found.deferral
    lines = ["\nconfidence  right    words"]
    rows = zip(diagram.confidence, diagram.accuracy, diagram.counts)
    lines += [f"{confidence:10.3f}  {right:.3f}  {count:7}" for confidence, right, count in rows]
    lines += ["\ndeferred  WER of the rest  by true errors"]
    for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5):
        lines.append(f"{100 * share:6.0f} %  {curve.kept_at(share):13.2f} %  {curve.ideal_at(share):12.2f} %")
    return "\n".join(lines) + "\n"
