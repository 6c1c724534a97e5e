"""Building a context tree: stub with shared roots, growth by likelihood, merging of leaves inside a root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hybrid.base.errors import HybridError, quote
from hybrid.base.log import get_logger
from hybrid.tree.cluster import cluster_bottom_up
from hybrid.tree.config import TreeConfig
from hybrid.tree.context_tree import ContextTree
from hybrid.tree.grow import SplitSearch, grow, replace_leaves
from hybrid.tree.nodes import Leaf, Node, iterate_nodes, stub_tree
from hybrid.tree.objective import VARIANCE_FLOOR, gaussian_objective
from hybrid.tree.questions import Questions
from hybrid.tree.stats import TreeStats, pdf_moments, sum_by

__all__ = ["Root", "SharedRoots", "TreeConfig", "TreeReport", "build_tree", "tree_objective"]

_log = get_logger(__name__)


class SharedRoots(Protocol):
    """What a tree needs to know of a root: the phones that start in it, and how."""

    @property
    def shared(self) -> bool: ...
    @property
    def split(self) -> bool: ...
    @property
    def phones(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Root:
    """Phones that start in one root.

    Attributes:
      shared: all their pdf-classes start in one leaf; else one leaf per pdf-class.
      split: whether questions may be asked below.
      phones: phone ids.
    """

    shared: bool
    split: bool
    phones: tuple[int, ...]


@dataclass(frozen=True)
class TreeReport:
    """What building found.

    Attributes:
      num_roots: leaves before splitting.
      num_splits: questions asked.
      num_leaves: leaves in the end.
      num_merged: leaves merged away.
      gain: log-likelihood won by splitting.
      cluster_change: log-likelihood lost by merging (0 or less).
      frames, split_frames: frames in all entries, and in those whose root may be split.
      smallest_split: least gain of a split.
      empty_pdfs: leaves without a single frame.
      unseen_phones: phones of the roots without a single frame.
    """

    num_roots: int
    num_splits: int
    num_leaves: int
    num_merged: int
    gain: float
    cluster_change: float
    frames: float
    split_frames: float
    smallest_split: float
    empty_pdfs: tuple[int, ...]
    unseen_phones: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"tree: {self.num_leaves} leaves ({self.num_roots} roots, {self.num_splits} splits, "
            f"{self.num_merged} merged), likelihood gain {self.gain / max(self.frames, 1):.4f} per frame "
            f"over {self.frames:.0f} frames, merging {self.cluster_change / max(self.frames, 1):.4f}"
        )


def build_tree(
    stats: TreeStats,
    roots: Sequence[SharedRoots],
    questions: Questions,
    num_pdf_classes: Mapping[int, int],
    config: TreeConfig,
    name_of: Callable[[int], str] = str,
) -> tuple[ContextTree, TreeReport]:
    """Builds a tree that gives every phone of the roots a pdf in any context, seen or not.

    Young, Odell and Woodland (1994): greedy splitting by likelihood under single Gaussians; then leaves of
    one root are merged bottom-up where little is lost. Leaf numbers follow Kaldi's `build-tree`.

    Args:
      stats: of aligned frames.
      roots: together hold every phone; a root that may be split must be shared.
      questions: keys must lie within the context window.
      num_pdf_classes: phone_id → pdf-classes of its topology.
      config: how far to grow.
      name_of: phone_id → name, for the log.

    Raises:
      HybridError: no statistics, or a phone of theirs in no root.
      ValueError: roots that contradict themselves.
    """
    sets = [tuple(sorted(int(p) for p in root.phones)) for root in roots]
    for root, phones in zip(roots, sets):
        if root.split and not root.shared:
            raise ValueError(f"root of phones {phones}: a root that is split must be shared")
    _check_stats(stats, sets, questions)
    stub, stub_leaves = _stub(stats, sets, [root.shared for root in roots], num_pdf_classes)
    splittable = np.isin(stats.central_phones, [p for root, s in zip(roots, sets) if root.split for p in s])
    search = SplitSearch(stats, questions, config.variance_floor, config.min_leaf_frames)
    subtrees, grown, gain, smallest = grow(
        stats, np.where(splittable, stub_leaves, -1), stub.num_pdfs, search, config.threshold, config.max_leaves
    )
    tree = ContextTree(stats.context_width, stats.central_position, replace_leaves(stub.root, subtrees))
    tree, change = _merge_similar(stats, tree, stub_leaves, smallest, config)
    empty = np.flatnonzero(pdf_moments(stats, tree)[:, 0] <= 0).tolist()
    unseen = sorted({p for s in sets for p in s} - set(stats.central_phones.tolist()))
    report = TreeReport(
        num_roots=stub.num_pdfs,
        num_splits=grown - stub.num_pdfs,
        num_leaves=tree.num_pdfs,
        num_merged=grown - tree.num_pdfs,
        gain=gain,
        cluster_change=change,
        frames=stats.num_frames,
        split_frames=float(stats.counts[splittable].sum()),
        smallest_split=smallest,
        empty_pdfs=tuple(empty),
        unseen_phones=tuple(unseen),
    )
    if unseen:
        some = ", ".join(quote(name_of(phone)) for phone in unseen[:10]) + (" …" if len(unseen) > 10 else "")
        _log.warning("tree: no frames of %d phones (%s); they share the leaves of their roots", len(unseen), some)
    return tree, report


def _merge_similar(
    stats: TreeStats, tree: ContextTree, stub_leaves: np.ndarray, smallest_split: float, config: TreeConfig
) -> tuple[ContextTree, float]:
    """Merges leaves of one root as the settings say; returns the tree and what that changed the likelihood by.

    Like Kaldi, it rounds no tree for which that would be fewer leaves than roots: of a handful, all would be merged.
    """
    if config.cluster_threshold == 0:
        return tree, 0.0
    threshold = config.cluster_threshold if config.cluster_threshold > 0 else smallest_split
    tree, change = _merge_leaves(stats, tree, stub_leaves, threshold, None, config.variance_floor)
    wanted = tree.num_pdfs - tree.num_pdfs % config.leaf_multiple
    if wanted == tree.num_pdfs or wanted < stub_leaves.max() + 1:
        return tree, change
    tree, more = _merge_leaves(stats, tree, stub_leaves, np.inf, wanted, config.variance_floor)
    return tree, change + more


def _stub(
    stats: TreeStats, sets: Sequence[tuple[int, ...]], shared: Sequence[bool], num_pdf_classes: Mapping[int, int]
) -> tuple[ContextTree, np.ndarray]:
    """Returns the tree of the roots alone, and the root that each entry is at."""
    root = stub_tree(sets, num_pdf_classes, shared, stats.central_position)
    tree = ContextTree(stats.context_width, stats.central_position, root)
    leaves = tree.pdf_ids(stats.contexts, stats.pdf_classes)
    if (leaves < 0).any():
        entry = int(np.flatnonzero(leaves < 0)[0])
        raise HybridError(
            f"phone {int(stats.central_phones[entry])} has frames in pdf-class {int(stats.pdf_classes[entry])}, "
            f"which its topology does not have. Accumulate statistics with this model's topology"
        )
    return tree, leaves


def _check_stats(stats: TreeStats, sets: Sequence[tuple[int, ...]], questions: Questions) -> None:
    if not len(stats.contexts) or stats.num_frames <= 0:
        raise HybridError("tree: no statistics at all; wanted aligned frames. Look into failed.txt of the alignment")
    strangers = set(stats.central_phones.tolist()) - {p for s in sets for p in s}
    if strangers:
        raise HybridError(
            f"tree: phones {sorted(strangers)[:10]} have frames but stand in no root; "
            f"wanted each phone in one root. Add them to roots.txt"
        )
    for key in questions.by_key:
        if not -1 <= key < stats.context_width:
            raise ValueError(f"a question about position {key} of a context of {stats.context_width} phones")


def _merge_leaves(
    stats: TreeStats,
    tree: ContextTree,
    stub_leaves: np.ndarray,
    threshold: float,
    max_leaves: int | None,
    variance_floor: float,
) -> tuple[ContextTree, float]:
    """Merges leaves of one root bottom-up, then numbers leaves without gaps.

    Args:
      stub_leaves: int [entry], the root that each entry is at.
      threshold: what a merge may cost.
      max_leaves: merge down to so many, if that many merges are possible; None to go by the threshold alone.
    """
    pdfs = tree.pdf_ids(stats.contexts, stats.pdf_classes)
    leaves, where = np.unique(pdfs, return_inverse=True)
    where = where.reshape(-1)
    groups = np.zeros(len(leaves), np.int64)
    groups[where] = stub_leaves
    moments = sum_by(where, stats.moments, len(leaves))
    fewest = 0 if max_leaves is None else max_leaves - (tree.num_pdfs - len(leaves))
    cluster, change = cluster_bottom_up(moments, groups, threshold, fewest, variance_floor)
    mapping: dict[int, Node] = {}
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        survivors = np.unique(cluster[inside])
        for leaf, number in zip(inside, np.searchsorted(survivors, cluster[inside])):
            mapping[int(leaves[leaf])] = Leaf(int(leaves[inside[number]]))  # as Kaldi names a merged leaf
    root = replace_leaves(tree.root, mapping)
    old = sorted({node.pdf_id for node in iterate_nodes(root) if isinstance(node, Leaf)})
    numbers: dict[int, Node] = {pdf: Leaf(number) for number, pdf in enumerate(old)}
    return ContextTree(tree.context_width, tree.central_position, replace_leaves(root, numbers)), change


def tree_objective(stats: TreeStats, tree: ContextTree, variance_floor: float = VARIANCE_FLOOR) -> float:
    """Returns the log-likelihood of the statistics with one Gaussian per leaf."""
    return float(gaussian_objective(pdf_moments(stats, tree), variance_floor).sum())
