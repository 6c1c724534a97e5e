"""From a plan's batch to tensors: features with their real context, and what the objective wants of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import count as count_from
from typing import Any, Protocol

import numpy as np

from hybrid.base.errors import HybridError, InputError
from hybrid.base.jobs import map_in_order
from hybrid.train.nnet.augment import generator_of, mask_features, volume_offset
from hybrid.train.nnet.batches import Batch, plan_epoch
from hybrid.train.nnet.config import AugmentConfig, BatchConfig
from hybrid.train.nnet.sources import FeatureSource, Item
from hybrid.train.nnet.warp import MelView

__all__ = ["BatchMaker", "Example", "FeatureCache", "Maker", "Position", "Targets", "batch_stream"]


class Targets(Protocol):
    """What an objective wants of each chunk; cheap to send to a worker.

    Where it has an attribute `fixed` that is true, utterances that are not cut begin at their first frame always.
    """

    def fault(self, item: Item) -> str:
        """Says why an item cannot be trained on; an empty string where nothing hinders."""

    def of_chunk(self, item: Item, start: int, frames: int) -> Any:
        """Returns the targets of a stretch of an item.

        Args:
          start, frames: first frame, and how many, of the features.

        Raises:
          HybridError: there are none for this stretch.
        """

    def together(self, chunks: Sequence[Any]) -> Any:
        """Returns the targets of a batch."""


@dataclass(frozen=True, eq=False)
class Example:
    """A batch ready for the network.

    Attributes:
      features: float32 [N][left + T + right][D]; zero past a chunk's right context.
      lengths: int64 [N], frames of each chunk, context aside.
      targets: of the objective.
      names: of the items.
      failed: name → why an item of the batch is not in it.
    """

    features: np.ndarray
    lengths: np.ndarray
    targets: Any
    names: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)


class Maker(Protocol):
    """What the loop knows of how examples are made: of features (`BatchMaker`), or of anything else.

    Attributes:
      items: what is trained on; their `frames` are counted.
      left, right, factor: of the network, see `BatchMaker`.
    """

    seed: int
    factor: int
    left: int
    right: int

    @property
    def items(self) -> Sequence[Item]: ...

    @property
    def targets(self) -> Any: ...

    def make(self, epoch: int, batch: Batch, vary: bool = True) -> Example:
        """Makes the example of a batch."""


class FeatureCache:
    """Features in memory, as small numbers, until a limit is reached; what came later is computed again."""

    def __init__(self, kind: str, limit: float) -> None:
        self._kind, self._limit = kind, limit
        self._held: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        self.size = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureCache, (self._kind, self._limit)  # a worker begins with its own

    def get(self, number: int) -> np.ndarray | None:
        """Returns float32 [T][D], or None where it is not held."""
        found = self._held.get(number)
        if found is None:
            return None
        values, scale = found
        return values.astype(np.float32) if scale is None else values.astype(np.float32) * scale[1] + scale[0]

    def put(self, number: int, features: np.ndarray) -> np.ndarray:
        """Keeps features, if there is room; returns them as `get` will, so that the first epoch sees the same."""
        if self._kind == "uint8":
            low, high = features.min(axis=0), features.max(axis=0)
            step = np.maximum((high - low) / 255.0, 1e-8).astype(np.float32)
            held = np.round((features - low) / step).astype(np.uint8), np.stack([low, step]).astype(np.float32)
        else:
            held = features.astype(self._kind), None  # type: ignore[assignment]
        if self.size + held[0].nbytes <= self._limit and np.isfinite(held[0]).all():
            self._held[number] = held
            self.size += held[0].nbytes
            return self.get(number)  # type: ignore[return-value]
        values, scale = held
        back = values.astype(np.float32)
        return back if scale is None else back * scale[1] + scale[0]


@dataclass(eq=False)
class BatchMaker:
    """Makes examples; a worker holds a copy.

    Attributes:
      left, right: frames of context that the network wants.
      factor: its frame subsampling.
    """

    source: FeatureSource
    items: Sequence[Item]
    targets: Targets
    left: int
    right: int
    factor: int
    augment: AugmentConfig
    seed: int
    cache: FeatureCache

    def __post_init__(self) -> None:
        config, pipeline = self.augment, self.source.pipeline
        self._offset = self._view = None
        if config.volume_low != 1.0 or config.volume_high != 1.0:
            if pipeline.cmvn.kind not in ("none", "speaker") or pipeline.cmvn.norm_vars:
                raise InputError.at("volume_low, volume_high", f"do nothing to features normalised by "
                                    f"{pipeline.cmvn.kind}", "Leave it at 1, or use cmvn speaker or none.")  # fmt: skip
            self._require_plain("volume_low, volume_high", "1")
            self._offset = volume_offset(pipeline.static, float(np.e))
        if config.changes_bins:
            self._require_plain("warp_low, warp_high, freq_masks", "1, 1 and 0")
            try:
                self._view = MelView.of(pipeline.static)
            except ValueError as error:
                raise InputError.at("warp_low, warp_high, freq_masks", f"cannot be: {error}",
                                    "Leave them at 1, 1 and 0, or use_energy at false.") from None  # fmt: skip

    def _require_plain(self, names: str, neutral: str) -> None:
        pipeline = self.source.pipeline
        if pipeline.dim != pipeline.static.dim or pipeline.transforms or pipeline.cmvn.norm_vars:
            raise InputError.at(names, "are for plain features, without deltas, splices, transforms or normalised "
                                "variances", f"Leave them at {neutral}.")  # fmt: skip

    def make(self, epoch: int, batch: Batch, vary: bool = True) -> Example:
        """Makes the example of a batch.

        Args:
          vary: False for held-out data: no volume, no warping, no masks.
        """
        rows, failed = [], {}
        for row in range(len(batch)):
            item = self.items[batch.items[row]]
            try:
                targets = self.targets.of_chunk(item, int(batch.starts[row]), int(batch.frames[row]))
                rows.append((row, item, self._chunk(epoch, batch, row, item, vary), targets))
            except HybridError as error:
                failed[item.name] = str(error)
        kept = [row for row, _, _, _ in rows]
        lengths = batch.frames[kept].astype(np.int64)
        around = self.left + self.right
        shape = (len(rows), int(lengths.max(initial=0)) + around, self.source.pipeline.dim)
        features = np.zeros(shape, np.float32)
        for place, (_, _, chunk, _) in enumerate(rows):
            features[place, : len(chunk)] = chunk
        together = self.targets.together([targets for _, _, _, targets in rows]) if rows else None
        return Example(features, lengths, together, tuple(item.name for _, item, _, _ in rows), failed)

    def _chunk(self, epoch: int, batch: Batch, row: int, item: Item, vary: bool) -> np.ndarray:
        features = self._features(epoch, int(batch.items[row]), item)
        begin = int(batch.starts[row]) - self.left
        frames = np.arange(begin, begin + int(batch.frames[row]) + self.left + self.right)
        chunk = features[np.clip(frames, 0, len(features) - 1)]
        if not vary:
            return chunk
        if self._offset is not None:
            gain = generator_of(self.seed, epoch, item.name, "volume")
            chunk = chunk + self._offset * np.float32(
                np.log(gain.uniform(self.augment.volume_low, self.augment.volume_high))
            )
        if self._view is not None and self.augment.warp_low < self.augment.warp_high:
            draw = generator_of(self.seed, epoch, item.name, "warp")
            chunk = chunk @ self._view.warp(draw.uniform(self.augment.warp_low, self.augment.warp_high))
        generator = generator_of(self.seed, epoch, item.name, "masks", int(batch.starts[row]))
        return mask_features(chunk, self.augment, generator, self._view)

    def _features(self, epoch: int, number: int, item: Item) -> np.ndarray:
        found = self.cache.get(number) if self.source.cacheable() else None
        if found is not None:
            return found
        features = self.source.features(item, self.seed, epoch)
        if abs(len(features) - item.frames) > 2:
            raise InputError.at(item.name, f"gave {len(features)} frames, wanted {item.frames}", "Mend its manifest.")
        return self.cache.put(number, features) if self.source.cacheable() else features


@dataclass(frozen=True)
class Position:
    """How far the stream of batches was followed: the sampler's state."""

    epoch: int = 0
    batch: int = 0


