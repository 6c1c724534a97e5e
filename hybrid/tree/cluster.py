"""Clustering of Gaussian statistics: bottom-up merging, two-way k-means, and a top-down hierarchy."""

from __future__ import annotations

import heapq
from math import gcd

import numpy as np

from hybrid.tree.objective import VARIANCE_FLOOR, gaussian_objective

__all__ = ["cluster_bottom_up", "cluster_top_down", "split_in_two"]


def cluster_bottom_up(
    moments: np.ndarray,
    groups: np.ndarray,
    threshold: float = np.inf,
    min_clusters: int = 0,
    variance_floor: float = VARIANCE_FLOOR,
) -> tuple[np.ndarray, float]:
    """Merges the pair of clusters of one group that loses least, while it loses no more than `threshold`.

    Args:
      moments: float64 [point][1 + 2D].
      groups: int [point]; only points of one group are merged.
      threshold: log-likelihood that one merge may cost.
      min_clusters: stop at so many clusters.

    Returns:
      int [point], the last point of each one's cluster; and the change of log-likelihood (0 or less).
    """
    points = len(moments)
    sums = moments.copy()
    scores = gaussian_objective(sums, variance_floor)
    alive = np.ones(points, bool)
    version = np.zeros(points, np.int64)
    heap: list[tuple[float, int, int, int, int]] = []

    def push(point: int, others: np.ndarray) -> None:
        """Puts the merges of a point with others that cost no more than the threshold on the heap."""
        loss = scores[point] + scores[others] - gaussian_objective(sums[others] + sums[point], variance_floor)
        for other, cost in zip(others.tolist(), np.maximum(loss, 0.0).tolist()):
            if cost <= threshold:
                high, low = max(point, other), min(point, other)
                heapq.heappush(heap, (cost, high, low, int(version[high]), int(version[low])))

    for point in range(1, points):
        push(point, np.flatnonzero(groups[:point] == groups[point]))
    parent = np.arange(points)
    change, clusters = 0.0, points
    while heap and clusters > min_clusters:
        cost, high, low, version_high, version_low = heapq.heappop(heap)
        if not (alive[high] and alive[low]) or (version[high], version[low]) != (version_high, version_low):
            continue
        change -= cost
        clusters -= 1
        sums[high] += sums[low]
        scores[high] = gaussian_objective(sums[high], variance_floor)
        alive[low], parent[low] = False, high
        version[high] += 1
        others = np.flatnonzero(alive & (groups == groups[high]))
        push(high, others[others != high])
    for point in range(points - 1, -1, -1):  # a parent is always the later point
        parent[point] = parent[parent[point]]
    return parent, change


def split_in_two(
    moments: np.ndarray, tries: int = 10, variance_floor: float = VARIANCE_FLOOR
) -> tuple[np.ndarray, float]:
    """Divides points into two clusters so that the likelihood grows most, as far as local search finds.

    Starts from the sign of the first principal component of the points' means, and from interleaved
    halves; from each start it moves, one at a time, the point whose move gains most.

    Args:
      moments: float64 [point][1 + 2D], at least two points.
      tries: number of starts.

    Returns:
      bool [point] and the gain over one cluster.
    """
    total = moments.sum(axis=0)
    whole = float(gaussian_objective(total, variance_floor))
    best, best_gain = np.zeros(len(moments), bool), -np.inf
    for start in _starts(moments, tries):
        side, score = _move_best(moments, total, start, variance_floor)
        if score - whole > best_gain + 1e-9 * abs(whole):
            best, best_gain = side, score - whole
    return best, max(best_gain, 0.0)


def _starts(moments: np.ndarray, tries: int) -> list[np.ndarray]:
    points, dim = len(moments), (moments.shape[1] - 1) // 2
    counts = moments[:, :1]
    seen = counts[:, 0] > 0
    means = np.where(counts > 0, moments[:, 1 : 1 + dim] / np.where(counts > 0, counts, 1.0), 0.0)
    centred = (means - moments[:, 1 : 1 + dim].sum(0) / max(counts.sum(), 1e-300)) * np.sqrt(counts)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    starts = [(centred @ vectors[:, -1] > 0) & seen]
    skips = [skip for skip in range(1, points) if gcd(skip, points) == 1] or [1]
    for attempt in range(tries - 1):
        skip = skips[(attempt * len(skips)) // max(tries - 1, 1)]
        side = np.zeros(points, bool)
        side[(np.arange(points) * skip) % points] = np.arange(points) % 2 == 1
        starts.append(side)
    return starts


def _move_best(
    moments: np.ndarray, total: np.ndarray, side: np.ndarray, variance_floor: float
) -> tuple[np.ndarray, float]:
    side = side.copy()
    clusters = np.stack([moments[~side].sum(axis=0), moments[side].sum(axis=0)])
    scores = gaussian_objective(clusters, variance_floor)
    for _ in range(20 * len(moments)):
        own = side.astype(int)
        left = gaussian_objective(clusters[own] - moments, variance_floor)
        joined = gaussian_objective(clusters[1 - own] + moments, variance_floor)
        gains = left + joined - scores.sum()
        point = int(np.argmax(gains))
        if gains[point] <= 1e-9 * abs(scores.sum()):
            break
        side[point] = not side[point]
        clusters = np.stack([moments[~side].sum(axis=0), moments[side].sum(axis=0)])
        scores = gaussian_objective(clusters, variance_floor)
    return side, float(scores.sum())


def cluster_top_down(
    moments: np.ndarray, tries: int = 10, variance_floor: float = VARIANCE_FLOOR
) -> list[tuple[int, ...]]:
    """Divides points again and again and returns every cluster on the way, the whole first.

    Args:
      moments: float64 [point][1 + 2D].
      tries: starts of each division.

    Returns:
      sorted tuples of points; a cluster that no division improves is not divided.
    """
    found: list[tuple[int, ...]] = []
    stack = [np.arange(len(moments))]
    while stack:
        points = stack.pop()
        found.append(tuple(points.tolist()))
        if len(points) < 2:
            continue
        side, gain = split_in_two(moments[points], tries, variance_floor)
        if gain > 0 and 0 < side.sum() < len(points):
            stack += [points[side], points[~side]]
    return found
