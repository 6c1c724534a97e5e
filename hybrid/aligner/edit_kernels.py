"""Edit distance in memory linear in the shorter sequence (Hirschberg, 1975), compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["edit_steps"]

_SMALL = 1 << 22  # cells of a table that is kept whole
_EDIT = 1 << 20  # cost of a substitution, deletion or insertion; a pair of different words costs one unit more


@kernel
def _last_row(a, b):
    """Returns the costs of aligning all of `a` with each beginning of `b`."""
    row = np.empty(len(b) + 1, np.int64)
    for j in range(len(b) + 1):
        row[j] = j * _EDIT
    for i in range(len(a)):
        diagonal, row[0] = row[0], (i + 1) * _EDIT
        for j in range(len(b)):
            best = diagonal + (0 if a[i] == b[j] else _EDIT + 1)
            best = min(best, row[j] + _EDIT, row[j + 1] + _EDIT)
            diagonal, row[j + 1] = row[j + 1], best
    return row


@kernel
def _table(a, b, at_a, at_b, out, count):
    """Aligns by the whole table; writes the steps and returns their new count."""
    n, m = len(a), len(b)
    cost = np.empty((n + 1, m + 1), np.int64)
    for j in range(m + 1):
        cost[0, j] = j * _EDIT
    for i in range(n):
        cost[i + 1, 0] = (i + 1) * _EDIT
        for j in range(m):
            best = cost[i, j] + (0 if a[i] == b[j] else _EDIT + 1)
            cost[i + 1, j + 1] = min(best, cost[i + 1, j] + _EDIT, cost[i, j + 1] + _EDIT)
    i, j, begin = n, m, count
    while i > 0 or j > 0:
        if i > 0 and j > 0 and cost[i, j] == cost[i - 1, j - 1] + (0 if a[i - 1] == b[j - 1] else _EDIT + 1):
            i, j = i - 1, j - 1
            out[count, 0], out[count, 1] = at_a + i, at_b + j
        elif i > 0 and cost[i, j] == cost[i - 1, j] + _EDIT:
            i -= 1
            out[count, 0], out[count, 1] = at_a + i, -1
        else:
            j -= 1
            out[count, 0], out[count, 1] = -1, at_b + j
        count += 1
    out[begin:count] = out[begin:count][::-1].copy()
    return count


@kernel
def edit_steps(a, b):
    """Returns int32 [step][2], see `differences.edit_path`."""
    out = np.empty((len(a) + len(b), 2), np.int32)
    count = 0
    stack = [(0, len(a), 0, len(b))]
    while len(stack) > 0:
        a0, a1, b0, b1 = stack.pop()
        if (a1 - a0 + 1) * (b1 - b0 + 1) <= _SMALL or a1 - a0 < 2:
            count = _table(a[a0:a1], b[b0:b1], a0, b0, out, count)
            continue
        middle = (a0 + a1) // 2
        front = _last_row(a[a0:middle], b[b0:b1])
        back = _last_row(a[middle:a1][::-1].copy(), b[b0:b1][::-1].copy())
        best = int(np.argmin(front + back[::-1]))
        stack.append((middle, a1, b0 + best, b1))
        stack.append((a0, middle, b0, b0 + best))
    return out[:count]
