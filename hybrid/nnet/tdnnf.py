"""TDNN-F: time-delay layers whose matrices are factorised, the first factor semi-orthogonal (Povey et al. 2018).

    x(t) ─┬─ linear of x(t − s), x(t) → bottleneck b ─ affine of b(t), b(t + s) ─ ReLU ─ batch norm ─ dropout ─(+)─►
          └──────────────────────────────────── · bypass_scale ─────────────────────────────────────────────────┘

Only the frames that the output asks for are computed: from the layer on after which all strides are multiples of the
subsampling factor, every third frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hybrid.base.ranges import SHARE, Range, check_fields
from hybrid.nnet.fold import Folded, add_offset, fold_after, fold_before
from hybrid.nnet.layers import (
    BatchNorm,
    TimeDropout,
    affine,
    constrain_orthonormal_,
    linear,
    log_posteriors,
    with_edges,
)
from hybrid.nnet.network import Network, Output

__all__ = ["Tdnnf", "TdnnfConfig"]

SIZE = Range(1, 1 << 14)


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TdnnfConfig:
    """Shape of a TDNN-F; the defaults are those of Kaldi's recipe for an hour or two of speech."""

    dim: int = _help(384, "values per frame between layers")
    bottleneck_dim: int = _help(96, "values per frame between the two factors of a layer")
    first_context: int = _help(2, "frames on each side that the first layer sees")
    time_strides: tuple[int, ...] = _help((1, 1, 0, 3, 3, 3), "of each factorised layer, frames to each side")
    bypass_scale: float = _help(0.66, "weight of a layer's input in its output")
    prefinal_dim: int = _help(96, "values per frame that an output layer sees")
    dropout: float = _help(0.0, "proportion of dropout, shared over time")
    subsampling_factor: int = _help(3, "frames of features per frame of scores")
    speaker_dim: int = _help(0, "last columns of the features that are a speaker's vector, the same in each frame")
    chain: bool = _help(True, "a head for LF-MMI")
    xent: bool = _help(True, "a head of log-posteriors")

    def __post_init__(self) -> None:
        check_fields(
            self, dim=SIZE, bottleneck_dim=SIZE, prefinal_dim=SIZE, first_context=Range(0, 50), bypass_scale=SHARE,
            time_strides=Range(0, 100), dropout=Range(0, 0.5), subsampling_factor=Range(1, 16),
            speaker_dim=Range(0, 1 << 14),
        )  # fmt: skip
        if not 1 <= len(self.time_strides) <= 200:
            raise ValueError(f"time_strides names {len(self.time_strides)} layers, wanted 1 to 200")
        if not (self.chain or self.xent):
            raise ValueError("chain and xent are both false; wanted a head at least")

    @property
    def context(self) -> int:
        """Frames on each side that an output sees."""
        return self.first_context + sum(self.time_strides)

    @property
    def subsampling_layer(self) -> int:
        """The layer, counted from 0, the first one included, whose output has every third frame only."""
        later = [stride % self.subsampling_factor for stride in self.time_strides]
        return max((i + 1 for i, rest in enumerate(later) if rest), default=0)

    @property
    def least_size(self) -> int:
        """Parameters that such a network has at least."""
        return 2 * self.dim * self.bottleneck_dim * len(self.time_strides)


