"""Batch norms that become part of the maps beside them, so that scoring does not compute them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybrid.nnet.layers import BatchNorm

__all__ = ["Folded", "add_offset", "fold_after", "fold_before"]


class Folded(nn.Module):
    """What is left of a batch norm."""

    def forward(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The values as they are."""
        return values


@torch.no_grad()
def add_offset(layer: nn.Conv1d, offset: Tensor) -> None:
    """Lets a map add what it would make of a constant [in] more in each of its inputs."""
    more = layer.weight.sum(2) @ offset
    layer.bias = nn.Parameter(more if layer.bias is None else layer.bias + more, requires_grad=False)


@torch.no_grad()
def fold_before(norm: BatchNorm, layer: nn.Conv1d, second: nn.Conv1d | None = None) -> None:
    """Puts a norm into the map that follows it; a second map, without a bias of its own, takes the last channels."""
    scale, offset = norm.scale_and_offset()
    split = layer.in_channels
    add_offset(layer, offset[:split])
    layer.weight.mul_(scale[None, :split, None])
    if second is not None:
        assert layer.bias is not None
        layer.bias.add_(second.weight.sum(2) @ offset[split:])
        second.weight.mul_(scale[None, split:, None])


@torch.no_grad()
def fold_after(norm: BatchNorm, *layers: nn.Conv1d | None) -> Tensor:
    """Puts the scale of a norm after a ReLU into the maps whose sum the ReLU sees; returns what is left, [out]."""
    scale, offset = norm.scale_and_offset()
    for layer in layers:
        if layer is not None:
            layer.weight.mul_(scale[:, None, None])
            if layer.bias is not None:
                layer.bias.mul_(scale)
    return offset
