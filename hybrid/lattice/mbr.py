"""Minimum Bayes risk decoding and confusion networks (Xu et al. 2011): the words with the fewest expected errors.

From the best path on, words are exchanged, dropped and put in as long as the expected edit distance to the lattice
falls. On the way every word of the lattice finds its place beside a word of the hypothesis, or beside a gap between
two: that is the confusion network, with posteriors and times, and a word's posterior there is its confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.mbr_kernels import edit_statistics

__all__ = ["ConfusionNetwork", "MbrResult", "mbr_decode"]

MAX_PASSES = 100


@dataclass(frozen=True, eq=False)
class ConfusionNetwork(ByContent):
    """Bins in order; of each the words that compete in it, the most probable first.

    Attributes:
      row_splits: int64 [B+1]; words of bin b are `row_splits[b]:row_splits[b + 1]`.
      word_ids: int32 [W], 0 for "no word here".
      posteriors: float64 [W], those of a bin sum to one.
      begin_frames, end_frames: float64 [W], expected times in frames of the acoustic model.
      bin_begins, bin_ends: float64 [B], expected times of the bins; they do not overlap.
    """

    row_splits: np.ndarray
    word_ids: np.ndarray
    posteriors: np.ndarray
    begin_frames: np.ndarray
    end_frames: np.ndarray
    bin_begins: np.ndarray
    bin_ends: np.ndarray

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __repr__(self) -> str:
        return f"<ConfusionNetwork: {len(self)} bins, {len(self.word_ids)} entries>"

    def bin(self, number: int) -> list[tuple[int, float]]:
        """Returns (word id, posterior) of a bin, the most probable first."""
        rows = slice(self.row_splits[number], self.row_splits[number + 1])
        return list(zip(self.word_ids[rows].tolist(), self.posteriors[rows].tolist()))


@dataclass(frozen=True, eq=False)
class MbrResult(ByContent):
    """What `mbr_decode` finds.

    Attributes:
      word_ids: int32 [K], the hypothesis, without gaps.
      confidences: float64 [K], posteriors of its words.
      begin_frames, end_frames: float64 [K], expected times in frames of the acoustic model; words do not overlap.
      risk: the expected number of errors.
      network: the confusion network around it, every second bin a gap between two words.
    """

    word_ids: np.ndarray
    confidences: np.ndarray
    begin_frames: np.ndarray
    end_frames: np.ndarray
    risk: float
    network: ConfusionNetwork

    def __repr__(self) -> str:
        return f"<MbrResult: {len(self.word_ids)} words, risk {self.risk:.2f}; {self.network!r}>"


def mbr_decode(
    compact: CompactLattice, acoustic_scale: float, lm_scale: float = 1.0, word_insertion_penalty: float = 0.0,
    words: np.ndarray | None = None, fixed: bool = False,
) -> MbrResult:  # fmt: skip
    """Decodes for the least expected number of word errors (lattice-mbr-decode).

    Args:
      compact: states in topological order from 0, as `determinize` and `factor` give it.
      acoustic_scale, lm_scale, word_insertion_penalty: as of `Lattice.arc_scores`.
      words: int32, where to begin; by default at the best path.
      fixed: keep those words, and find only their confidences and the network (lattice-to-ctm-conf --decode-mbr=false).

    Returns:
      Words and network; both empty for an empty lattice, whose risk is 0.
    """
    lattice = _Words(compact, acoustic_scale, lm_scale, word_insertion_penalty)
    if lattice.is_empty:
        none, ints = np.zeros(0), np.zeros(0, np.int32)
        network = ConfusionNetwork(np.zeros(1, np.int64), ints, none, none, none, none, none)
        return MbrResult(ints, none, none, none, 0.0, network)
    words = lattice.best_words() if words is None else np.asarray(words, np.int32)
    for _ in range(MAX_PASSES):
        hypothesis = _with_gaps(words)
        risk, gamma, begins, ends = lattice.statistics(hypothesis)
        if fixed:
            break
        best = _first_largest(gamma, lattice.vocabulary, hypothesis)
        gain = (gamma.max(axis=1) - gamma[np.arange(len(hypothesis)), lattice.index(hypothesis)]).sum()
        hypothesis = best
        words = best[best != 0]
        if gain == 0:
            break
    return _result(hypothesis, risk, gamma, begins, ends, lattice.vocabulary)


def _with_gaps(words: np.ndarray) -> np.ndarray:
    """0 w1 0 w2 … 0: a gap before, between and after the words."""
    out = np.zeros(2 * len(words) + 1, np.int32)
    out[1::2] = words
    return out


def _first_largest(gamma: np.ndarray, vocabulary: np.ndarray, hypothesis: np.ndarray) -> np.ndarray:
    """The most probable word of each bin; where it is a tie, the one that stands there."""
    best = vocabulary[gamma.argmax(axis=1)]
    now = np.searchsorted(vocabulary, hypothesis)
    same = gamma[np.arange(len(hypothesis)), now] >= gamma.max(axis=1)
    return np.where(same, hypothesis, best).astype(np.int32)


class _Words:
    """A lattice as the algorithm wants it: one end, words numbered from 0, log weights, times."""

    def __init__(self, compact: CompactLattice, acoustic_scale: float, lm_scale: float, penalty: float) -> None:
        self.is_empty = compact.start < 0 or not np.isfinite(compact.final_graph_scores).any()
        if self.is_empty:
            return
        states = compact.num_states
        ends = np.flatnonzero(np.isfinite(compact.final_graph_scores))
        graph = np.concatenate([compact.graph_scores, compact.final_graph_scores[ends]]).astype(np.float64)
        acoustic = np.concatenate([compact.acoustic_scores, compact.final_acoustic_scores[ends]]).astype(np.float64)
        self.words = np.concatenate([compact.word_ids, np.zeros(len(ends), np.int32)])
        graph -= penalty * (self.words != 0)
        lengths = np.concatenate([np.diff(compact.string_splits), np.diff(compact.final_string_splits)[ends]])
        sources = np.concatenate([compact.sources, ends.astype(np.int32)])
        nexts = np.concatenate([compact.next_states, np.full(len(ends), states, np.int32)])
        order = np.argsort(sources, kind="stable")
        self.words, self.nexts, lengths = self.words[order], nexts[order], lengths[order]
        self.scores = (lm_scale * graph + acoustic_scale * acoustic)[order]
        self.splits = np.searchsorted(sources[order], np.arange(states + 2)).astype(np.int64)
        self.times = np.zeros(states + 1, np.int64)
        for state in range(states):
            arcs = slice(self.splits[state], self.splits[state + 1])
            self.times[self.nexts[arcs]] = self.times[state] + lengths[arcs]
        self.vocabulary = np.unique(np.concatenate([[0], self.words])).astype(np.int32)

    def index(self, words: np.ndarray) -> np.ndarray:
        """Numbers of words in `vocabulary`."""
        return np.searchsorted(self.vocabulary, words)

    def best_words(self) -> np.ndarray:
        """The words of the best path, int32."""
        finals = np.full(len(self.times), -np.inf)
        finals[-1] = 0.0
        _, first = kernels.backward_max(self.splits, self.nexts, self.scores, finals)
        words, state = [], 0
        while (arc := int(first[state])) >= 0:
            words.append(int(self.words[arc]))
            state = int(self.nexts[arc])
        return np.array([word for word in words if word], np.int32)

    def statistics(self, hypothesis: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Returns the risk and, float64 [Q][vocabulary], posteriors, and times weighted with them."""
        if not np.isin(hypothesis, self.vocabulary).all():
            self.vocabulary = np.unique(np.concatenate([self.vocabulary, hypothesis])).astype(np.int32)
        return edit_statistics(
            self.splits, self.nexts, self.index(self.words), self.scores, self.times, self.index(hypothesis),
            len(self.vocabulary),
        )  # fmt: skip


