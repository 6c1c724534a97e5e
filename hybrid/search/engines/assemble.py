"""From what token passing kept to a lattice: links between tokens become arcs."""

from __future__ import annotations

import numpy as np

from hybrid.lattice.lattice import Lattice
from hybrid.lattice.prune import prune
from hybrid.search.config import SearchConfig
from hybrid.search.engines.trellis import Trellis, cut
from hybrid.search.protocol import PartialResult, SearchResult, Status
from hybrid.search.raised_graph import OpenGraph

__all__ = ["BEAM_DELTA", "INTERVAL", "assemble", "commit", "partial_result"]

BEAM_DELTA = 0.5  # as in Kaldi: how much wider than the tokens kept the next frame is, where a limit decides
INTERVAL = 25  # frames between prunings of old links, and between looks at what is settled

Tokens = tuple[np.ndarray, np.ndarray]  # their states and scores


def assemble(
    graph: OpenGraph,
    config: SearchConfig,
    trellis: Trellis,
    limited: int | None,
    first_frame: int = 0,
    committed: bool = False,
) -> SearchResult:
    """Builds the result of an utterance from its tokens; token 0 of level 0 is the start.

    Where no token of the last level is in a final state, all of them count as final and the result is partial.

    Args:
      first_frame: frames committed before.
      committed: the last level is where the stream goes on; its tokens count as final.
    """
    frames, last = trellis.num_frames, trellis.last
    if frames == 0 or last.start == last.stop:
        return SearchResult(Lattice.empty(), "empty", limited, frames, (config,), first_frame)
    sources, targets, graph_arcs, scores, acoustic = _arcs(trellis)
    finals = graph.ends(trellis.states[last])
    status: Status = "committed" if committed else "complete" if np.isfinite(finals).any() else "partial"
    if status != "complete":
        finals = np.zeros(len(finals), np.float32)
    final_graph = np.full(last.stop, -np.inf, np.float32)
    final_graph[last] = finals
    final_acoustic = np.where(np.isfinite(final_graph), 0.0, -np.inf)
    columns = sources, targets, *graph.labels(graph_arcs), scores, acoustic
    lattice = Lattice.from_arcs(last.stop, 0, columns, (final_graph, final_acoustic))
    lattice = prune(lattice, config.lattice_beam, config.scale)
    status, begin = "empty" if lattice.is_empty else status, graph.place_of(int(trellis.states[0]))
    return SearchResult(lattice, status, limited, frames, (config,), first_frame, begin=begin)


def _arcs(trellis: Trellis) -> tuple[np.ndarray, ...]:
    """Returns sources and targets (int64, tokens counted through), graph arcs, their scores, acoustic scores."""
    splits = trellis.splits[: trellis.levels + 1]
    _, num_links, num_epsilons = splits[-1].tolist()
    links, epsilons = trellis.links[:num_links], trellis.epsilons[:num_epsilons]
    here = np.repeat(splits[:-1, 0], np.diff(splits[:, 1]))
    before = np.repeat(np.concatenate([[0], splits[:-2, 0]]), np.diff(splits[:, 1]))
    inside = np.repeat(splits[:-1, 0], np.diff(splits[:, 2]))
    sources = np.concatenate([inside + epsilons[:, 0], before + links[:, 0]])
    targets = np.concatenate([inside + epsilons[:, 1], here + links[:, 1]])
    acoustic = np.concatenate([np.zeros(num_epsilons, np.float32), trellis.acoustic[:num_links]])
    arcs, bits = np.concatenate([epsilons[:, 2:], links[:, 2:]]).T.copy()
    return sources, targets, arcs, bits.view(np.float32), acoustic


def commit(
    graph: OpenGraph, config: SearchConfig, trellis: Trellis, trunk: np.ndarray, frames: int,
    limited: int | None, first_frame: int,
) -> tuple[SearchResult, int, Trellis] | None:  # fmt: skip
    """Cuts off the first frames of a stream; see `Stream.commit`.

    Args:
      trunk: int32, graph arcs of the settled part of the best path.

    Returns:
      What was found in these frames, how many arcs of the trunk they are, and the trellis of the rest; None where
      there is nothing to cut off.
    """
    emitting = np.flatnonzero(graph.labels(trunk)[0])
    if not 0 <= frames <= len(emitting):
        raise ValueError(f"{frames} frames to be committed, {len(emitting)} are settled")
    if not frames or trellis.last.start == trellis.last.stop:
        return None
    place = int(emitting[frames - 1]) + 1  # before the epsilons that follow
    done, rest = cut(trellis, frames, graph.state_behind(int(trellis.states[0]), trunk[:place]))
    return assemble(graph, config, done, limited, first_frame, committed=True), place, rest


def partial_result(
    graph: OpenGraph, trunk: np.ndarray, branch: np.ndarray, frames: int, first: int, tokens: Tokens
) -> PartialResult:
    """Reads words and transition-ids off the graph arcs of the best path.

    Args:
      trunk: arcs of its settled part. branch: of the rest. frames: taken in. first: committed before.
      tokens: states and scores of the last level.
    """
    arcs = np.concatenate([trunk, branch]).astype(np.int64)
    ids, words = graph.labels(arcs)
    settled = ids[: len(trunk)]
    last = int(np.flatnonzero(settled)[-1]) + 1 if settled.any() else 0
    return PartialResult(
        words[words != 0], ids[ids != 0], frames, int(np.count_nonzero(settled)),
        int(np.count_nonzero(words[:last])), first, _final_loss(graph, *tokens),
    )  # fmt: skip


def _final_loss(graph: OpenGraph, states: np.ndarray, scores: np.ndarray) -> float:
    """Returns what the best token with its final score loses against the best token."""
    if not len(scores):
        return float("inf")
    return float(scores.max() - (scores + graph.ends(states)).max())
