"""Viterbi alignment: the best path of an utterance through its training graph."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hybrid.align.alignment import Alignment
from hybrid.align.alignment_graph import AlignmentGraph, least_frames
from hybrid.align.config import AlignConfig, AlignmentError
from hybrid.base.scores import first_bad_score

__all__ = ["ScoreFrames", "best_path_reference", "viterbi_align", "viterbi_align_on_demand"]

ScoreFrames = Callable[[int, int, np.ndarray], np.ndarray]


def viterbi_align(graph: AlignmentGraph, scores: np.ndarray, config: AlignConfig | None = None) -> Alignment:
    """Finds the best path of one utterance through its training graph.

    Token passing (Young, Russell and Thornton, 1989): each live graph state keeps one token per frame, and tokens
    outside the beam are dropped. Where no final state is alive at the end the retry beam is tried.

    Args:
      graph: transition-ids in, word-ids out, with transition scores.
      scores: float32 [frame][column], unscaled scores of `graph.pdf_ids`.
      config: scales, and widths in nats; a wider beam is slower and fails less often.

    Returns:
      One transition-id per frame, the words on the path, and the score of the path.

    Raises:
      AlignmentError: no final state was alive at the last frame, or there is NaN or +inf among the scores
        (-inf is a score like others, that of an impossible pdf).
    """
    scores = np.ascontiguousarray(scores, dtype=np.float32)
    if scores.ndim != 2 or scores.shape[1] != len(graph.pdf_ids):
        raise ValueError(f"scores of shape {scores.shape} for a graph of {len(graph.pdf_ids)} pdfs")
    return viterbi_align_on_demand(graph, len(scores), lambda begin, end, columns: scores[begin:end, columns], config)


def viterbi_align_on_demand(
    graph: AlignmentGraph, num_frames: int, score: ScoreFrames, config: AlignConfig | None = None
) -> Alignment:
    """As `viterbi_align`, asking for the scores of those pdfs only that the search can reach.

    Args:
      graph, config: see there.
      num_frames: of the utterance.
      score: (begin, end, columns) → float32 [end - begin][len(columns)], unscaled scores of these frames.

    Raises:
      AlignmentError: see `viterbi_align`.
    """
    if num_frames == 0:
        raise AlignmentError("has no frames")

    def checked(begin: int, end: int, columns: np.ndarray) -> np.ndarray:
        """Scores that alignment can use, or the frame and pdf of one that it cannot."""
        part = score(begin, end, columns)
        bad = first_bad_score(part)
        if bad is not None:
            frame, pdf = begin + bad[0], graph.pdf_ids[columns[bad[1]]]
            raise AlignmentError(f"score {part[bad]} at frame {frame}, pdf {pdf}; look at the features and the model")
        return part

    config = config or AlignConfig()
    searched = graph.careful() if config.careful else graph
    for beam in (config.beam, config.retry_beam):
        if beam:
            path, cost, along = _search(searched, num_frames, checked, config, float(beam))
            if math.isfinite(cost):
                return _alignment(searched, along, path, cost, retried=beam != config.beam)
    raise AlignmentError(_why_not(graph, num_frames, config))


def _search(
    graph: AlignmentGraph, num_frames: int, score: ScoreFrames, config: AlignConfig, beam: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """Returns the arcs of the best path, its cost (infinite: no final state was alive) and its score at each frame."""
    from hybrid.align.band import best_path_scored_on_demand

    fst, size = graph.fst, (num_frames, len(graph.pdf_ids))
    arrays = fst.start, fst.row_splits, graph.columns, graph.costs, fst.next_states, fst.final_costs
    return best_path_scored_on_demand(*arrays, score, *size, config.scale, beam, config.min_active)


def _alignment(graph: AlignmentGraph, along: np.ndarray, path: np.ndarray, cost: float, retried: bool) -> Alignment:
    words = graph.fst.olabels[path]
    return Alignment(
        transition_ids=graph.fst.ilabels[path],
        word_ids=words[words > 0],
        word_frames=np.flatnonzero(words > 0).astype(np.int32),
        score=-float(cost),
        frame_scores=along,
        retried=retried,
    )


def _why_not(graph: AlignmentGraph, frames: int, config: AlignConfig) -> str:
    least = least_frames(graph.fst)
    if least > frames:
        return f"too short: {frames} frames, the text needs at least {least}"
    widest = config.retry_beam or config.beam
    careful = " or the audio goes on after the text" if config.careful else ""
    return (
        f"no final state reached within beam {widest:g} ({frames} frames, the text needs at least {least}): "
        f"the text may not be what is said{careful}"
    )


def best_path_reference(
    graph: AlignmentGraph, scores: np.ndarray, config: AlignConfig
) -> tuple[list[int], float] | None:
    """The readable reference of the band: arcs of the best path and its cost, None where no final state is alive."""
    fst = graph.fst
    tokens: dict[int, tuple[float, tuple[int, ...]]] = {int(fst.start): (0.0, ())}  # state → cost, arcs so far
    for row in scores:
        ranked = sorted(cost for cost, _ in tokens.values())
        cutoff = math.inf
        if len(ranked) > config.min_active:
            cutoff = max(ranked[0] + config.beam, ranked[config.min_active - 1])
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for state, (cost, arcs) in tokens.items():
            if cost > cutoff:
                continue
            for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
                target = int(fst.next_states[arc])
                acoustic = config.scale * float(row[graph.columns[arc]])
                total = cost + float(graph.costs[arc]) - acoustic
                if total < following.get(target, (math.inf,))[0]:
                    following[target] = (total, (*arcs, arc))
        tokens = following
    ends = [(cost + float(fst.final_costs[s]), arcs) for s, (cost, arcs) in tokens.items()]
    cost, arcs = min(ends, default=(math.inf, ()))
    return (list(arcs), cost) if math.isfinite(cost) else None
