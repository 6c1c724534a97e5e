"""Networks made of stages, each of which can also be run in pieces: what later frames need is kept stage by stage.

A stage says of each of its output frames which input frames it sees. Run in pieces it keeps the input frames that later
outputs see and gives out what is complete: the same as for the whole utterance, and nothing is computed twice but what
a stage makes of the frames that it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hybrid.nnet.fold import Folded, add_offset, fold_after, fold_before
from hybrid.nnet.layers import BatchNorm, affine, log_posteriors, with_edges
from hybrid.nnet.network import UNLIMITED, Network, Output

__all__ = ["FrontEnd", "Stage", "StageState", "StagedNetwork"]


class StageState:
    """What a stage carries from piece to piece of one utterance.

    Attributes:
      frames: input frames that later outputs see, [T][D]; None before the first.
      first: the number of the first of them.
      given: output frames given out.
      state: what else a stage carries.
    """

    def __init__(self) -> None:
        self.frames: Tensor | None = None
        self.first = self.given = 0
        self.state: Any = None


class Stage(nn.Module):
    """Maps frames to frames.

    Attributes:
      out_dim: columns of the output.
      factor: input frames per output frame.
      period: output frames after which what they see repeats itself.
    """

    out_dim: int
    factor: int = 1
    period: int = 1

    def sees(self, frame: int) -> tuple[int, int | None]:
        """Returns the first and the last input frame that an output frame sees; None: the utterance's last."""
        return frame, frame

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None) -> Tensor:
        """Maps [N][T][D] to [N][T'][out_dim].

        Args:
          lengths: int64 [N], frames of each row.
          first: int64 [N], the number in its utterance of each row's first frame, a multiple of `factor`; None: 0.
        """
        raise NotImplementedError

    def advance(self, kept: Sequence[StageState], pieces: Sequence[Tensor], last: Sequence[bool]) -> list[Tensor]:
        """Takes in a piece [T][D] of each of some utterances; returns the outputs [T'][out_dim] now complete."""
        ready = [self._take(*one) for one in zip(kept, pieces, last)]
        out = [piece.new_zeros(0, self.out_dim) for piece in pieces]
        rows = [n for n, k in enumerate(kept) if ready[n] > k.given]
        if rows:
            for n, values in zip(rows, self._compute([kept[n] for n in rows], [ready[n] for n in rows])):
                out[n] = values
        for k, end in zip(kept, ready):
            self._drop(k, end)
        return out

    def _compute(self, kept: Sequence[StageState], ready: Sequence[int]) -> list[Tensor]:
        """Returns the outputs of each from `given` to `ready`."""
        frames = [k.frames for k in kept if k.frames is not None]
        lengths, first = torch.tensor([len(f) for f in frames]), torch.tensor([k.first for k in kept])
        out = self(nn.utils.rnn.pad_sequence(frames, batch_first=True), lengths, first)
        begin = [k.first // self.factor for k in kept]
        return [out[n, k.given - begin[n] : ready[n] - begin[n]] for n, k in enumerate(kept)]

    def _take(self, kept: StageState, piece: Tensor, last: bool) -> int:
        """Appends a piece; returns how many output frames are complete."""
        kept.frames = piece if kept.frames is None else torch.cat([kept.frames, piece])
        known, ready = kept.first + len(kept.frames), kept.given
        total = -(-known // self.factor)
        if last:
            return total
        while ready < total:
            end = self.sees(ready)[1]
            if end is None or end >= known:
                break
            ready += 1
        return ready

    def _drop(self, kept: StageState, ready: int) -> None:
        """Forgets the frames that no output from `ready` on sees."""
        assert kept.frames is not None
        first = min(self.sees(ready)[0], kept.first + len(kept.frames)) // self.factor * self.factor
        first = max(kept.first, first)
        kept.frames, kept.first, kept.given = kept.frames[first - kept.first :], first, ready


class FrontEnd(Stage):
    """Normalises features and convolves them twice, the second time with a step of `factor` frames."""

    REACH = 2

    def __init__(self, feature_dim: int, dim: int, factor: int) -> None:
        super().__init__()
        self.out_dim, self.factor = dim, factor
        self.input_norm = BatchNorm(feature_dim)
        self.first, self.first_norm = affine(feature_dim, dim, 3), BatchNorm(dim)
        self.second, self.second_norm = affine(dim, dim, 3, stride=factor), BatchNorm(dim)

    def sees(self, frame: int) -> tuple[int, int | None]:
        """See `Stage.sees`."""
        return max(0, frame * self.factor - self.REACH), frame * self.factor + self.REACH

    def forward(self, x: Tensor, lengths: Tensor, first: Tensor | None = None, padded: bool = False) -> Tensor:
        """See `Stage.forward`; `padded` features carry `REACH` frames of context on each side."""
        if not padded:
            x = with_edges(x, lengths, self.REACH, self.REACH)
        x = self.input_norm(x.transpose(1, 2), lengths + 2 * self.REACH)
        x = self.first_norm(torch.relu(self.first(x)), lengths + 2)
        counts = torch.div(lengths + self.factor - 1, self.factor, rounding_mode="floor")
        return self.second_norm(torch.relu(self.second(x)), counts).transpose(1, 2)

    def fold(self) -> None:
        """Puts the norms into the convolutions, but for the last offset."""
        fold_before(self.input_norm, self.first)
        add_offset(self.second, fold_after(self.first_norm, self.first))
        self.input_norm, self.first_norm = Folded(), Folded()  # type: ignore[assignment]


class StagedNetwork(Network):
    """A network made of a `front_end`, more stages, and a linear map for each head.

    Attributes:
      chain, xent: the heads, or None.
    """

    front_end: FrontEnd
    chain: nn.Linear | None
    xent: nn.Linear | None

    def stages(self) -> list[Stage]:
        """Returns the stages, the front end first."""
        raise NotImplementedError

    @property
    def chunk_context(self) -> tuple[int, int]:
        """See `Network`: only that of the front end; a chunk is an utterance to the other stages."""
        return FrontEnd.REACH, FrontEnd.REACH

    def forward(self, features: Tensor, lengths: Tensor, padded: bool = False) -> Output:
        """See `Network.forward`."""
        factor = self.subsampling_factor
        counts = torch.div(lengths + factor - 1, factor, rounding_mode="floor")
        x = self.front_end(features, lengths, padded=padded)
        for stage in self.stages()[1:]:
            x = stage(x, counts)
        return self._output(x, counts)

    def _output(self, x: Tensor, counts: Tensor) -> Output:
        chain = self.chain(x) if self.chain is not None else None
        xent = log_posteriors(self.xent(x)) if self.xent is not None else None
        return Output(chain, xent, counts)

    def open(self) -> list[StageState]:
        """Begins an utterance that comes in pieces."""
        return [StageState() for _ in self.stages()]

    def advance(self, kept: Sequence[list[StageState]], pieces: Sequence[Tensor], last: Sequence[bool]) -> list[Output]:
        """Takes in features [T][D] of each of some utterances; returns the outputs [T'][P] that are complete."""
        frames = list(pieces)
        for i, stage in enumerate(self.stages()):
            frames = stage.advance([k[i] for k in kept], frames, last)
        sizes = [len(f) for f in frames]
        output = self._output(torch.cat(frames), torch.tensor(sizes))
        heads = [[None] * len(sizes) if head is None else head.split(sizes) for head in output[:2]]
        return [Output(c, x, torch.tensor(n)) for c, x, n in zip(*heads, sizes)]

    def set_context(self) -> None:
        """Finds `left_context` and `right_context`: how far the frames of one period see through all stages."""
        stages, left, right = self.stages(), 0, 0
        period = math.lcm(*(stage.period for stage in stages))
        for frame in range(1_000_000 * period, 1_000_001 * period):
            begin, end = frame, frame  # type: tuple[int, int | None]
            for stage in reversed(stages):
                begin, end = stage.sees(begin)[0], None if end is None else stage.sees(end)[1]
            here = frame * self.subsampling_factor
            left = max(left, UNLIMITED if begin == 0 else here - begin)
            right = max(right, UNLIMITED if end is None else end - here)
        self.left_context, self.right_context = left, right
