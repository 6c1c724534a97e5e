"""From what token passing kept to a lattice: links between tokens become arcs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.lattice.lattice import Lattice
from hybrid.lattice.prune import prune
from hybrid.search.config import SearchConfig
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearchResult, Status

__all__ = ["INTERVAL", "Level", "assemble", "commit", "cut", "partial_result"]

INTERVAL = 25  # frames between prunings of old links, and between looks at what is settled


@dataclass(eq=False)
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


def assemble(
    graph: SearchGraph,
    config: SearchConfig,
    levels: Sequence[Level],
    limited: int | None,
    first_frame: int = 0,
    committed: bool = False,
) -> SearchResult:
    """Builds the result of an utterance from its levels (one more than frames); token 0 of level 0 is the start.

    Where no token of the last level is in a final state, all of them count as final and the result is partial.

    Args:
      first_frame: frames committed before.
      committed: the last level is where the stream goes on; its tokens count as final.
    """
    frames = len(levels) - 1
    last = levels[-1]
    if frames == 0 or not len(last.states):
        return SearchResult(Lattice.empty(), "empty", limited, frames, (config,), first_frame)
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
    status: Status = "committed" if committed else "complete" if np.isfinite(finals).any() else "partial"
    if status != "complete":
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
    lattice = prune(lattice, config.lattice_beam, config.scale)
    return SearchResult(lattice, "empty" if lattice.is_empty else status, limited, frames, (config,), first_frame)


def cut(levels: Sequence[Level], frame: int, state: int) -> tuple[list[Level], list[Level]]:
    """Cuts an utterance at the token of `state` after `frame` frames, through which its best path goes.

    Returns:
      The levels up to there, the last one with this token alone; and those from there on, the first one with this
      token and what it reaches by epsilons. Other paths over the cut are gone.
    """
    level = levels[frame]
    token = int(np.flatnonzero(level.states == state)[0])
    into = level.targets == token
    none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
    ends = Level(
        level.states[[token]], level.scores[[token]], level.sources[into], np.zeros(int(into.sum()), np.int32),
        level.arcs[into], level.acoustic[into], none, none, none, np.zeros(1),
    )  # fmt: skip
    reached = [token]
    for at in reached:
        reached += sorted(set(level.eps_targets[level.eps_sources == at].tolist()) - set(reached))
    place = np.full(len(level.states) + 1, -1, np.int32)
    place[reached] = np.arange(len(reached))
    inside = place[level.eps_sources] >= 0
    begins = Level(
        level.states[reached], level.scores[reached], none, none, none, nothing, place[level.eps_sources[inside]],
        place[level.eps_targets[inside]], level.eps_arcs[inside], np.zeros(len(reached)),
    )  # fmt: skip
    if frame + 1 == len(levels):
        return [*levels[:frame], ends], [begins]
    after = levels[frame + 1]
    going_on = place[after.sources] >= 0
    following = replace(
        after, sources=place[after.sources[going_on]], targets=after.targets[going_on], arcs=after.arcs[going_on],
        acoustic=after.acoustic[going_on],
    )  # fmt: skip
    return [*levels[:frame], ends], [begins, following, *levels[frame + 2 :]]


def commit(
    graph: SearchGraph, config: SearchConfig, levels: Sequence[Level], trunk: np.ndarray, frames: int,
    limited: int | None, first_frame: int,
) -> tuple[SearchResult, int, list[Level]] | None:  # fmt: skip
    """Cuts off the first frames of a stream; see `Stream.commit`.

    Args:
      trunk: int32, graph arcs of the settled part of the best path.

    Returns:
      What was found in these frames, how many arcs of the trunk they are, and the levels of the rest; None where there
      is nothing to cut off.
    """
    emitting = np.flatnonzero(graph.transition_ids[trunk])
    if not 0 <= frames <= len(emitting):
        raise ValueError(f"{frames} frames to be committed, {len(emitting)} are settled")
    if not frames or not len(levels[-1].states):
        return None
    place = int(emitting[frames - 1]) + 1  # before the epsilons that follow
    done, rest = cut(levels, frames, int(graph.arcs[trunk[place - 1], 0]))
    return assemble(graph, config, done, limited, first_frame, committed=True), place, rest


def partial_result(graph: SearchGraph, trunk: np.ndarray, branch: np.ndarray, frames: int, first: int) -> PartialResult:
    """Reads words and transition-ids off the graph arcs of the best path.

    Args:
      trunk: arcs of its settled part. branch: of the rest. frames: taken in. first: committed before.
    """
    arcs = np.concatenate([trunk, branch]).astype(np.int64)
    words, ids = graph.word_ids[arcs], graph.transition_ids[arcs]
    settled = ids[: len(trunk)]
    last = int(np.flatnonzero(settled)[-1]) + 1 if settled.any() else 0
    return PartialResult(
        words[words != 0], ids[ids != 0], frames, int(np.count_nonzero(settled)),
        int(np.count_nonzero(words[:last])), first,
    )  # fmt: skip
