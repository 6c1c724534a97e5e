"""`hybrid combine`: several systems' results as one, by whole lattices, confusion networks or votes on words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import FILE, record, scale_of, text_option
from hybrid.cli.options import PORTION, Whole, writes_file

FORM = click.option("--form", type=click.Choice(["words", "confidences"]), default="words",
                    help="words: utterance, words; confidences: utterance, number, word, confidence.")  # fmt: skip
SCALES = click.option("--acoustic-scales", help="A,B,…: factor of each system's acoustic scores; by default those of "
                      "their searches.")  # fmt: skip
LM_SCALES = click.option("--lm-scales", help="A,B,…: factor of each system's graph scores; 1 by default.")
WEIGHTS = click.option("--weights", help="A,B,…: of each system (hybrid combine tune finds them); equal by default.")
WORDS = click.option("--words", type=FILE, required=True, help="words.txt, of all the systems.")
SYSTEMS = click.argument("systems", type=FILE, nargs=-1, required=True)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Join what several systems recognised in the same speech. One archive may be `-`, standard input."""


def _numbers(text: str | None, systems: Sequence[Path], option: str) -> list[float] | None:
    """Reads A,B,…, a number above 0 for each system."""
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(systems) or not all(0 < value < 1e9 for value in values):
        raise click.UsageError(f"{option} wants {len(systems)} numbers above 0 with commas, one for each system")
    return values


def _scales(text: str | None, systems: Sequence[Path]) -> list[float]:
    return _numbers(text, systems, "--acoustic-scales") or [scale_of(system, None) for system in systems]


