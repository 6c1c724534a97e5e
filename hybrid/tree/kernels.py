"""The inner loops of trees, compiled by numba: which question splits some entries best; where events end up."""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["best_question", "best_question_reference", "walk_tree"]

LOG_2PI = math.log(2 * math.pi)


@kernel(fastmath={"reassoc", "contract"})
def _objective(moments, floor):
    """As `gaussian_objective`, with one logarithm for four variances."""
    count = moments[0]
    if count <= 0:
        return 0.0
    dim = (len(moments) - 1) // 2
    inverse = 1.0 / count
    inverse_floor = 1.0 / floor
    total = dim * LOG_2PI
    product = 1.0
    for d in range(dim):
        mean = moments[1 + d] * inverse
        variance = moments[1 + dim + d] * inverse - mean * mean
        product *= max(variance, floor)
        total += min(variance * inverse_floor, 1.0)
        if d % 4 == 3:
            total += math.log(product)
            product = 1.0
    total += math.log(product)
    return -0.5 * count * total


@kernel
def _separates(members, row, present, codes, seen):
    """Counts the present values that answer yes; 0 if the question separates nothing new."""
    yes = 0
    code = np.uint64(0)
    for i in range(len(present)):
        if members[row, present[i]]:
            yes += 1
            if i < 64:
                code |= np.uint64(1) << np.uint64(i)
    if yes == 0 or yes == len(present):
        return 0
    if len(present) <= 64:
        for i in range(seen):
            if codes[i] == code:
                return 0
        codes[seen] = code
    return yes


@kernel
def best_question(values, entries, moments, members, floor, min_count):
    """Finds the question that gains most log-likelihood.

    Args:
      values: int32 [entry], the value of one key, 0 or more for all of `entries`.
      entries: int64 [n], which entries to split.
      moments: float64 [entry][1 + 2D].
      members: bool [question][value].
      floor: variance floor.
      min_count: frames that each side must keep.

    Returns:
      gain and row of the question; −1 where none gains.
    """
    width = moments.shape[1]
    table = np.zeros((members.shape[1], width))
    here = np.zeros(members.shape[1], np.bool_)
    total = np.zeros(width)
    for entry in entries:
        value = values[entry]
        here[value] = True
        for m in range(width):
            table[value, m] += moments[entry, m]
    present = np.flatnonzero(here)
    for value in present:
        total += table[value]
    best, best_row = 0.0, -1
    if len(present) < 2:
        return best, best_row
    whole = _objective(total, floor)
    codes = np.zeros(len(members), np.uint64)
    seen = 0
    part = np.empty(width)
    rest = np.empty(width)
    for row in range(len(members)):
        yes = _separates(members, row, present, codes, seen)
        if yes == 0:
            continue
        seen += 1
        fewer = 2 * yes <= len(present)
        part[:] = 0.0
        for value in present:
            if members[row, value] == fewer:
                for m in range(width):
                    part[m] += table[value, m]
        for m in range(width):
            rest[m] = total[m] - part[m]
        if min(part[0], rest[0]) < min_count:
            continue
        gain = _objective(part, floor) + _objective(rest, floor) - whole
        if gain > best:
            best, best_row = gain, row
    return best, best_row


def best_question_reference(
    values: np.ndarray, entries: np.ndarray, moments: np.ndarray, members: np.ndarray, floor: float, min_count: float
) -> tuple[float, int]:
    """The readable reference: for each question, the gain of two Gaussians over one."""
    from hybrid.tree.objective import gaussian_objective

    whole = gaussian_objective(moments[entries].sum(axis=0), floor)
    best, best_row = 0.0, -1
    for row in range(len(members)):
        yes = members[row, values[entries]]
        sides = np.stack([moments[entries[yes]].sum(axis=0), moments[entries[~yes]].sum(axis=0)])
        if 0 < yes.sum() < len(entries) and sides[:, 0].min() >= min_count:
            gain = gaussian_objective(sides, floor).sum() - whole
            if gain > best:
                best, best_row = float(gain), row
    return best, best_row


@kernel
def walk_tree(kinds, keys, first, second, sets, members, children, events, answers):
    """Writes the pdf_id of every event; see `hybrid.tree.lookup.FlatTree`.

    Args:
      events: int64 [N][width + 1], phones of the window and the pdf-class.
      answers: int32 [N], written; -1 where the tree has no answer.
    """
    last = members.shape[1] - 1
    for row in range(len(events)):
        node, answer = 0, -1
        while kinds[node] != 3:
            if kinds[node] == 0:
                answer = first[node]
                break
            value = events[row, keys[node]]
            if kinds[node] == 1:
                capped = last if value < 0 or value > last else value
                node = first[node] if members[sets[node], capped] else second[node]
            elif 0 <= value < second[node]:
                node = children[first[node] + value]
            else:
                break
        answers[row] = answer
