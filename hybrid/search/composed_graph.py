"""A graph of H, C and L composed with G, as far as a search has gone; and its lattices with exact back-off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hybrid.base.log import get_logger
from hybrid.lattice.kernels import backward_max
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.prune import prune
from hybrid.lookahead.compose_kernels import Source
from hybrid.lookahead.composed import Composed
from hybrid.lookahead.exact_backoff import Ways, part_histories
from hybrid.lookahead.numbered_grammar import Language
from hybrid.lookahead.tree import LexiconGraph, lexicon_graph
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import SearchResult

__all__ = ["NOTHING_LEFT", "ComposedGraph", "exact_result", "lexicon_of"]

Left = tuple[int, int]  # first and last history that a path has backed off from since its last word
NOTHING_LEFT: Left = (-1, -1)

_log = get_logger(__name__)


def lexicon_of(graph: SearchGraph, word_score: float) -> LexiconGraph:
    """Returns H∘C∘L for look-ahead; see `LexiconGraph.word_score`."""
    return lexicon_graph(
        graph.start, graph.bounds, graph.arcs, graph.transition_ids, graph.word_ids, graph.final_scores, word_score
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ComposedGraph(SearchGraph):
    """What has been composed.

    Attributes:
      words: one more than the highest word.
      marked: back-off arcs have as word `words` + the state of G that they leave, and not none.
    """

    words: int = 0
    marked: bool = False

    @classmethod
    def of(cls, composed: Composed, source: Source, num_pdfs: int) -> ComposedGraph:
        """Returns it in the memory of the composition."""
        states, arcs = composed.counts.tolist()
        return cls(
            0, num_pdfs, composed.bounds[: 4 * states].view(np.int32).reshape(-1, 2),
            composed.arcs[: 3 * arcs].view(np.int32).reshape(-1, 3), composed.transition_ids[:arcs],
            composed.word_ids[:arcs], composed.final_scores[: 2 * states], words=len(source.tree.word_numbers),
        )  # fmt: skip

    def labels(self, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchGraph.labels`."""
        words = self.word_ids[arcs]
        return self.transition_ids[arcs], np.where(words < 0, self.words - 1 - words if self.marked else 0, words)


def exact_result(source: Source, result: SearchResult, left: Left = NOTHING_LEFT) -> tuple[SearchResult, Left]:
    """Leaves out of a lattice with marks (`ComposedGraph`) all paths that back off beside an n-gram of G.

    Of a stretch of a stream those paths stay that end having left what the best one has. Where there is no path, what
    was left before the stretch is forgotten; where there is none still, back-off stays as the search took it.

    Args:
      left: before the first frame of the lattice.

    Returns:
      The result without marks, its lattice pruned again; and what its best path has left at its end.
    """
    lattice, words = result.lattice, len(source.tree.word_numbers)
    marks = lattice.word_ids >= words
    if lattice.is_empty or (left == NOTHING_LEFT and not marks.any()):
        return result, NOTHING_LEFT
    said, config = np.where(marks, 0, lattice.word_ids), result.attempts[-1]
    scores, finals = lattice.arc_scores(config.scale), lattice.final_scores(config.scale)
    ways = Ways(
        lattice.row_splits, lattice.next_states, scores,
        backward_max(lattice.row_splits, lattice.next_states, scores, finals)[0],
        np.where(marks, lattice.word_ids.astype(np.int64) - words, -1),
        np.where(said > 0, source.tree.word_numbers[said], -1).astype(np.int64),
    )  # fmt: skip
    for before in (left, NOTHING_LEFT):
        made, best = _parted(ways, finals, source.language, before, result.complete, float(config.lattice_beam))
        if best >= 0:
            break
        _log.debug("no path backs off exactly from %s on", before)
    else:
        return replace(result, lattice=replace(lattice, word_ids=said)), NOTHING_LEFT
    rows, nexts, arcs, copies, _, barred = made
    if result.status == "committed":
        barred |= (copies[:, 1:] != copies[best, 1:]).any(axis=1)
    states = copies[:, 0]
    parted = Lattice(
        rows, nexts, lattice.transition_ids[arcs], said[arcs], lattice.graph_scores[arcs],
        lattice.acoustic_scores[arcs], np.where(barred, -np.inf, lattice.final_graph_scores[states]),
        lattice.final_acoustic_scores[states],
    )  # fmt: skip
    pruned = prune(parted, config.lattice_beam, config.scale)
    return replace(result, lattice=pruned), (int(copies[best, 1]), int(copies[best, 2]))


def _parted(
    ways: Ways, finals: np.ndarray, language: Language, left: Left, ended: bool, beam: float
) -> tuple[tuple[np.ndarray, ...], int]:
    """Makes what lies within the beam of the best path, which is looked for near the best one with back-off by ε first.

    Args:
      finals: float64 [S], scores of ending. ended: there sentences end.

    Returns:
      What `part_histories` gives, and the copy in which the best path ends, -1 where there is none.
    """
    top, tolerance = ways.rest[0], 1e-9 * abs(ways.rest[0])

    def at_least(floor: float) -> tuple[tuple[np.ndarray, ...], int, float]:
        """The same, and the score of the best path."""
        made = part_histories(ways, np.isfinite(finals) & ended, language, *left, floor - tolerance)
        *_, copies, totals, barred = made
        totals = np.where(barred, -np.inf, totals + finals[copies[:, 0]])
        best = int(totals.argmax())
        return made, best if totals[best] > -np.inf else -1, float(totals[best])

    made, best, score = at_least(top - beam)
    if best < 0:
        made, best, score = at_least(-np.inf)
    elif score < top - tolerance:
        made, best, score = at_least(score - beam)
    return made, best
