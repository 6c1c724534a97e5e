"""Are two transducers the same? Random paths of one are weighed in the other."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.formats.openfst import FstArrays

__all__ = ["random_path", "randomly_equivalent", "string_cost"]


def random_path(fst: FstArrays, rng: np.random.Generator, max_length: int = 10000) -> np.ndarray | None:
    """Returns the arcs of a random walk from the start to a final state, None if none ended in time.

    Arcs are drawn evenly; a final state ends the walk as often as it takes one of its arcs.
    """
    state = fst.start
    arcs: list[int] = []
    for _ in range(max_length if state >= 0 else 0):
        begin, end = int(fst.row_splits[state]), int(fst.row_splits[state + 1])
        final = np.isfinite(fst.final_costs[state])
        if end - begin + final == 0:
            return None
        choice = int(rng.integers(end - begin + final))
        if choice == end - begin:
            return np.array(arcs, np.int64)
        arcs.append(begin + choice)
        state = int(fst.next_states[begin + choice])
    return None


def string_cost(fst: FstArrays, ilabels: np.ndarray, olabels: np.ndarray, log: bool = False) -> float:
    """Returns the cost of a pair of strings: of its best path, or (log) of all its paths added.

    Args:
      ilabels, olabels: without epsilons.

    Returns:
      inf where no path has them.
    """
    if fst.start < 0:
        return float("inf")
    arrays = (fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, fst.costs, fst.final_costs)
    return float(_string_cost(fst.start, *arrays, np.asarray(ilabels), np.asarray(olabels), log))


MAX_EPSILONS = 200  # arcs without input in a row; sums over loops of them have converged by then


@kernel
def _plus(a, b, log):
    """The cheaper of two costs, or (log) both added as probabilities."""
    if not log or a == np.inf or b == np.inf:
        return min(a, b)
    return min(a, b) - np.log1p(np.exp(-abs(a - b)))


@kernel
def _step(tokens, label, splits, il, ol, to, costs, ys, log):
    """Moves tokens {(state, outputs written): cost} over the arcs with input `label` that fit the outputs."""
    moved = {(np.int64(-1), np.int64(0)): np.inf}
    for (state, written), cost in tokens.items():
        if state < 0:
            continue
        for arc in range(splits[state], splits[state + 1]):
            if il[arc] != label:
                continue
            after = written
            if ol[arc] != 0:
                if written == len(ys) or ys[written] != ol[arc]:
                    continue
                after = written + 1
            key = (np.int64(to[arc]), after)
            moved[key] = _plus(moved.get(key, np.inf), cost + costs[arc], log)
    return moved


@kernel
def _string_cost(start, splits, il, ol, to, costs, finals, xs, ys, log):
    """Token passing over the inputs; between two of them tokens spread over arcs without input."""
    tokens = {(np.int64(start), np.int64(0)): 0.0}
    for read in range(len(xs) + 1):
        reached = {(np.int64(-1), np.int64(0)): np.inf}
        for _ in range(MAX_EPSILONS):
            fresh = {(np.int64(-1), np.int64(0)): np.inf}
            for key, cost in tokens.items():
                old = reached.get(key, np.inf)
                if cost < np.inf and (log or cost < old):
                    reached[key] = _plus(old, cost, log)
                    fresh[key] = cost
            if len(fresh) == 1:
                break
            tokens = _step(fresh, 0, splits, il, ol, to, costs, ys, log)
        if read < len(xs):
            tokens = _step(reached, xs[read], splits, il, ol, to, costs, ys, log)
    best = np.inf
    for (state, written), cost in reached.items():
        if state >= 0 and written == len(ys):
            best = _plus(best, cost + finals[state], log)
    return best


def randomly_equivalent(
    first: FstArrays,
    second: FstArrays,
    paths: int = 100,
    tolerance: float = 1e-3,
    seed: int = 0,
    log: bool = False,
    max_length: int = 10000,
) -> str:
    """Weighs random paths of each FST in both.

    Args:
      tolerance: of the difference in cost, relative to 1 + the number of symbols.
      log: compare sums over paths, not best paths.

    Returns:
      '' if no difference was found, else a sentence about the first.
    """
    rng = np.random.default_rng(seed)
    for one, other, name in ((first, second, "first"), (second, first, "second")):
        found = 0
        for _ in range(20 * paths):
            arcs = random_path(one, rng, max_length)
            if arcs is None:
                continue
            found += 1
            ilabels, olabels = one.ilabels[arcs], one.olabels[arcs]
            ilabels, olabels = ilabels[ilabels > 0], olabels[olabels > 0]
            costs = [string_cost(fst, ilabels, olabels, log) for fst in (one, other)]
            if not abs(costs[0] - costs[1]) <= tolerance * (1 + len(ilabels)):
                return (
                    f"a path of the {name} FST with {len(ilabels)} inputs and outputs {olabels.tolist()[:8]} costs "
                    f"{costs[0]:.5g} there and {costs[1]:.5g} in the other"
                )
            if found == paths:
                break
        if not found and one.num_states and np.isfinite(one.final_costs).any():
            return f"no path of the {name} FST ended within {max_length} arcs"
    return ""
