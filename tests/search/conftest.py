"""Random graphs, scores, and brute force over paths through a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays
from hybrid.lattice.lattice import Lattice
from tests.tiny_recogniser import tiny  # noqa: F401  (a fixture)

NUM_PDFS = 5


def make_fst(seed: int, states: int = 8, arcs: int = 24) -> FstArrays:
    """A random graph: transition-ids 1..5 (pdf = id - 1), epsilons that only lead forwards, some words.

    A chain through all states makes sure that the last one, which is final, is reached.
    """
    rng = np.random.default_rng(seed)
    sources, targets = rng.integers(0, states, arcs), rng.integers(0, states, arcs)
    sources[: states - 1], targets[: states - 1] = np.arange(states - 1), np.arange(1, states)
    ids = rng.integers(1, NUM_PDFS + 1, arcs)
    ids[(rng.random(arcs) < 0.25) & (targets > sources) & (np.arange(arcs) >= states - 1)] = 0
    words = np.where(rng.random(arcs) < 0.4, rng.integers(1, 5, arcs), 0)
    finals = np.where(rng.random(states) < 0.4, rng.random(states), np.inf)
    finals[states - 1] = 0.5
    return FstArrays.from_arcs(0, sources, ids, words, targets, 3 * rng.random(arcs), finals)


def make_scores(seed: int, frames: int) -> np.ndarray:
    return (3 * np.random.default_rng(seed).normal(size=(frames, NUM_PDFS))).astype(np.float32)


def enumerate_paths(fst: FstArrays, scores: np.ndarray, scale: float) -> dict[tuple, float]:
    """(transition-ids, words) of every complete path with the best score of such a path."""
    found: dict[tuple, float] = {}
    stack = [(fst.start, 0, (), (), 0.0)]
    while stack:
        state, frame, ids, words, total = stack.pop()
        if frame == len(scores) and np.isfinite(fst.final_costs[state]):
            value = total - float(fst.final_costs[state])
            found[ids, words] = max(found.get((ids, words), -np.inf), value)
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            label, word = int(fst.ilabels[arc]), int(fst.olabels[arc])
            value = total - float(fst.costs[arc])
            more = (*words, word) if word else words
            if not label:
                stack.append((int(fst.next_states[arc]), frame, ids, more, value))
            elif frame < len(scores):
                value += scale * float(scores[frame, label - 1])
                stack.append((int(fst.next_states[arc]), frame + 1, (*ids, label), more, value))
    return found


def lattice_paths(lattice: Lattice, scale: float) -> dict[tuple, float]:
    """The same of a lattice."""
    arc_scores, finals = lattice.arc_scores(scale), lattice.final_scores(scale)
    found: dict[tuple, float] = {}
    stack = [(0, (), (), 0.0)] if lattice.num_states else []
    while stack:
        state, ids, words, total = stack.pop()
        if np.isfinite(finals[state]):
            found[ids, words] = max(found.get((ids, words), -np.inf), total + finals[state])
        for arc in range(lattice.row_splits[state], lattice.row_splits[state + 1]):
            label, word = int(lattice.transition_ids[arc]), int(lattice.word_ids[arc])
            stack.append(
                (
                    int(lattice.next_states[arc]),
                    (*ids, label) if label else ids,
                    (*words, word) if word else words,
                    total + arc_scores[arc],
                )
            )
    return found


def arcs_of(lattice: Lattice) -> list[tuple]:
    """What a lattice holds, whatever the numbers of its states."""
    return sorted(
        zip(
            lattice.state_frames[lattice.sources].tolist(), lattice.transition_ids.tolist(), lattice.word_ids.tolist(),
            lattice.graph_scores.tolist(), lattice.acoustic_scores.tolist(),
        )
    )  # fmt: skip


class Tools:
    """The functions above, for tests."""

    num_pdfs = NUM_PDFS
    transition_pdfs = np.arange(-1, NUM_PDFS)
    fst = staticmethod(make_fst)
    scores = staticmethod(make_scores)
    enumerate_paths = staticmethod(enumerate_paths)
    lattice_paths = staticmethod(lattice_paths)
    arcs_of = staticmethod(arcs_of)


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools


@pytest.fixture(scope="session")
def build(tools: type[Tools]) -> Callable:
    """build(engine, fst, config) → a searcher."""

    def make(engine: str, fst: FstArrays, config):  # type: ignore[no-untyped-def]
        if engine == "k2":
            from hybrid.search.engines.k2 import K2Searcher
            from hybrid.search.engines.k2_graph import prepare_graph

            return K2Searcher(prepare_graph(fst, tools.transition_pdfs, tools.num_pdfs), tools.num_pdfs, config)
        from hybrid.search.engines.native import NativeSearcher
        from hybrid.search.engines.reference import ReferenceSearcher
        from hybrid.search.graph import SearchGraph

        graph = SearchGraph.from_fst(fst, tools.transition_pdfs, tools.num_pdfs)
        if engine in ("torch", "triton"):
            from hybrid.search.together.torch_search import TorchSearcher

            return TorchSearcher(graph, config, kernels=engine)
        return (NativeSearcher if engine == "native" else ReferenceSearcher)(graph, config)

    return make
