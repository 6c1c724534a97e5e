"""Sweep of LM weight and word insertion penalty over lattices, Kaldi's way.

A path's score at weight w and penalty p is `graph + acoustic / w - p · words` (lattice-scale --inv-acoustic-scale,
lattice-add-penalty): a larger weight trusts the language model more, a larger penalty makes fewer words.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.jobs import map_in_order
from hybrid.base.log import get_logger
from hybrid.base.ranges import POSITIVE, check_fields
from hybrid.lattice.archive import lattice_files, read_lattices
from hybrid.lattice.paths import best_path
from hybrid.score.cross_tuning import tuned_on_others
from hybrid.score.edits import ErrorCounts, UtteranceErrors, score_utterances
from hybrid.score.transcripts import Form, Transcripts, pair
from lexicon.symbols import SymbolTable

__all__ = ["Sweep", "SweepConfig", "SweepPoint", "best_paths", "choose", "parse_range", "sweep", "wider"]

_log = get_logger(__name__)

Weights = tuple[float, float]  # (LM weight, penalty)
MOST_VALUES = 1000  # of a range
STEPS, ROUNDS = 4, 5  # LM weights added at a time where the best one lies at the edge, and how often
Lattices = str | os.PathLike | Sequence[str | os.PathLike]


@dataclass(frozen=True)
class SweepConfig:
    """The grid.

    Attributes:
      lm_weights: each above 0; the acoustic scale is 1 / weight.
      penalties: nats taken for each word.
      widen: whether LM weights are added while the best one is the smallest or the largest.
    """

    lm_weights: tuple[float, ...] = tuple(float(w) for w in range(7, 18))
    penalties: tuple[float, ...] = (0.0, 0.5, 1.0)
    widen: bool = False

    def __post_init__(self) -> None:
        check_fields(self, lm_weights=POSITIVE)
        if not self.lm_weights or not self.penalties:
            raise ValueError("the sweep has no LM weight or no penalty")

    @property
    def grid(self) -> list[Weights]:
        """Every (LM weight, penalty), weights first."""
        return [(w, p) for w in self.lm_weights for p in self.penalties]


@dataclass(frozen=True)
class SweepPoint:
    """Errors at one place of the grid."""

    lm_weight: float
    penalty: float
    counts: ErrorCounts


@dataclass(frozen=True)
class Sweep:
    """All points of the grid, the best of them, and the words recognised there.

    Attributes:
      folds: parts of the speakers, whose words are of the pair that is best on the others; empty where they are of
        `best`.
    """

    points: tuple[SweepPoint, ...]
    best: SweepPoint
    hypothesis: Transcripts
    folds: tuple[tuple[tuple[str, ...], Weights], ...] = ()

    @property
    def at_edge(self) -> bool:
        """Whether only the smallest or the largest LM weight tried is the best, so that a wider grid may do better."""
        weights = {p.lm_weight for p in self.points}
        best = {p.lm_weight for p in self.points if p.counts.errors == self.best.counts.errors}
        return len(weights) > 1 and best in ({min(weights)}, {max(weights)})


def parse_range(text: str) -> tuple[float, ...]:
    """Reads `7:17` (steps of one), `7:17:2`, or `0,0.5,1`.

    Raises:
      ValueError: neither form.
    """
    try:
        if ":" in text:
            first, last, *step = (float(part) for part in text.split(":"))
            width = step[0] if step else 1.0
            if len(step) > 1 or width <= 0 or not 0 <= last - first <= MOST_VALUES * width:
                raise ValueError
            return tuple(first + i * width for i in range(int((last - first) / width + 1e-9) + 1))
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"'{quote(text)}' is no range; wanted FIRST:LAST, FIRST:LAST:STEP or A,B,C") from None


def _file_paths(file: Path, grid: Sequence[Weights]) -> list[tuple[str, list[np.ndarray]]]:
    """Word ids of the best path at each place of the grid, for every lattice of one archive."""
    found = []
    for utterance, lattice in read_lattices(file):
        paths = [best_path(lattice, 1.0 / weight, 1.0, penalty) for weight, penalty in grid]
        found.append((utterance, [np.zeros(0, np.int32) if p is None else p.word_ids for p in paths]))
    return found


def best_paths(
    lattices: Lattices,
    words: SymbolTable,
    grid: Sequence[Weights],
    executor: Executor | None = None,
    form: Form | None = None,
) -> list[Transcripts]:
    """Finds the words of every utterance at each (LM weight, penalty).

    Args:
      lattices: a decoding folder (lat.1.gz, …) or one archive; or several of them, which are pooled.
      words: names of the word ids.
      executor: shares out the archives.
      form: brings words to another spelling.

    Returns:
      One set of hypotheses for each place of the grid, in its order.

    Raises:
      InputError: no lattices, a damaged archive, or an utterance that has two lattices.
    """
    places = [lattices] if isinstance(lattices, (str, os.PathLike)) else list(lattices)
    names: list[dict[str, list[str]]] = [{} for _ in grid]
    files = [file for place in places for file in lattice_files(place)]
    for file, found in zip(files, map_in_order(functools.partial(_file_paths, grid=tuple(grid)), files, executor)):
        for utterance, paths in found:
            if utterance in names[0]:
                raise InputError.at(file, f"utterance '{quote(utterance)}' has another lattice", "Give each set once.")
            for place, ids in enumerate(paths):
                found_words = [words.symbol(int(i), utterance) for i in ids]
                names[place][utterance] = form(found_words) if form is not None else found_words
    return [Transcripts(", ".join(map(str, places)), hypotheses) for hypotheses in names]


def choose(points: Sequence[SweepPoint]) -> SweepPoint:
    """Returns the point of the fewest errors; of equals the one with the smaller weight, then penalty."""
    return min(points, key=lambda p: (p.counts.errors, p.lm_weight, p.penalty))


def sweep(
    reference: Transcripts,
    lattices: Lattices,
    words: SymbolTable,
    config: SweepConfig,
    executor: Executor | None = None,
    form: Form | None = None,
    folds: int = 1,
) -> Sweep:
    """Scores the best paths of a set at every place of the grid and picks the best place.

    The chosen pair is fitted to this set: apply it to another (`best_paths` with that one pair) for an honest figure,
    or deal the speakers into `folds`, each recognised with the pair that is best on the others.
    With `config.widen` weights are added at the edge, ROUNDS times at most.

    Raises:
      InputError: more folds than speakers.
    """
    grid = list(config.grid)
    hypotheses = best_paths(lattices, words, grid, executor, form)
    pair(reference, hypotheses[0])  # tells once of what is missing
    result = _judge(reference, grid, hypotheses)
    for _ in range(ROUNDS if config.widen else 0):
        more = [(w, p) for w in wider([w for w, _ in grid], result.best.lm_weight) for p in config.penalties]
        if not result.at_edge or not more:
            break
        _log.info(
            "best LM weight %g is at the edge: trying %g to %g too", result.best.lm_weight, more[0][0], more[-1][0]
        )
        grid += more
        hypotheses += best_paths(lattices, words, more, executor, form)
        result = _judge(reference, grid, hypotheses)
    if result.at_edge:
        _log.warning("best LM weight %g is at the edge of those tried; try more (--widen)", result.best.lm_weight)
    return result if folds == 1 else _in_parts(result, reference, grid, hypotheses, folds)


def _in_parts(
    result: Sweep, reference: Transcripts, grid: Sequence[Weights], hypotheses: Sequence[Transcripts], folds: int
) -> Sweep:
    """Takes the words of each part of the speakers from the pair that is best on the others."""
    names = sorted(reference.words)
    scored = [dict(zip(one.ids, one.errors.tolist())) for one in (_scored(reference, h) for h in hypotheses)]
    order = sorted(range(len(grid)), key=lambda place: grid[place])  # of equals the first one, see `choose`
    errors = np.array([[scored[place][name] for place in order] for name in names])
    said: dict[str, Sequence[str]] = {}
    parts = []
    for part, inside, found in tuned_on_others(errors, [reference.speakers.get(name, name) for name in names], folds):
        place = order[found]
        parts.append((part, grid[place]))
        said |= {names[i]: hypotheses[place].words.get(names[i], []) for i in np.flatnonzero(inside).tolist()}
    return replace(result, hypothesis=replace(result.hypothesis, words=said), folds=tuple(parts))


def wider(weights: Sequence[float], best: float) -> list[float]:
    """Returns STEPS weights beyond an edge, in steps of the two outermost; halves where a step would reach 0.

    Args:
      weights: those tried, at least two.
      best: the smallest or the largest of them; for any other nothing is added.
    """
    tried = sorted(set(weights))
    if len(tried) < 2 or best not in (tried[0], tried[-1]):
        return []
    if best == tried[-1]:
        return [best + (tried[-1] - tried[-2]) * n for n in range(1, STEPS + 1)]
    found = [best]
    for _ in range(STEPS):
        below = found[-1] - (tried[1] - tried[0])
        found.append(below if below > 1e-9 else found[-1] / 2)
    return found[1:]


def _judge(reference: Transcripts, grid: Sequence[Weights], hypotheses: Sequence[Transcripts]) -> Sweep:
    """Counts the errors at each place of the grid and picks the best place."""
    points = []
    for (weight, penalty), hypothesis in zip(grid, hypotheses):
        points.append(SweepPoint(weight, penalty, _scored(reference, hypothesis).total()))
    best = choose(points)
    return Sweep(tuple(points), best, hypotheses[points.index(best)])


def _scored(reference: Transcripts, hypothesis: Transcripts) -> UtteranceErrors:
    return score_utterances({u: (r, hypothesis.words.get(u, ())) for u, r in sorted(reference.words.items())})
