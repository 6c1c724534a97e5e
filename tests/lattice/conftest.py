"""Random lattices and brute force over their paths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hybrid.lattice.lattice import Lattice


def make_lattice(seed: int, frames: int = 4, width: int = 3, words: int = 4) -> Lattice:
    """A small connected lattice with epsilon arcs; scores are multiples of 1/8, so sums are exact."""
    rng = np.random.default_rng(seed)
    levels = [[0]]
    arcs: list[tuple] = []

    def score(scale: float) -> float:
        return -float(rng.integers(0, 8 * scale)) / 8

    count = 1
    for _ in range(frames):
        here = list(range(count, count + int(rng.integers(1, width + 1))))
        count += len(here)
        for target in here:
            for source in {int(s) for s in rng.choice(levels[-1], size=2)}:
                word = int(rng.integers(1, words)) if rng.random() < 0.4 else 0
                arcs.append((source, target, int(rng.integers(1, 9)), word, score(4), score(30)))
        if len(here) > 1 and rng.random() < 0.5:
            arcs.append((here[0], here[-1], 0, int(rng.integers(0, words)), score(4), 0.0))
        levels.append(here)
    finals = np.full((2, count), -np.inf)
    for state in levels[-1]:
        finals[:, state] = score(4), 0.0
    return Lattice.from_arcs(count, 0, [np.array(c) for c in zip(*arcs)], finals)


def all_paths(lattice: Lattice) -> list[list[int]]:
    """Every complete path as its arcs."""
    paths, stack = [], [(0, [])] if lattice.num_states else []
    while stack:
        state, arcs = stack.pop()
        if np.isfinite(lattice.final_graph_scores[state]):
            paths.append(arcs)
        for arc in range(lattice.row_splits[state], lattice.row_splits[state + 1]):
            stack.append((int(lattice.next_states[arc]), [*arcs, arc]))
    return paths


def path_score(lattice: Lattice, arcs: list[int], scale: float, lm: float = 1.0, penalty: float = 0.0) -> float:
    """The combined score of a path."""
    last = int(lattice.next_states[arcs[-1]]) if arcs else 0
    return float(lattice.arc_scores(scale, lm, penalty)[arcs].sum() + lattice.final_scores(scale, lm)[last])


@pytest.fixture(scope="session")
def random_lattice() -> Callable[..., Lattice]:
    return make_lattice


@pytest.fixture(scope="session")
def brute() -> tuple[Callable, Callable]:
    """(all_paths, path_score)."""
    return all_paths, path_score
