"""What a lattice tells of each recognised word besides its posterior: length, scores, what competes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.lattice import kernels
from hybrid.lattice.combine import scaled
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.mbr import MbrResult
from hybrid.lattice.trim import state_times
from lexicon.symbols import SymbolTable

__all__ = ["FEATURES", "WordFacts", "join", "utterance_confidence", "without_words", "word_facts"]

FEATURES = ("log_odds", "letters", "frames", "lm_score", "depth")
SUREST = 0.999  # posteriors beyond it, or below one minus it, tell no more


@dataclass(frozen=True, eq=False)
class WordFacts(ByContent):
    """Facts of K words in the order in which they were recognised.

    Attributes:
      posterior: float64 [K], share of the lattice's weight.
      letters, frames: float64 [K], lengths of the word in writing and in time.
      lm_score: float64 [K], graph score of its arcs, averaged with their posteriors.
      depth: float64 [K], arcs that cross its frames, on average.
    """

    posterior: np.ndarray
    letters: np.ndarray
    frames: np.ndarray
    lm_score: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.posterior)

    def matrix(self, names: Sequence[str] = FEATURES) -> np.ndarray:
        """Returns float64 [K][feature]; lengths and depth as logarithms, the posterior as log odds."""
        columns = {
            "log_odds": log_odds(self.posterior),
            "letters": np.log(np.maximum(self.letters, 1.0)),
            "frames": np.log(np.maximum(self.frames, 0.5)),
            "lm_score": np.clip(self.lm_score, -50.0, 50.0),
            "depth": np.log(np.maximum(self.depth, 1.0)),
        }
        return np.stack([columns[name] for name in names], axis=1) if names else np.zeros((len(self), 0))


def log_odds(posterior: np.ndarray) -> np.ndarray:
    """Returns log p / (1 − p), float64 [K], of posteriors held within what they can tell."""
    held = np.clip(posterior, 1.0 - SUREST, SUREST)
    return np.log(held / (1.0 - held))


def word_facts(
    compact: CompactLattice, found: MbrResult, labels: Sequence[str], acoustic_scale: float, lm_scale: float = 1.0
) -> WordFacts:
    """Collects the facts of the words that minimum Bayes risk decoding, or `fixed` words, found in a lattice.

    Args:
      compact: trimmed; best with its words on their frames (`timing.lattice_alignment.align_lattice`).
      found: of `mbr_decode` with the same scales.
      labels: the words as text, as many as `found.word_ids`.

    Raises:
      ValueError: another number of labels than of words.
    """
    if len(labels) != len(found.word_ids):
        raise ValueError(f"{len(labels)} labels for {len(found.word_ids)} words")
    letters = np.array([len(label) for label in labels], np.float64)
    scores, depth = _of_arcs(compact, found, acoustic_scale, lm_scale)
    frames = found.end_frames - found.begin_frames
    return WordFacts(found.confidences, letters, frames, scores, depth)


def utterance_confidence(confidences: np.ndarray) -> float:
    """Returns the share of its words expected to be right, the mean of their confidences; 0 without words.

    Args:
      confidences: float64 [K], best calibrated.
    """
    return float(np.mean(confidences)) if len(confidences) else 0.0


def without_words(compact: CompactLattice, words: Sequence[str], table: SymbolTable) -> CompactLattice:
    """Returns the lattice with the arcs of some words, such as one that stands for silence, without a word.

    Raises:
      InputError: the table lacks one.
    """
    for word in words:
        if word not in table:
            raise InputError.at("words.txt", f"lacks the silent word '{quote(word)}'", "Name words of the graph.")
    if not words:
        return compact
    silent = np.isin(compact.word_ids, [table[word] for word in words])
    return replace(compact, word_ids=np.where(silent, 0, compact.word_ids).astype(np.int32))


def join(parts: Sequence[WordFacts]) -> WordFacts:
    """Returns the words of several utterances one after another."""
    names = ("posterior", "letters", "frames", "lm_score", "depth")
    return WordFacts(*(np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)]) for name in names))


def _of_arcs(
    compact: CompactLattice, found: MbrResult, acoustic_scale: float, lm_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Graph score and depth of each word, float64 [K] each."""
    count = len(found.word_ids)
    if not count or compact.start < 0:
        return np.zeros(count), np.ones(count)
    times = state_times(compact)
    begins, ends = times[compact.sources], times[compact.next_states]
    posterior = _arc_shares(compact, acoustic_scale, lm_scale)
    crossing = np.zeros(int(times.max()) + 2)
    np.add.at(crossing, begins, 1.0)
    np.add.at(crossing, ends, -1.0)
    summed = np.concatenate([[0.0], np.cumsum(np.cumsum(crossing))])
    scores, depth = np.zeros(count), np.ones(count)
    for number, word in enumerate(found.word_ids.tolist()):
        first = int(found.begin_frames[number])
        last = max(int(np.ceil(found.end_frames[number])), first + 1)
        depth[number] = (summed[last] - summed[first]) / (last - first)
        arcs = np.flatnonzero((compact.word_ids == word) & (begins < last) & (ends >= first))
        weight = posterior[arcs].sum()
        scores[number] = posterior[arcs] @ compact.graph_scores[arcs] / weight if weight > 0 else 0.0
    return scores, depth


def _arc_shares(compact: CompactLattice, acoustic_scale: float, lm_scale: float = 1.0) -> np.ndarray:
    """Returns float64 [A], the share of a trimmed lattice's path weight that crosses each arc."""
    weighted = scaled(compact, acoustic_scale, lm_scale)
    rows = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).astype(np.int64)
    scores = weighted.graph_scores.astype(np.float64) + weighted.acoustic_scores
    finals = weighted.final_graph_scores.astype(np.float64) + weighted.final_acoustic_scores
    alpha = kernels.forward_sum(rows, compact.next_states, scores)
    beta = kernels.backward_sum(rows, compact.next_states, scores, finals)
    return np.exp(alpha[compact.sources] + scores + beta[compact.next_states] - beta[0])
