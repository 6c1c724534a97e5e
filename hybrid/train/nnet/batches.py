"""The plan of an epoch: which chunk of which utterance is trained on when.

A plan is a function of the seed and the epoch, so that the sampler's state is one number: how many batches were taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.train.nnet.config import BatchConfig

__all__ = ["Batch", "chunk_starts", "plan_epoch"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Chunks that are trained on together.

    Attributes:
      items: int32 [N], numbers of items.
      starts, frames: int32 [N], first frame and frames of features of each, inside its item.
      number: of the batch in its epoch.
    """

    items: np.ndarray
    starts: np.ndarray
    frames: np.ndarray
    number: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def part(self, begin: int, end: int) -> Batch:
        """Returns some of the chunks as a batch."""
        rows = slice(begin, end)
        return Batch(self.items[rows], self.starts[rows], self.frames[rows], self.number)


def chunk_starts(frames: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """Lays chunks over an utterance: as many as fit best, gaps or overlaps where chance puts them.

    Args:
      frames: of the utterance, at least `width`.
      width: of a chunk.

    Returns:
      int64 [N], first frames, rising, each at most `frames − width`.
    """
    count = max(1, round(frames / width))
    slack = frames - count * width
    moved = np.sort(generator.integers(0, abs(slack) + 1, count))
    if slack < 0:  # overlaps; the first chunk begins the utterance, the last one ends it
        moved[0], moved[-1] = 0, -slack
        return np.arange(count) * width - moved
    return np.arange(count) * width + moved


def plan_epoch(
    lengths: Sequence[int] | np.ndarray, config: BatchConfig, factor: int, seed: int, epoch: int, shuffle: bool = True
) -> list[Batch]:
    """Cuts utterances into chunks and puts them into batches of similar length.

    Args:
      lengths: frames of each item.
      factor: the network's frame subsampling; utterances that are not cut begin up to one frame of scores late, so
        that it sees each of their frames some time.
      shuffle: False lays chunks from the start and keeps the order (held-out data).
    """
    generator = np.random.default_rng([seed, epoch, 7])
    rows = _whole(lengths) if config.whole else _chunks(lengths, config, generator, shuffle)
    if shuffle:
        _begin_late(rows, np.asarray(lengths), factor, generator)
    if shuffle:
        rows = rows[generator.permutation(len(rows))]
    batches = [rows[part] for part in _groups(rows[:, 2], config)]
    if shuffle:
        batches = [batches[i] for i in generator.permutation(len(batches))]
    columns = [np.ascontiguousarray(part.T, np.int32) for part in batches]
    return [Batch(items, starts, frames, number) for number, (items, starts, frames) in enumerate(columns)]


def _begin_late(rows: np.ndarray, lengths: np.ndarray, factor: int, generator: np.random.Generator) -> None:
    """Lets rows that are whole utterances begin less than a frame of scores late."""
    late = np.minimum(generator.integers(0, factor, len(rows)), rows[:, 2] - 1)
    late[rows[:, 2] < lengths[rows[:, 0]]] = 0
    rows[:, 1] += late
    rows[:, 2] -= late


def _whole(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    frames = np.asarray(lengths, np.int64)
    return np.stack([np.arange(len(frames)), np.zeros_like(frames), frames], axis=1)


def _chunks(
    lengths: Sequence[int] | np.ndarray, config: BatchConfig, generator: np.random.Generator, shuffle: bool
) -> np.ndarray:
    """Rows (item, first frame, frames): int64 [N][3]."""
    widths = np.array(config.chunk_frames)
    parts = []
    for item, frames in enumerate(np.asarray(lengths, np.int64).tolist()):
        width = int(widths[generator.integers(len(widths))] if shuffle else widths[0])
        fitting = widths[widths <= frames]
        if frames < width and len(fitting):
            width = int(fitting.max())
        if frames <= width:
            starts, width = np.zeros(1, np.int64), frames
        elif shuffle:
            starts = chunk_starts(frames, width, generator)
        else:
            starts = np.arange(0, frames - width + 1, width)
        parts.append(np.stack([np.full(len(starts), item), starts, np.full(len(starts), width)], axis=1))
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


def _groups(frames: np.ndarray, config: BatchConfig) -> list[np.ndarray]:
    """Rows of each batch: chunks of one width, short or whole utterances by buckets; padded to no more than allowed."""
    order = np.argsort(frames, kind="stable")
    ordered = frames[order]
    full = np.isin(ordered, config.chunk_frames)
    out = [part for width in np.unique(ordered[full]) for part in _fill(order[ordered == width], frames, config)]
    rest = order[~full]
    for bucket in np.array_split(rest, config.buckets) if len(rest) else []:
        out += _fill(np.sort(bucket), frames, config)  # rows come shuffled: within a bucket chance decides
    return out


def _fill(rows: np.ndarray, frames: np.ndarray, config: BatchConfig) -> list[np.ndarray]:
    out: list[np.ndarray] = []
    begin, longest = 0, 0
    for place in range(len(rows)):
        longest_now = max(longest, int(frames[rows[place]]))
        if place > begin and longest_now * (place - begin + 1) > config.batch_frames:
            out.append(rows[begin:place])
            begin, longest_now = place, int(frames[rows[place]])
        longest = longest_now
    return [*out, rows[begin:]] if begin < len(rows) else out