def batch_stream(
    maker: Maker, config: BatchConfig, position: Position, executor: Executor | None, share: slice
) -> Generator[tuple[Position, Batch, Example | None], None, None]:
    """Yields batches without end, epoch after epoch, from a position on.

    Args:
      share: which of them this process makes (rank, processes); of the others the example is None.

    Yields:
      The position behind the batch, the batch, and its example.
    """
    lengths = [item.frames for item in maker.items]

    def plan() -> Iterator[tuple[int, Batch, int]]:
        """Epoch, batch and running number of what is still to be trained on."""
        turn = 0
        for epoch in count_from(position.epoch):
            factor = 1 if getattr(maker.targets, "fixed", False) else maker.factor
            batches = plan_epoch(lengths, config, factor, maker.seed, epoch)
            first = position.batch if epoch == position.epoch else 0
            for number in range(first, len(batches)):
                yield epoch, batches[number], turn
                turn += 1

    start, step = share.start or 0, share.step or 1
    work = ((epoch, batch, turn % step == start) for epoch, batch, turn in plan())
    for epoch, batch, example in map_in_order(_make, work, executor, shared=maker):
        yield Position(epoch, batch.number + 1), batch, example


def _make(maker: Maker, job: tuple[int, Batch, bool]) -> tuple[int, Batch, Example | None]:
    epoch, batch, ours = job
    return epoch, batch, maker.make(epoch, batch) if ours else None
