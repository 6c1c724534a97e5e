"""LSTM whose output is projected between layers (Sak, Senior and Beaufays 2014), in one or both directions.

Backward in time it needs the utterance's end, or, with latency control (Zhang et al. 2016), only that of a chunk and
some frames after it: the backward LSTM of a chunk begins anew there. Forward in time the state is carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hybrid.base.ranges import Range, check_fields
from hybrid.nnet.stages import FrontEnd, Stage, StagedNetwork, StageState

__all__ = ["Lstm", "LstmConfig"]

SIZE = Range(1, 1 << 14)


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class LstmConfig:
    """Shape and context of an LSTM; frames are those after subsampling."""

    layers: int = _help(3, "of LSTMs")
    dim: int = _help(256, "cells of a layer and direction")
    projection_dim: int = _help(128, "values per frame between layers")
    bidirectional: bool = _help(False, "backward in time too")
    chunk: int = _help(0, "frames for which the backward LSTM begins anew; 0: once, at the utterance's end")
    look_ahead: int = _help(0, "frames after a chunk that its backward LSTM begins with")
    dropout: float = _help(0.0, "proportion of dropout between layers")
    subsampling_factor: int = _help(3, "frames of features per frame of scores")
    chain: bool = _help(True, "a head for LF-MMI")
    xent: bool = _help(True, "a head of log-posteriors")

    def __post_init__(self) -> None:
        check_fields(
            self, layers=Range(1, 50), dim=SIZE, projection_dim=SIZE, chunk=Range(0, 10_000), dropout=Range(0, 0.9),
            look_ahead=Range(0, 10_000), subsampling_factor=Range(1, 16),
        )  # fmt: skip
        if (self.chunk and not self.bidirectional) or (self.look_ahead and not self.chunk):
            raise ValueError("chunk is of a bidirectional LSTM, and look_ahead of one with chunks")
        if not (self.chain or self.xent):
            raise ValueError("chain and xent are both false; wanted a head at least")

    @property
    def least_size(self) -> int:
        """Parameters that such a network has at least."""
        return self.dim * (4 * self.dim + 5 * self.projection_dim) * self.layers


class Lstm(StagedNetwork):
    """See the module, and `Network`."""

    architecture = "lstm"
    Config = LstmConfig

    def __init__(self, config: LstmConfig, feature_dim: int, num_pdfs: int) -> None:
        super().__init__()
        self.config, self.feature_dim, self.num_pdfs = config, feature_dim, num_pdfs
        self.subsampling_factor = config.subsampling_factor
        width = config.projection_dim
        self.front_end = FrontEnd(feature_dim, width, config.subsampling_factor)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.chain = nn.Linear(width, num_pdfs) if config.chain else None
        self.xent = nn.Linear(width, num_pdfs) if config.xent else None
        self.set_context()

    def stages(self) -> list[Stage]:
        """See `StagedNetwork.stages`."""
        return [self.front_end, *self.layers]  # type: ignore[list-item]

    def for_inference(self, head: str) -> Lstm:
        """See `Network.for_inference`."""
        network = super().for_inference(head)
        assert isinstance(network, Lstm)
        network.front_end.fold()
        return network


class Layer(Stage):
    """One layer: an LSTM forward in time and perhaps one backward, side by side; projected and normalised."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        width, directions = config.projection_dim, 1 + config.bidirectional
        self.out_dim, self.chunk, self.look_ahead = width, config.chunk, config.look_ahead
        self.period = max(1, config.chunk)
        self.forward_lstm = nn.LSTM(width, config.dim, batch_first=True)
        self.backward_lstm = nn.LSTM(width, config.dim, batch_first=True) if config.bidirectional else None
        self.projection = nn.Linear(directions * config.dim, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(config.dropout)

    def sees(self, frame: int) -> tuple[int, int | None]:
        """See `Stage.sees`."""
        if self.backward_lstm is None:
            return 0, frame
        return 0, (frame // self.chunk + 1) * self.chunk - 1 + self.look_ahead if self.chunk else None

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """See `Stage.forward`."""
        ahead = self.forward_lstm(x)[0]
        if self.backward_lstm is not None:
            ahead = torch.cat([ahead, self._backward(x, lengths)], dim=2)
        return self._project(ahead)

    def _project(self, x: Tensor) -> Tensor:
        return self.dropout(self.norm(self.projection(x)))

    def _backward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Runs backward in time over each utterance, or over its windows of a chunk and what follows it."""
        assert self.backward_lstm is not None
        lengths, frames = lengths.to(x.device), x.shape[1]
        chunk = self.chunk or frames
        windows, width = (frames + chunk - 1) // chunk, chunk + self.look_ahead
        begin = torch.arange(windows, device=x.device) * chunk
        sizes = (lengths[:, None] - begin).clamp(0, width)[:, :, None]  # frames of each window
        back = (sizes - 1 - torch.arange(width, device=x.device)).clamp(min=0)  # a window from its end; its own inverse
        index = (back + begin[:, None]).clamp(max=frames - 1).flatten(1)
        reversed_ = torch.gather(x, 1, index[:, :, None].expand(-1, -1, x.shape[2]))
        out = self.backward_lstm(reversed_.reshape(-1, width, x.shape[2]))[0]
        out = torch.gather(out, 1, back.reshape(-1, width)[:, :chunk, None].expand(-1, -1, out.shape[2]))
        return out.reshape(x.shape[0], windows * chunk, -1)[:, :frames]

    def _compute(self, kept: Sequence[StageState], ready: Sequence[int]) -> list[Tensor]:
        """See `Stage._compute`: the forward state is carried, so that frames given out are not kept."""
        out = []
        for k, end in zip(kept, ready):
            assert k.frames is not None
            x, count = k.frames[None], end - k.given
            ahead, k.state = self.forward_lstm(x[:, :count], k.state)
            if self.backward_lstm is not None:
                ahead = torch.cat([ahead, self._backward(x, torch.tensor([x.shape[1]]))[:, :count]], dim=2)
            out.append(self._project(ahead)[0])
        return out

    def _drop(self, kept: StageState, ready: int) -> None:
        """See `Stage._drop`."""
        assert kept.frames is not None
        kept.frames, kept.first, kept.given = kept.frames[ready - kept.first :], ready, ready