def _result(
    hypothesis: np.ndarray, risk: float, gamma: np.ndarray, begins: np.ndarray, ends: np.ndarray,
    vocabulary: np.ndarray,
) -> MbrResult:  # fmt: skip
    """Sorts the words of each bin, and takes those of the hypothesis out."""
    bins, columns = np.nonzero(gamma)
    values = gamma[bins, columns]
    order = np.lexsort((columns, -values, bins))
    bins, columns, values = bins[order], columns[order], values[order]
    bin_begins, bin_ends = begins.sum(axis=1), ends.sum(axis=1)
    for b in range(1, len(gamma)):
        if bin_ends[b - 1] > bin_begins[b]:
            bin_ends[b - 1] = bin_begins[b] = 0.5 * (bin_ends[b - 1] + bin_begins[b])
    network = ConfusionNetwork(
        np.searchsorted(bins, np.arange(len(gamma) + 1)), vocabulary[columns], values,
        begins[bins, columns] / values, ends[bins, columns] / values, bin_begins, bin_ends,
    )  # fmt: skip
    here = np.flatnonzero(hypothesis)
    own = np.searchsorted(vocabulary, hypothesis[here])
    posterior = gamma[here, own]
    shares = np.where(posterior > 0, posterior, 1.0)
    times = _parted(begins[here, own] / shares, ends[here, own] / shares)
    return MbrResult(hypothesis[here].astype(np.int32), posterior, *times, float(risk), network)


def _parted(begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parts expected times of neighbours that overlap: the longer word gets the more of it, as in Kaldi."""
    for word in range(1, len(begins)):
        shared = ends[word - 1] - begins[word]
        if shared > 0:
            before, after = ends[word - 1] - begins[word - 1], ends[word] - begins[word]
            if before + after > 0:
                ends[word - 1] = begins[word] = begins[word] + shared * after / (before + after)
            else:  # neither has a frame
                begins[word] = ends[word] = ends[word - 1]
    return begins, ends
