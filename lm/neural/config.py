"""The shape of a neural language model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from hybrid.base.ranges import Range, check_fields

__all__ = ["NeuralLmConfig"]


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class NeuralLmConfig:
    """Shape of the network; see `lm.neural.recurrent`, `lm.neural.attention` and `lm.neural.softmax`."""

    architecture: Literal["lstm", "transformer"] = _help("lstm", "lstm or transformer.")
    dim: int = _help(256, "Values of an embedding, and of what the last layer gives.")
    layers: int = _help(1, "Of LSTM cells or attention.")
    heads: int = _help(4, "Of attention (transformer).")
    feed_forward: int = _help(1024, "Values inside a layer's feed-forward part (transformer).")
    positions: int = _help(512, "Words that attention looks back over, this one included (transformer).")
    dropout: float = _help(0.1, "Share of values dropped in training.")
    cutoffs: tuple[int, ...] = _help(
        (2000, 12000), "Ranks at which a cluster of rarer words ends that has smaller embeddings; none: one softmax."
    )
    shrink: int = _help(4, "Each cluster's embeddings have so many times fewer values than those of the one before.")

    def __post_init__(self) -> None:
        check_fields(
            self, dim=Range(2, 1 << 14), layers=Range(1, 64), heads=Range(1, 256), feed_forward=Range(1, 1 << 16),
            positions=Range(2, 1 << 16), dropout=Range(0, 0.9), cutoffs=Range(2, 10_000_000), shrink=Range(1, 64),
        )  # fmt: skip
        if self.architecture not in ("lstm", "transformer"):
            raise ValueError(f"architecture is '{self.architecture}', wanted lstm or transformer")
        if list(self.cutoffs) != sorted(set(self.cutoffs)) or len(self.cutoffs) > 8:
            raise ValueError("cutoffs: wanted at most 8 ranks that rise")
        if self.architecture == "transformer" and self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")

    @property
    def least_size(self) -> int:
        """Parameters that such a network has at least."""
        if self.architecture == "lstm":
            return 8 * self.dim * self.dim * self.layers
        return self.dim * (self.positions + self.layers * (4 * self.dim + 2 * self.feed_forward))