def _together(systems: Sequence[Path], read: Callable[[Path], Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yields each utterance with what every system has of it, None where it has nothing."""
    from hybrid.base.log import get_logger

    tables: list[dict[str, Any]] = [dict(read(system)) for system in systems]
    utterances = list(dict.fromkeys(utterance for table in tables for utterance in table))
    if missing := sum(utterance not in table for table in tables for utterance in utterances):
        get_logger(__name__).warning("%d results are missing; the other systems decide there", missing)
    for utterance in utterances:
        yield utterance, [table.get(utterance) for table in tables]


def _present(found: Sequence[Any], *rows: Sequence[float]) -> list[list[Any]]:
    """Drops the systems that have nothing, from what was found and from rows of numbers."""
    kept = [n for n, one in enumerate(found) if one is not None]
    return [[row[n] for n in kept] for row in (found, *rows)]


def _united(
    systems: Sequence[Path], weights: Sequence[float], scales: Sequence[float], lm_scales: Sequence[float]
) -> Iterator[tuple[str, Any]]:
    from hybrid.combination.systems import combine_systems
    from hybrid.lattice.archive import read_compact_folder

    for utterance, found in _together(systems, read_compact_folder):
        yield utterance, combine_systems(*_present(found, weights, scales, lm_scales))


@command.command()
@SYSTEMS
@click.argument("output", type=FILE)
@WEIGHTS
@SCALES
@LM_SCALES
@text_option
@writes_file("lattices", "systems", argument="output", dash=True)
def lattices(
    systems: tuple[Path, ...], output: Path, weights: str | None, acoustic_scales: str | None, lm_scales: str | None,
    text: bool,
) -> None:  # fmt: skip
    """Unite determinised lattices of all SYSTEMS into the archive OUTPUT, each with its weight as probability.

    Its scores are scaled: read it with --acoustic-scale 1. Words of least Bayes risk then join the systems:

    \b
    hybrid combine lattices gmm.lat.gz nnet.lat.gz - --weights 0.3,0.7 --acoustic-scales 0.083,1 |
    hybrid lattice mbr - --words words.txt --acoustic-scale 1
    """
    from hybrid.lattice.archive import write_lattices

    shares = _numbers(weights, systems, "--weights") or [1.0] * len(systems)
    scales, lm = _scales(acoustic_scales, systems), _numbers(lm_scales, systems, "--lm-scales") or [1.0] * len(systems)
    count = write_lattices(output, _united(systems, shares, scales, lm), compact=True, text=text)
    settings = {"weights": shares, "acoustic_scales": scales, "systems": list(map(str, systems))}
    record(output, systems[0], settings, count, {"acoustic_scale": 1.0})


def _network_slots(
    systems: Sequence[Path], words: Path, scales: Sequence[float], lm_scales: Sequence[float]
) -> Iterator[tuple[str, list[Any]]]:
    """Yields each utterance with the confusion network of every system."""
    from hybrid.cli.lattices.options import read_table
    from hybrid.combination.slots import network_slots
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode

    settings = dict(zip(systems, zip(scales, lm_scales)))

    def networks(system: Path) -> Iterator[tuple[str, Any]]:
        """Confusion networks of a system, utterance by utterance."""
        table = read_table(system, words)
        assert table is not None
        for utterance, compact in read_compact_folder(system):
            network = mbr_decode(compact, *settings[system]).network
            names = {w: table.symbol(w, system) for w in set(network.word_ids.tolist())}
            yield utterance, network_slots(network, names)

    return _together(systems, networks)


@command.command()
@SYSTEMS
@WORDS
@WEIGHTS
@SCALES
@LM_SCALES
@FORM
def networks(
    systems: tuple[Path, ...], words: Path, weights: str | None, acoustic_scales: str | None, lm_scales: str | None,
    form: str,
) -> None:  # fmt: skip
    """Print the words of the confusion networks of all SYSTEMS (determinised lattices), aligned and averaged.

    \b
    hybrid combine networks gmm.lat.gz nnet.lat.gz --words words.txt --weights 0.3,0.7 --acoustic-scales 0.083,1
    """
    from hybrid.combination.slots import best_words, combine_slots

    shares = _numbers(weights, systems, "--weights") or [1.0] * len(systems)
    lm = _numbers(lm_scales, systems, "--lm-scales") or [1.0] * len(systems)
    for utterance, found in _network_slots(systems, words, _scales(acoustic_scales, systems), lm):
        _print(utterance, *best_words(combine_slots(*_present(found, shares))), form)


def _print(utterance: str, words: Sequence[str], confidences: Sequence[float], form: str) -> None:
    if form == "words":
        echo(" ".join([utterance, *words]))
        return
    for number, (word, value) in enumerate(zip(words, confidences), 1):
        echo(f"{utterance} {number} {word} {value:.4f}")


def _hypotheses(path: Path, sure: bool) -> dict[str, tuple[list[str], list[float]]]:
    """Reads `utt word word …`, or `utt number word confidence` lines of `hybrid confidence apply`."""
    from hybrid.base.errors import InputError, quote
    from hybrid.base.reading import text_lines
    from hybrid.score.transcripts import read_table

    place = Path("/dev/stdin") if str(path) == "-" else path
    if not sure:
        return {utterance: (words, [1.0] * len(words)) for utterance, words in read_table(place).items()}
    found: dict[str, tuple[list[str], list[float]]] = {}
    for number, line in text_lines(place):
        try:
            utterance, _, word, value = line.split()
            if not 0.0 <= float(value) <= 1.0:
                raise ValueError
        except ValueError:
            wanted = "wanted `utterance number word confidence`"
            cure = "Give the output of `hybrid confidence apply`."
            raise InputError.at(path, f"'{quote(line)}', {wanted}", cure, number) from None
        words, values = found.setdefault(utterance, ([], []))
        words.append(word)
        values.append(float(value))
    return found


@command.command()
@SYSTEMS
@WEIGHTS
@click.option("--confidences/--no-confidences", default=False,
              help="SYSTEMS are lines of `hybrid confidence apply`, not `utt word word …`.")  # fmt: skip
@click.option("--votes", type=PORTION, default=0.7, help="Share of the votes in a word's score; the rest: confidence.")
@click.option("--nothing", type=PORTION, default=0.5, help="Confidence of a system that says nothing.")
@FORM
def rover(
    systems: tuple[Path, ...], weights: str | None, confidences: bool, votes: float, nothing: float, form: str
) -> None:
    """Print the words that a vote of the transcripts of all SYSTEMS elects (ROVER).

    \b
    hybrid combine rover gmm.txt nnet.txt other.txt
    """
    from hybrid.combination.rover import RoverConfig
    from hybrid.combination.rover import rover as vote

    config, shares = RoverConfig(votes, nothing), _numbers(weights, systems, "--weights") or [1.0] * len(systems)
    for utterance, rows in _together(systems, lambda path: _hypotheses(path, confidences)):
        found, kept = _present(rows, shares)
        elected = vote([w for w, _ in found], kept, [c for _, c in found] if confidences else None, config)
        _print(utterance, [word for word, _ in elected], [score for _, score in elected], form)


@command.command()
@SYSTEMS
@click.option("--ref", type=FILE, required=True, help="Cuts (or their folder), or `utt word word …` lines.")
@click.option("--by", type=click.Choice(["lattices", "networks", "rover"]), default="networks",
              help="How they are joined; for rover SYSTEMS are transcripts.")  # fmt: skip
@click.option("--words", type=FILE, help="words.txt, of all the systems.")
@SCALES
@LM_SCALES
@click.option("--steps", type=Whole(1, 100), default=10, help="Weights tried are multiples of 1 / steps.")
def tune(
    systems: tuple[Path, ...], ref: Path, by: str, words: Path | None, acoustic_scales: str | None,
    lm_scales: str | None, steps: int,
) -> None:  # fmt: skip
    """Print the errors of a combination for each choice of weights, the best first, on speech whose words are known.

    \b
    hybrid combine tune gmm.lat.gz nnet.lat.gz --ref data/dev --words words.txt --acoustic-scales 0.083,1
    """
    from hybrid.base.log import get_logger
    from hybrid.score.transcripts import pair, read_transcripts
    from hybrid.score.weights import tune_weights

    if words is None and by != "rover":
        raise click.UsageError("--words is needed but for --by rover")
    if steps < len(systems):
        raise click.UsageError(f"--steps wants {len(systems)} or more, as many as systems")
    lm = _numbers(lm_scales, systems, "--lm-scales") or [1.0] * len(systems)
    if by == "rover":
        rows = list(_together(systems, lambda path: _hypotheses(path, False)))
        combined = _by_rover(rows)
    else:
        assert words is not None
        scales = _scales(acoustic_scales, systems)
        combined = {"lattices": _by_lattices, "networks": _by_networks}[by](systems, words, scales, lm)
    said = read_transcripts(ref)
    first = combined(tuple(1.0 / len(systems) for _ in systems))
    known = {u: words for u, words in said.words.items() if u in first}
    if missing := len(said.words) - len(known):
        get_logger(__name__).warning("%s: %d of %d utterances are in no system; they do not count", ref, missing,
                                     len(said.words))  # fmt: skip
    pair(replace(said, words=known) if known else said, type(said)(str(systems[0]), first))  # tells what is left out
    for point in tune_weights(combined, known, len(systems), steps):
        echo(f"{','.join(f'{w:g}' for w in point.weights)}\t{point.counts}")


Combined = Callable[[tuple[float, ...]], Mapping[str, Sequence[str]]]


def _by_rover(rows: Sequence[tuple[str, list[Any]]]) -> Combined:
    from hybrid.combination.rover import rover as vote

    def combined(weights: tuple[float, ...]) -> dict[str, list[str]]:
        """Words that the systems vote for with these weights."""
        out = {}
        for utterance, found in rows:
            kept, shares = _present(found, weights)
            out[utterance] = [word for word, _ in vote([words for words, _ in kept], shares)]
        return out

    return combined


def _by_networks(systems: Sequence[Path], words: Path, scales: Sequence[float], lm: Sequence[float]) -> Combined:
    from hybrid.combination.slots import best_words, combine_slots

    rows = list(_network_slots(systems, words, scales, lm))
    return lambda weights: {u: best_words(combine_slots(*_present(found, weights)))[0] for u, found in rows}


def _by_lattices(systems: Sequence[Path], words: Path, scales: Sequence[float], lm: Sequence[float]) -> Combined:
    from hybrid.cli.lattices.options import read_table
    from hybrid.combination.systems import combine_systems
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.mbr import mbr_decode

    tables = [read_table(system, words) for system in systems]
    rows = list(_together(systems, read_compact_folder))

    def combined(weights: tuple[float, ...]) -> dict[str, list[str]]:
        """Words of the united lattices with these weights."""
        out = {}
        for utterance, found in rows:
            ids = mbr_decode(combine_systems(*_present(found, weights, scales, lm)), 1.0).word_ids.tolist()
            out[utterance] = [tables[0].symbol(word, systems[0]) for word in ids]  # type: ignore[union-attr]
        return out

    return combined
