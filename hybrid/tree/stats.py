"""Statistics for building trees: one Gaussian's worth of frames per phone in context and pdf-class.

Each entry is an event (a context window of phones and a pdf-class) with the count, sum and sum of
squares of its frames (Young, Odell and Woodland, 1994). Sums are float64; entries are sorted by event,
so equal data gives equal arrays in whatever order utterances were cut into jobs, as long as blocks are
merged in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import HybridError
from hybrid.tree.context_tree import ContextTree

__all__ = ["UNKNOWN", "TreeStats", "accumulate_tree_stats", "pdf_moments"]

UNKNOWN = -1  # a neighbour that must not be asked about, since the central phone is context-independent


@dataclass(frozen=True, eq=False)
class TreeStats(ByContent):
    """Sufficient statistics of Gaussians, by phone in context and pdf-class.

    Attributes:
      central_position: index of the central phone in the window, from 0.
      contexts: int32 [entry][context_width], phone ids; 0 beyond the ends of an utterance; UNKNOWN for
        the neighbours of context-independent phones.
      pdf_classes: int32 [entry].
      moments: float64 [entry][1 + 2D]: count of frames, sums, sums of squares.
    """

    central_position: int
    contexts: np.ndarray
    pdf_classes: np.ndarray
    moments: np.ndarray

    def __post_init__(self) -> None:
        entries = len(self.contexts)
        if self.contexts.ndim != 2 or not 0 <= self.central_position < self.contexts.shape[1]:
            raise ValueError(f"contexts of shape {self.contexts.shape}, central position {self.central_position}")
        if self.pdf_classes.shape != (entries,) or self.moments.ndim != 2 or len(self.moments) != entries:
            raise ValueError(f"{entries} contexts, {self.pdf_classes.shape} pdf-classes, {self.moments.shape} moments")
        if self.moments.shape[1] % 2 != 1:
            raise ValueError(f"{self.moments.shape[1]} moments an entry; wanted count, D sums and D sums of squares")

    @property
    def context_width(self) -> int:
        """Phones in a window."""
        return self.contexts.shape[1]

    @property
    def dim(self) -> int:
        """Dimension of the features."""
        return (self.moments.shape[1] - 1) // 2

    @property
    def counts(self) -> np.ndarray:
        """float64 [entry]: frames."""
        return self.moments[:, 0]

    @property
    def num_frames(self) -> float:
        """Frames in all entries."""
        return float(self.counts.sum())

    @cached_property
    def events(self) -> np.ndarray:
        """int32 [entry][context_width + 1]: contexts, then the pdf-class, so that key −1 is the last column."""
        return np.concatenate([self.contexts, self.pdf_classes[:, None]], axis=1)

    @property
    def central_phones(self) -> np.ndarray:
        """int32 [entry]."""
        return self.contexts[:, self.central_position]

    def select(self, chosen: np.ndarray) -> TreeStats:
        """Returns the entries of a mask or of indices."""
        return TreeStats(self.central_position, self.contexts[chosen], self.pdf_classes[chosen], self.moments[chosen])

    @classmethod
    def empty(cls, context_width: int, central_position: int, dim: int) -> TreeStats:
        """Returns statistics of nothing."""
        return cls(
            central_position,
            np.zeros((0, context_width), np.int32),
            np.zeros(0, np.int32),
            np.zeros((0, 1 + 2 * dim)),
        )

    @classmethod
    def merge(cls, parts: Iterable[TreeStats]) -> TreeStats:
        """Adds statistics up, in the order given.

        Raises:
          ValueError: there are none, or they are of different contexts or dimensions.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("no statistics to merge")
        first = parts[0]
        for part in parts[1:]:
            if (part.context_width, part.central_position, part.dim) != (
                first.context_width,
                first.central_position,
                first.dim,
            ):
                raise ValueError("statistics of different context widths, central positions or dimensions")
        events = np.concatenate([part.events for part in parts])
        return _collect(events, np.concatenate([part.moments for part in parts]), first.central_position)


