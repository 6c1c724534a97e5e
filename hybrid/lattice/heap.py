"""Binary heaps in arrays: the least item first, or the one of least rank; and a sort by rank."""

from __future__ import annotations

from hybrid.base.compiled import kernel

__all__ = ["pop", "push", "sort"]


@kernel
def _before(rank, a, b):
    """Tells whether an item comes before another: by rank[item], and of equal ranks the smaller; None: the smaller."""
    if rank is None:
        return a < b
    return rank[a] < rank[b] or (rank[a] == rank[b] and a < b)


@kernel
def push(heap, size, rank, item):
    """Puts an item into a heap of `size` items, an array with room for one more; see `_before`."""
    at = size
    while at > 0 and _before(rank, item, heap[(at - 1) >> 1]):
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = item


@kernel
def pop(heap, size, rank):
    """Takes the first item out of a heap of `size` items; see `_before`."""
    first, last = heap[0], heap[size - 1]
    at, below = 0, 1
    if size > 2 and _before(rank, heap[2], heap[1]):
        below = 2
    while below < size - 1 and _before(rank, heap[below], last):
        heap[at] = heap[below]
        at, below = below, 2 * below + 1
        if below + 1 < size - 1 and _before(rank, heap[below + 1], heap[below]):
            below += 1
    heap[at] = last
    return first


@kernel
def sort(rank, order, count):
    """Puts 0 … count − 1, by their ranks, into `order` (Shell, 1959); equal ones stay in their order."""
    gap = 1
    while 3 * gap < count:
        gap = 3 * gap + 1
    for i in range(count):
        order[i] = i
    while gap > 0:
        for i in range(gap, count):
            item, at = order[i], i
            while at >= gap and _before(rank, item, order[at - gap]):
                order[at] = order[at - gap]
                at -= gap
            order[at] = item
        gap //= 3