class Tdnnf(Network):
    """See the module, and `Network`."""

    architecture = "tdnnf"
    Config = TdnnfConfig

    def __init__(self, config: TdnnfConfig, feature_dim: int, num_pdfs: int) -> None:
        super().__init__()
        self.config, self.feature_dim, self.num_pdfs = config, feature_dim, num_pdfs
        self.subsampling_factor = config.subsampling_factor
        self.left_context = self.right_context = config.context
        spliced = feature_dim - config.speaker_dim
        if spliced < 1:
            raise ValueError(f"speaker_dim is {config.speaker_dim}, wanted less than feature_dim {feature_dim}")
        at, factor = config.subsampling_layer, config.subsampling_factor
        self.input_norm = BatchNorm(feature_dim)
        self.first = affine(spliced, config.dim, 2 * config.first_context + 1, stride=factor if at == 0 else 1)
        self.speaker = linear(config.speaker_dim, config.dim) if config.speaker_dim else None
        self.first_norm = BatchNorm(config.dim)
        self.layers = nn.ModuleList(
            FactorisedLayer(config, stride, factor if i >= at else 1, factor if i == at - 1 else 1)
            for i, stride in enumerate(config.time_strides)
        )
        self.prefinal = linear(config.dim, config.prefinal_dim)
        self.chain = Head(config, num_pdfs) if config.chain else None
        self.xent = Head(config, num_pdfs) if config.xent else None

    def forward(self, features: Tensor, lengths: Tensor, padded: bool = False) -> Output:
        """See `Network.forward`."""
        config = self.config
        counts = torch.div(lengths + config.subsampling_factor - 1, config.subsampling_factor, rounding_mode="floor")
        if not padded:
            features = with_edges(features, lengths, config.context, config.context)
        x = self.input_norm(features.transpose(1, 2), lengths + 2 * config.context)
        x, reach = self._first(x), config.context - config.first_context
        x = self.first_norm(torch.relu(x), self._lengths(0, reach, lengths, counts))
        for i, (layer, stride) in enumerate(zip(self.layers, config.time_strides)):
            reach -= stride
            x = layer(x, self._lengths(i + 1, reach, lengths, counts))
        x = self.prefinal(x)
        chain = self.chain(x, counts).transpose(1, 2) if self.chain is not None else None
        xent = log_posteriors(self.xent(x, counts).transpose(1, 2)) if self.xent is not None else None
        return Output(chain, xent, counts)

    def _first(self, x: Tensor) -> Tensor:
        """The first layer: neighbours spliced, the speaker's vector once."""
        if self.speaker is None:
            return self.first(x)
        spliced = self.feature_dim - self.config.speaker_dim
        out, reach = self.first(x[:, :spliced]), self.config.first_context
        return out + self.speaker(x[:, spliced:, reach : x.shape[2] - reach : self.first.stride[0]])

    def _lengths(self, layer: int, reach: int, lengths: Tensor, counts: Tensor) -> Tensor:
        """Frames of each utterance, and of the context that later layers ask for, in the output of a layer."""
        if layer < self.config.subsampling_layer:
            return lengths + 2 * reach
        return counts + 2 * reach // self.config.subsampling_factor

    def constrain_(self) -> None:
        """See `Network.constrain_`."""
        for weight in self.orthonormal():
            constrain_orthonormal_(weight)

    def orthonormal(self) -> list[Tensor]:
        """Returns the weights that are held near semi-orthogonal."""
        heads = [head.linear for head in (self.chain, self.xent) if head is not None]
        return [part.weight for part in (*(layer.linear for layer in self.layers), self.prefinal, *heads)]

    def for_inference(self, head: str) -> Tdnnf:
        """See `Network.for_inference`; batch norms become part of the maps beside them."""
        network = super().for_inference(head)
        assert isinstance(network, Tdnnf)
        network._fold()
        return network

    def _fold(self) -> None:
        """Puts the batch norms into the maps beside them.

        A positive scale goes through the ReLU before it; an offset is the same in all frames and goes through bypasses
        into the next map.
        """
        fold_before(self.input_norm, self.first, self.speaker)
        offset = fold_after(self.first_norm, self.first, self.speaker)
        for layer in self.layers:
            add_offset(layer.linear, offset)
            offset = layer.scale * offset + fold_after(layer.norm, layer.affine)
        add_offset(self.prefinal, offset)
        for head in (self.chain, self.xent):
            if head is not None:
                add_offset(head.linear, fold_after(head.norm, head.affine))
                fold_before(head.last_norm, head.output)
        for module in self.modules():
            for name, child in module.named_children():
                if isinstance(child, BatchNorm):
                    setattr(module, name, Folded())


class FactorisedLayer(nn.Module):
    """One layer; frames lie `rate` frames of the features apart, and each `step`th of them is given out."""

    def __init__(self, config: TdnnfConfig, stride: int, rate: int, step: int) -> None:
        super().__init__()
        self.apart, self.step, self.scale = stride // rate, step, config.bypass_scale
        width, dilation = (2, self.apart) if stride else (1, 1)
        self.linear = linear(config.dim, config.bottleneck_dim, width, dilation)
        self.affine = affine(config.bottleneck_dim, config.dim, width, dilation, stride=step)
        self.norm = BatchNorm(config.dim)
        self.dropout = TimeDropout(config.dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Values [N][dim][T], whose norm counts `lengths` frames of each, to [N][dim][T']."""
        out = self.dropout(self.norm(torch.relu(self.affine(self.linear(x))), lengths))
        return out.add(x[:, :, self.apart : x.shape[2] - self.apart : self.step], alpha=self.scale)


class Head(nn.Module):
    """From the last bottleneck to one value per pdf."""

    def __init__(self, config: TdnnfConfig, num_pdfs: int) -> None:
        super().__init__()
        self.affine = affine(config.prefinal_dim, config.dim)
        self.norm = BatchNorm(config.dim)
        self.linear = linear(config.dim, config.prefinal_dim)
        self.last_norm = BatchNorm(config.prefinal_dim)
        self.output = affine(config.prefinal_dim, num_pdfs, zero=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Values [N][prefinal_dim][T] to [N][num_pdfs][T]."""
        x = self.norm(torch.relu(self.affine(x)), lengths)
        return self.output(self.last_norm(self.linear(x), lengths))
