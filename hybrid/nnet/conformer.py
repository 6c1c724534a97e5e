"""Conformer: self-attention for what is far, convolution for what is near (Gulati et al. 2020).

    x ─ ½ feed-forward ─(+)─ self-attention ─(+)─ convolution ─(+)─ ½ feed-forward ─(+)─ layer norm ─►

How far attention reaches, and whether the convolution sees later frames, is configuration; the network runs in pieces
with the same result as on whole utterances (`hybrid.nnet.stages`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hybrid.base.ranges import Range, check_fields
from hybrid.nnet.fold import Folded
from hybrid.nnet.layers import BatchNorm, zeros_past_end
from hybrid.nnet.masks import Scope, attention_mask
from hybrid.nnet.stages import FrontEnd, Stage, StagedNetwork

__all__ = ["Conformer", "ConformerConfig"]

SIZE = Range(1, 1 << 14)


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class ConformerConfig:
    """Shape and context of a conformer; frames are those after subsampling."""

    layers: int = _help(8, "blocks")
    dim: int = _help(144, "values per frame between blocks")
    heads: int = _help(4, "of the self-attention")
    expansion: int = _help(4, "width of a feed-forward module, in dims")
    kernel: int = _help(15, "frames that a convolution sees, an odd number")
    causal: bool = _help(False, "a convolution sees no later frames")
    look_back: int = _help(-1, "frames before that attention reaches; -1: all")
    look_ahead: int = _help(-1, "frames after that the attention of each block reaches; -1: all")
    chunk: int = _help(0, "frames of a chunk, the last that its frames attend to; 0: no chunks")
    left_chunks: int = _help(-1, "chunks before its own that a frame attends to; -1: all")
    dropout: float = _help(0.1, "proportion of dropout")
    subsampling_factor: int = _help(3, "frames of features per frame of scores")
    chain: bool = _help(True, "a head for LF-MMI")
    xent: bool = _help(True, "a head of log-posteriors")

    def __post_init__(self) -> None:
        check_fields(
            self, layers=Range(1, 200), dim=SIZE, heads=Range(1, 256), expansion=Range(1, 32), kernel=Range(1, 999),
            dropout=Range(0, 0.9), subsampling_factor=Range(1, 16), look_back=Range(-1), look_ahead=Range(-1),
            chunk=Range(0, 10_000), left_chunks=Range(-1),
        )  # fmt: skip
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim is {self.dim}, wanted a multiple of twice heads ({2 * self.heads})")
        if not self.kernel % 2:
            raise ValueError(f"kernel is {self.kernel}, wanted an odd number")
        if not (self.chain or self.xent):
            raise ValueError("chain and xent are both false; wanted a head at least")
        self.scope  # noqa: B018  checks itself

    @property
    def scope(self) -> Scope:
        """Which frames a frame may attend to."""
        return Scope(self.look_back, self.look_ahead, self.chunk, self.left_chunks)

    @property
    def least_size(self) -> int:
        """Parameters that such a network has at least."""
        return (4 * self.expansion + 8) * self.dim * self.dim * self.layers


class Conformer(StagedNetwork):
    """See the module, and `Network`."""

    architecture = "conformer"
    Config = ConformerConfig

    def __init__(self, config: ConformerConfig, feature_dim: int, num_pdfs: int) -> None:
        super().__init__()
        self.config, self.feature_dim, self.num_pdfs = config, feature_dim, num_pdfs
        self.subsampling_factor = config.subsampling_factor
        self.front_end = FrontEnd(feature_dim, config.dim, config.subsampling_factor)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.chain = nn.Linear(config.dim, num_pdfs) if config.chain else None
        self.xent = nn.Linear(config.dim, num_pdfs) if config.xent else None
        self.set_context()

    def stages(self) -> list[Stage]:
        """See `StagedNetwork.stages`."""
        return [self.front_end, *(stage for block in self.blocks for stage in block.children())]

    def for_inference(self, head: str) -> Conformer:
        """See `Network.for_inference`; batch norms become part of the convolutions before them."""
        network = super().for_inference(head)
        assert isinstance(network, Conformer)
        network.front_end.fold()
        for block in network.blocks:
            block.convolution.fold()
        return network


class Block(nn.Module):
    """Four stages in a row, each with its residual."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.feed_in = FeedForward(config)
        self.attention = SelfAttention(config)
        self.convolution = Convolution(config)
        self.feed_out = FeedForward(config, last=True)


