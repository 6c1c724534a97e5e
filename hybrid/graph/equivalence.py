"""Are two transducers the same? Random paths of one are weighed in the other."""

from __future__ import annotations

import numpy as np
from numba import njit

from hybrid.base.openfst import FstArrays

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


@njit(cache=True)
def _string_cost(start, splits, il, ol, to, costs, finals, xs, ys, log):
    # Best costs over (state, symbols read, symbols written), relaxed until nothing changes. For sums the
    # passes add what arrived since the last pass, so epsilon loops converge like a geometric series.
    rows = len(ys) + 1
    big = 1.0e30
    current = {(np.int64(start), np.int64(0)): 0.0}
    for read in range(len(xs) + 1):
        total = {(np.int64(-1), np.int64(0)): big}
        fresh = current
        for _ in range(200):
            after = {(np.int64(-1), np.int64(0)): big}
            for key, cost in fresh.items():
                if key[0] < 0:
                    continue
                old = total.get(key, big)
                if log:
                    low, high = min(old, cost), max(old, cost)
                    total[key] = low - np.log1p(np.exp(low - high)) if high < big else low
                elif cost < old:
                    total[key] = cost
                else:
                    continue
                for arc in range(splits[key[0]], splits[key[0] + 1]):
                    if il[arc] != 0:
                        continue
                    written = key[1] + (1 if ol[arc] != 0 else 0)
                    if written >= rows or (ol[arc] != 0 and ys[written - 1] != ol[arc]):
                        continue
                    new = (np.int64(to[arc]), np.int64(written))
                    value = cost + costs[arc]
                    before = after.get(new, big)
                    if log and before < big:
                        low, high = min(before, value), max(before, value)
                        value = low - np.log1p(np.exp(low - high))
                    after[new] = min(before, value) if not log else value
            fresh = after
            if len(after) == 1:
                break
        if read == len(xs):
            best = big
            for key, cost in total.items():
                if key[0] >= 0 and key[1] == rows - 1 and finals[key[0]] < big:
                    value = cost + finals[key[0]]
                    low, high = min(best, value), max(best, value)
                    best = low - np.log1p(np.exp(low - high)) if log and high < big else low
            return best if best < big else np.inf
        current = {(np.int64(-1), np.int64(0)): big}
        for key, cost in total.items():
            if key[0] < 0:
                continue
            for arc in range(splits[key[0]], splits[key[0] + 1]):
                if il[arc] != xs[read]:
                    continue
                written = key[1] + (1 if ol[arc] != 0 else 0)
                if written >= rows or (ol[arc] != 0 and ys[written - 1] != ol[arc]):
                    continue
                new = (np.int64(to[arc]), np.int64(written))
                value = cost + costs[arc]
                before = current.get(new, big)
                low, high = min(before, value), max(before, value)
                current[new] = low - np.log1p(np.exp(low - high)) if log and high < big else low
    return np.inf


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
