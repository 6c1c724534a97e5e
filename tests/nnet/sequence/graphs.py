"""Small random graphs, and numerators cut from them, for the tests of the operator."""

from __future__ import annotations

import numpy as np

from hybrid.nnet.sequence.arcs import Arcs

NEVER = -np.inf


def random_arcs(seed: int, states: int = 4, arcs: int = 10, pdfs: int = 5) -> Arcs:
    """A graph with several initial and final states, parallel arcs, loops, and states that lead nowhere."""
    rng = np.random.default_rng(seed)
    ends = []
    for _ in range(2):
        weights = rng.normal(size=states)
        weights[rng.random(states) < 0.4] = NEVER
        weights[0] = -0.3
        ends.append(weights)
    sources, targets = rng.integers(0, states, arcs), rng.integers(0, states, arcs)
    sources[:2], targets[:2] = (0, 0), (0, 0)  # some path of any length
    return Arcs(sources, targets, rng.integers(0, pdfs, arcs), rng.normal(size=arcs), *ends)


def random_hmm(seed: int, states: int = 6, pdfs: int = 5) -> Arcs:
    """A graph like a denominator: what leaves a state sums to one, initial probabilities too, all states final."""
    rng = np.random.default_rng(seed)
    weights = rng.random((states, states)) * (rng.random((states, states)) < 0.6) + np.eye(states) * 0.5
    sources, targets = np.nonzero(weights)
    probabilities = (weights / weights.sum(1, keepdims=True))[sources, targets]
    initial = rng.random(states)
    return Arcs(
        sources, targets, rng.integers(0, pdfs, len(sources)), np.log(probabilities),
        np.log(initial / initial.sum()), np.zeros(states),
    )  # fmt: skip


def unrolled(graph: Arcs, frames: int, keep: float, seed: int) -> Arcs:
    """What remains of a graph's paths of some length when arcs are left out by chance: one arc per frame."""
    rng = np.random.default_rng(seed)
    found = []
    for t in range(frames):
        kept = np.flatnonzero((rng.random(graph.num_arcs) < keep) | (np.arange(graph.num_arcs) % 7 == 0))
        found.append((graph.from_state[kept] + t * graph.num_states, graph.to_state[kept] + (t + 1) * graph.num_states,
                      graph.pdf[kept], graph.log_weight[kept]))  # fmt: skip
    never = np.full(frames * graph.num_states, NEVER)
    sources, targets, pdfs, weights = (np.concatenate(column) for column in zip(*found))
    return Arcs(sources, targets, pdfs, weights, np.append(graph.initial, never), np.append(never, graph.final))


def linear(pdfs: list[int]) -> Arcs:
    """One state after the other, each with a loop: a flat-start numerator."""
    states = np.arange(len(pdfs))
    ends = np.full((2, len(pdfs) + 1), NEVER)
    ends[0, 0] = ends[1, -1] = 0
    return Arcs(np.append(states, states + 1), np.append(states + 1, states + 1), [*pdfs, *pdfs],
                np.full(2 * len(pdfs), np.log(0.5)), *ends)  # fmt: skip