class FeedForward(Stage):
    """x + ½ FFN(x), with Swish (figure 4 of the paper); the last of a block is normalised."""

    def __init__(self, config: ConformerConfig, last: bool = False) -> None:
        super().__init__()
        dim, self.out_dim = config.dim, config.dim
        self.module = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, config.expansion * dim), nn.SiLU(), nn.Dropout(config.dropout),
            nn.Linear(config.expansion * dim, dim), nn.Dropout(config.dropout),
        )  # fmt: skip
        self.norm = nn.LayerNorm(dim) if last else nn.Identity()

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """See `Stage.forward`."""
        return self.norm(x + 0.5 * self.module(x))


class SelfAttention(Stage):
    """x + multi-head self-attention with relative positions (figure 3; Dai et al. 2019)."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        dim, self.out_dim, self.heads = config.dim, config.dim, config.heads
        self.scope, self.period = config.scope, max(1, config.chunk)
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.position = nn.Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(config.heads, 1, dim // config.heads))
        self.position_bias = nn.Parameter(torch.zeros(config.heads, 1, dim // config.heads))
        self.out, self.dropout = nn.Linear(dim, dim), nn.Dropout(config.dropout)

    def sees(self, frame: int) -> tuple[int, int | None]:
        """See `Stage.sees`."""
        return self.scope.sees(frame)

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """See `Stage.forward`."""
        frames = x.shape[1]
        first = None if first is None else first.to(x.device)
        mask = attention_mask(lengths.to(x.device), frames, self.scope, first)[:, None]
        normed = self.norm(x)
        query, key, value = (self._split(part(normed)) for part in (self.query, self.key, self.value))
        position = self._split(self.position(relative_positions(frames, x))[None])
        content = (query + self.content_bias) @ key.transpose(2, 3)
        distance = shifted((query + self.position_bias) @ position.transpose(2, 3))
        scores = (content + distance) * (self.out_dim // self.heads) ** -0.5
        weights = self.dropout(scores.masked_fill(~mask, -1e9).softmax(dim=3))
        return x + self.dropout(self.out((weights @ value).transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        """[N][T][D] → [N][heads][T][D / heads]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, self.out_dim // self.heads).transpose(1, 2)


def relative_positions(frames: int, like: Tensor) -> Tensor:
    """Returns sinusoids [2 T − 1][D] of the distances T − 1 … −(T − 1) from a frame to the one attended to."""
    dim, dtype = like.shape[2], torch.promote_types(like.dtype, torch.float32)  # bfloat16 cannot count to 1000
    distance = torch.arange(frames - 1, -frames, -1, device=like.device, dtype=dtype)
    rate = torch.exp(torch.arange(0, dim, 2, device=like.device, dtype=dtype) * (-math.log(10000.0) / dim))
    angle = distance[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1).to(like.dtype)


def shifted(scores: Tensor) -> Tensor:
    """[N][H][T][2 T − 1 distances] → [N][H][T][T frames attended to] (Dai et al. 2019, appendix B)."""
    n, heads, frames, distances = scores.shape
    padded = nn.functional.pad(scores, (1, 0)).reshape(n, heads, distances + 1, frames)
    return padded[:, :, 1:].reshape(n, heads, frames, distances)[:, :, :, :frames]


class Convolution(Stage):
    """x + pointwise, gated, depthwise, batch norm, Swish, pointwise (figure 2)."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        dim, self.out_dim = config.dim, config.dim
        self.left = config.kernel - 1 if config.causal else config.kernel // 2
        self.right = config.kernel - 1 - self.left
        self.norm, self.gated = nn.LayerNorm(dim), nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, config.kernel, groups=dim)
        self.batch_norm = BatchNorm(dim)
        self.out, self.dropout = nn.Linear(dim, dim), nn.Dropout(config.dropout)

    def sees(self, frame: int) -> tuple[int, int | None]:
        """See `Stage.sees`."""
        return max(0, frame - self.left), frame + self.right

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """See `Stage.forward`."""
        gated = zeros_past_end(nn.functional.glu(self.gated(self.norm(x)), dim=2), lengths).transpose(1, 2)
        y = self.batch_norm(self.depthwise(nn.functional.pad(gated, (self.left, self.right))), lengths)
        return x + self.dropout(self.out(nn.functional.silu(y).transpose(1, 2)))

    @torch.no_grad()
    def fold(self) -> None:
        """Puts the batch norm into the depthwise convolution."""
        scale, offset = self.batch_norm.scale_and_offset()
        assert self.depthwise.bias is not None
        self.depthwise.weight.mul_(scale[:, None, None])
        self.depthwise.bias.mul_(scale).add_(offset)
        self.batch_norm = Folded()  # type: ignore[assignment]
