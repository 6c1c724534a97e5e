"""The operator as its equations read, in the log domain and float64: slow, for tests and for reading."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybrid.nnet.sequence.arcs import Arcs

__all__ = ["enumerate_paths", "reference_passes"]


def reference_passes(scores: np.ndarray, graph: Arcs, leak: float = 0.0) -> tuple[float, np.ndarray]:
    """Returns the log of the summed weights of all paths of T arcs, and the occupancies.

    With α_t(j) the log sum over the paths of t arcs that end in state j, and β_t(i) over those from i to the end,

      α_0 = leaky(initial)         α_{t+1} = leaky(j ↦ log Σ_{arcs i → j} exp(α_t(i) + weight + score of pdf at t))
      total = log Σ_j exp(α_T(j) + final(j))
      occupancy(t, pdf) = Σ_{arcs i → j of pdf} exp(α_t(i) + weight + score + β_{t+1}(j) - total)

    where leaky(α)(j) = log(exp α(j) + leak · exp initial(j) · Σ_i exp α(i)), and β runs the same graph backwards.

    Args:
      scores: float64 [T][P].

    Returns:
      total, and float64 [T][P]; all 0 where the total is -inf.
    """
    frames = len(scores)
    initial, final, weight = (x.astype(np.float64) for x in (graph.initial, graph.final, graph.log_weight))

    with np.errstate(divide="ignore", invalid="ignore"):
        log_leak = np.log(leak)

        def leaky(alpha: np.ndarray) -> np.ndarray:
            return np.logaddexp(alpha, log_leak + initial + np.logaddexp.reduce(alpha))

        def leaky_backward(beta: np.ndarray) -> np.ndarray:
            return np.logaddexp(beta, log_leak + np.logaddexp.reduce(initial + beta))

        alpha, beta = [leaky(initial)], [leaky_backward(final)]
        for t in range(frames):
            arc = alpha[t][graph.from_state] + weight + scores[t, graph.pdf]
            alpha.append(leaky(_log_sums(arc, graph.to_state, graph.num_states)))
        for t in reversed(range(frames)):
            arc = beta[-1][graph.to_state] + weight + scores[t, graph.pdf]
            beta.append(leaky_backward(_log_sums(arc, graph.from_state, graph.num_states)))
        beta.reverse()
        total = float(np.logaddexp.reduce(alpha[frames] + final))
    occupancy = np.zeros_like(scores, dtype=np.float64)
    if np.isfinite(total):
        for t in range(frames):
            arc = alpha[t][graph.from_state] + weight + scores[t, graph.pdf] + beta[t + 1][graph.to_state]
            np.add.at(occupancy[t], graph.pdf, np.exp(arc - total))
    return total, occupancy


def _log_sums(values: np.ndarray, index: np.ndarray, count: int) -> np.ndarray:
    sums = np.full(count, -np.inf)
    np.logaddexp.at(sums, index, values)
    return sums


def enumerate_paths(frames: int, graph: Arcs) -> Iterator[list[int]]:
    """Yields every path of `frames` arcs from an initial to a final state as its arcs; exponentially many."""
    leaving = [np.flatnonzero(graph.from_state == state) for state in range(graph.num_states)]

    def extend(state: int, path: list[int]) -> Iterator[list[int]]:
        """All paths of all frames that begin with `path`, which ends in `state`."""
        if len(path) == frames:
            if np.isfinite(graph.final[state]):
                yield path
            return
        for arc in leaving[state]:
            yield from extend(int(graph.to_state[arc]), [*path, int(arc)])

    for state in np.flatnonzero(np.isfinite(graph.initial)):
        yield from extend(int(state), [])