def accumulate_tree_stats(
    features: np.ndarray,
    phones: Sequence[int] | np.ndarray,
    durations: Sequence[int] | np.ndarray,
    pdf_classes: np.ndarray,
    context_width: int = 3,
    central_position: int = 1,
    context_independent: Sequence[int] = (),
) -> TreeStats:
    """Accumulates the statistics of one aligned utterance.

    Args:
      features: float [T][D].
      phones: int [S], the phone of each segment.
      durations: int [S], frames of each segment; they sum to T.
      pdf_classes: int [T], of the HMM state of each frame.
      context_width, central_position: the window around each phone.
      context_independent: phones whose neighbours are recorded as UNKNOWN.

    Raises:
      ValueError: lengths do not agree.
      HybridError: a feature is not finite.
    """
    features = np.asarray(features, np.float64)
    phones, durations = np.asarray(phones, np.int32), np.asarray(durations, np.int64)
    pdf_classes = np.asarray(pdf_classes, np.int32)
    if durations.sum() != len(features) or len(pdf_classes) != len(features) or len(phones) != len(durations):
        raise ValueError(
            f"{len(features)} frames, {len(pdf_classes)} pdf-classes, "
            f"{len(phones)} phones over {durations.sum()} frames"
        )
    if not np.isfinite(features).all():
        raise HybridError("features hold a value that is not finite; wanted numbers. Extract the features again")
    windows = _windows(phones, context_width, central_position)
    independent = np.isin(phones, np.asarray(context_independent, np.int32))
    neighbours = np.arange(context_width) != central_position
    windows[np.ix_(independent, neighbours)] = UNKNOWN
    if not len(features):
        return TreeStats.empty(context_width, central_position, features.shape[1])
    segment = np.repeat(np.arange(len(phones)), durations)
    starts = np.flatnonzero(np.r_[True, (np.diff(segment) != 0) | (np.diff(pdf_classes) != 0)])
    rows = np.concatenate([np.ones((len(features), 1)), features, features * features], axis=1)
    events = np.concatenate([windows[segment[starts]], pdf_classes[starts, None]], axis=1)
    return _collect(events, np.add.reduceat(rows, starts, axis=0), central_position)


def pdf_moments(stats: TreeStats, tree: ContextTree) -> np.ndarray:
    """Sums statistics by the leaf of a tree they belong to: float64 [num_pdfs][1 + 2D].

    Raises:
      HybridError: an entry has no leaf.
    """
    pdfs = tree.pdf_ids(stats.contexts, stats.pdf_classes)
    if (pdfs < 0).any():
        entry = int(np.flatnonzero(pdfs < 0)[0])
        raise HybridError(
            f"the tree has no pdf for phones {tuple(stats.contexts[entry].tolist())}, pdf-class "
            f"{int(stats.pdf_classes[entry])}, which the statistics hold; wanted statistics of the phones "
            f"that the tree was built for. Accumulate them again with this lang folder"
        )
    return sum_by(pdfs, stats.moments, tree.num_pdfs)


def sum_by(labels: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Sums rows by label, in their order: float64 [size][columns]."""
    result = np.zeros((size, rows.shape[1]))
    if len(labels):
        order = np.argsort(labels, kind="stable")
        ordered = labels[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        result[ordered[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return result


def _windows(phones: np.ndarray, width: int, position: int) -> np.ndarray:
    padded = np.concatenate([np.zeros(position, np.int32), phones, np.zeros(width - 1 - position, np.int32)])
    if not len(phones):
        return np.zeros((0, width), np.int32)
    return np.lib.stride_tricks.sliding_window_view(padded, width).copy()


def _collect(events: np.ndarray, moments: np.ndarray, central_position: int) -> TreeStats:
    """Sorts entries by event and adds up equal ones, keeping their order within a sum."""
    if len(events):
        order = np.lexsort(events.T[::-1])
        events, moments = events[order], moments[order]
        starts = np.flatnonzero(np.r_[True, (events[1:] != events[:-1]).any(axis=1)])
        events, moments = events[starts], np.add.reduceat(moments, starts, axis=0)
    return TreeStats(
        central_position,
        np.ascontiguousarray(events[:, :-1], np.int32),
        np.ascontiguousarray(events[:, -1], np.int32),
        moments,
    )
