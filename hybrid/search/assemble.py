"""From what token passing kept to a lattice: links between tokens become arcs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.lattice.lattice import Lattice
from hybrid.lattice.prune import prune
from hybrid.search.config import SearchConfig
from hybrid.search.graph import SearchGraph
from hybrid.search.searcher import PartialResult, SearchResult, Status

__all__ = ["Level", "assemble", "trace_best"]


@dataclass
class Level:
    """The tokens alive after a number of frames, and the links that lead to them.

    Attributes:
      states: int32 [N], graph state of each token.
      scores: float64 [N], the best score of a path to it.
      sources, targets, arcs: int32 [L], links over one frame: token of the level before, token here, graph arc.
      acoustic: float32 [L], their unscaled acoustic scores.
      eps_sources, eps_targets, eps_arcs: int32 [E], links without a frame, between tokens of this level.
      extra: float64 [N], by how much the best path through a token was known to be worse than the best path.
    """

    states: np.ndarray
    scores: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    arcs: np.ndarray
    acoustic: np.ndarray
    eps_sources: np.ndarray
    eps_targets: np.ndarray
    eps_arcs: np.ndarray
    extra: np.ndarray


def assemble(graph: SearchGraph, config: SearchConfig, levels: Sequence[Level], limited: int | None) -> SearchResult:
    """Builds the result of an utterance from its levels (one more than frames); token 0 of level 0 is the start.

    Where no token of the last level is in a final state, all of them count as final and the result is partial.
    """
    frames = len(levels) - 1
    last = levels[-1]
    if frames == 0 or not len(last.states):
        return SearchResult(Lattice.empty(), "empty", limited, frames, (config,))
    offsets = np.concatenate([[0], np.cumsum([len(level.states) for level in levels])])
    sources, targets, arcs, acoustic = [], [], [], []
    for t, level in enumerate(levels):
        before = offsets[t - 1] if t else 0
        sources += [before + level.sources.astype(np.int64), offsets[t] + level.eps_sources.astype(np.int64)]
        targets += [offsets[t] + level.targets.astype(np.int64), offsets[t] + level.eps_targets.astype(np.int64)]
        arcs += [level.arcs, level.eps_arcs]
        acoustic += [level.acoustic, np.zeros(len(level.eps_arcs), np.float32)]
    graph_arcs = np.concatenate(arcs).astype(np.int64)
    finals = graph.final_scores[last.states]
    status: Status = "complete" if np.isfinite(finals).any() else "partial"
    if status == "partial":
        finals = np.zeros(len(last.states), np.float32)
    final_graph = np.full(int(offsets[-1]), -np.inf, np.float32)
    final_graph[offsets[-2] :] = finals
    final_acoustic = np.where(np.isfinite(final_graph), 0.0, -np.inf)
    lattice = Lattice.from_arcs(
        int(offsets[-1]),
        0,
        (
            np.concatenate(sources),
            np.concatenate(targets),
            graph.transition_ids[graph_arcs],
            graph.word_ids[graph_arcs],
            graph.graph_scores[graph_arcs],
            np.concatenate(acoustic),
        ),
        (final_graph, final_acoustic),
    )
    lattice = prune(lattice, config.lattice_beam, config.acoustic_scale)
    return SearchResult(lattice, "empty" if lattice.is_empty else status, limited, frames, (config,))


def trace_best(graph: SearchGraph, config: SearchConfig, levels: Sequence[Level]) -> PartialResult:
    """Follows the best token of the last level back to the start."""
    frames = len(levels) - 1
    arcs: list[int] = []
    if len(levels[-1].states):
        token = int(np.argmax(levels[-1].scores))
        t = frames
        while t > 0 or token != 0:
            level = levels[t]
            arc, token, crossed = _best_link(graph, config, level, levels[t - 1] if t else None, token)
            if arc < 0:
                break
            arcs.append(arc)
            t -= crossed
    index = np.array(arcs[::-1], np.int64)
    words, ids = graph.word_ids[index], graph.transition_ids[index]
    return PartialResult(words[words != 0], ids[ids != 0], frames)


def _best_link(
    graph: SearchGraph, config: SearchConfig, level: Level, before: Level | None, token: int
) -> tuple[int, int, int]:
    """Returns (graph arc, source token, frames crossed) of the best link into a token."""
    best, found = -np.inf, (-1, 0, 0)
    scores = graph.graph_scores
    for link in np.flatnonzero(level.eps_targets == token):
        value = level.scores[level.eps_sources[link]] + scores[level.eps_arcs[link]]
        if value > best:
            best, found = value, (int(level.eps_arcs[link]), int(level.eps_sources[link]), 0)
    for link in np.flatnonzero(level.targets == token) if before is not None else ():
        value = before.scores[level.sources[link]] + scores[level.arcs[link]]  # type: ignore[union-attr]
        value += config.acoustic_scale * float(level.acoustic[link])
        if value > best:
            best, found = value, (int(level.arcs[link]), int(level.sources[link]), 1)
    return found
