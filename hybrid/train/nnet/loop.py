"""The training loop: it knows no model and no objective, only steps, measurements and states to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from hybrid.base.errors import HybridError
from hybrid.base.log import get_logger, progress
from hybrid.nnet.layers import BatchNorm
from hybrid.train.nnet.batches import Batch
from hybrid.train.nnet.checkpoint import TrainState
from hybrid.train.nnet.config import BatchConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.data import Example, Maker, Position, batch_stream
from hybrid.train.nnet.distributed import Group
from hybrid.train.nnet.forward import amp_dtype, autocast, forward, is_out_of_memory
from hybrid.train.nnet.objective import Objective
from hybrid.train.nnet.optimiser import Optimiser
from hybrid.train.nnet.schedule import learning_rate

__all__ = ["Loop", "Micro"]

logger = get_logger(__name__)
MOST_SKIPPED = 20  # steps in a row without a finite gradient; then nothing will come of it


@dataclass(frozen=True, eq=False)
class Micro:
    """A batch of a step.

    Attributes:
      after: position of the stream behind it.
      example: None where another process makes it.
    """

    after: Position
    batch: Batch
    example: Example | None


@dataclass(eq=False)
class Loop:
    """A training under way.

    Attributes:
      total_frames: of features to train on. frames_per_row: between two measurements.
      measure: called after each of them with the state; tells whether to stop.
      save: called every `checkpoint_minutes`.
    """

    network: Any  # a Network, or any module that the objective takes the output of
    objective: Objective
    optimiser: Optimiser
    maker: Maker
    batches: BatchConfig
    config: OptimiserConfig
    training: TrainingConfig
    group: Group
    device: torch.device
    state: TrainState
    total_frames: int
    frames_per_row: int
    measure: Callable[[TrainState], bool]
    save: Callable[[TrainState], None]
    _model: nn.Module = field(init=False)
    _in_a_row: int = 0
    _told: bool = False  # of an utterance that failed

    def __post_init__(self) -> None:
        self._model = self.group.wrap(self.network, self.device)
        dtype = amp_dtype(self.training.amp, self.device)
        self._autocast = autocast(self.device, dtype)
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler  # type: ignore[attr-defined]
        self._scaler = scaler(enabled=dtype is torch.float16 and self.device.type == "cuda")
        if self.state.scale:
            self._scaler.load_state_dict(self.state.scale)
        self._per_step = -(-self.config.accumulate // self.group.size) * self.group.size
        self._saved = time.monotonic()

    def run(self, executor: Executor | None = None) -> None:
        """Trains until the audio is used up or `measure` says so.

        Raises:
          HybridError: no finite gradient any more, no memory for a single chunk, more utterances that fail in batches
            than `max_failed` allows, or no step that anything was learnt in.
        """
        if self.state.stopped or self.state.frames >= self.total_frames:
            return
        share = slice(self.group.rank, None, self.group.size)
        stream = batch_stream(self.maker, self.batches, self.state.position, executor, share)
        with closing(stream), progress("training", self.total_frames, logger) as bar:
            bar.done = self.state.frames
            for step in self._steps(stream):
                self._step(step)
                self._after(step)
                bar.advance(sum(int(micro.batch.frames.sum()) for micro in step), note=self._note())
                if self.state.frames >= self._next_row() and self.measure(self.state):
                    break
                if self.state.frames >= self.total_frames:
                    break
                if time.monotonic() - self._saved >= 60.0 * self.training.checkpoint_minutes:
                    self.save(self.state)
                    self._saved = time.monotonic()
        if not self.state.learnt:
            name, reason = next(reversed(self.state.failed.items()), ("", ""))
            why = f"the last that failed, {name}: {reason}" if name else "lower the learning rate"
            raise HybridError(
                f"nothing was learnt: none of {self.state.step} steps had an utterance that could be used and a finite "
                f"gradient; {why}"
            )

    def _next_row(self) -> float:
        return min((len(self.state.rows) + 1) * self.frames_per_row, self.total_frames)

    def _steps(self, stream: Iterator[tuple[Position, Batch, Example | None]]) -> Iterator[list[Micro]]:
        step: list[Micro] = []
        for after, batch, example in stream:
            step.append(Micro(after, batch, example))
            if len(step) == self._per_step:
                yield step
                step = []

    def _step(self, step: Sequence[Micro]) -> None:
        state = self.state
        torch.manual_seed((self.training.seed * 1_000_003 + state.step) * self.group.size + self.group.rank)
        self.network.train()
        if getattr(self.objective, "frozen_norms", False):
            for module in self.network.modules():
                module.train(not isinstance(module, BatchNorm))
        rate = learning_rate(self.config, state.frames / self.total_frames)
        sums = self._gradients(step)
        if self.optimiser.has_gradient:  # some utterance of the step could be used
            self._update(step, rate)
        if (state.step + 1) % self.config.constrain_every == 0:
            getattr(self.network, "constrain_", lambda: None)()
        for name, value in sums.items():
            state.sums[name] = state.sums.get(name, 0.0) + value

    def _update(self, step: Sequence[Micro], rate: float) -> None:
        if self._scaler.is_enabled():
            self._scaler.unscale_(self.optimiser.torch)
        norm = self.optimiser.gradient_norm()
        if math.isfinite(norm):
            self.optimiser.step(rate, norm)
            self._in_a_row = 0
        else:
            self._skip(step)
        if self._scaler.is_enabled():
            self._scaler.update()
            self.state.scale = self._scaler.state_dict()

    def _gradients(self, step: Sequence[Micro]) -> dict[str, float]:
        """Computes the gradient of a step, in smaller parts where memory does not suffice."""
        while True:
            self.optimiser.begin(self.state.step)
            try:
                return self._accumulate(step)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            chunks = max(len(micro.batch) for micro in step)
            if self.group.size > 1 or self.state.parts >= chunks:
                raise HybridError(
                    f"memory does not suffice for {-(-chunks // self.state.parts)} chunks of up to "
                    f"{max(int(micro.batch.frames.max()) for micro in step)} frames. Lower batch_frames or "
                    "chunk_frames, or use a machine or GPU with more memory; the saved state goes on."
                )
            self.state.parts *= 2
            logger.warning("memory does not suffice for a batch of %d chunks: from now on each is computed in %d parts",
                           chunks, self.state.parts)  # fmt: skip

    def _accumulate(self, step: Sequence[Micro]) -> dict[str, float]:
        factor = self.maker.factor
        frames = sum(int((-(-micro.batch.frames // factor)).sum()) for micro in step)
        mine = [micro for micro in step if micro.example is not None]
        sums: dict[str, float] = {}
        for place, micro in enumerate(mine):
            examples = self._parts(micro)
            for number, example in enumerate(examples):
                last = place == len(mine) - 1 and number == len(examples) - 1
                self._backward(example, frames, last, sums)
        return sums

    def _parts(self, micro: Micro) -> list[Example]:
        assert micro.example is not None
        if self.state.parts == 1:
            return [micro.example]
        size = -(-len(micro.batch) // self.state.parts)
        epoch = micro.after.epoch
        return [self.maker.make(epoch, micro.batch.part(i, i + size)) for i in range(0, len(micro.batch), size)]

    def _backward(self, example: Example, frames: int, last: bool, sums: dict[str, float]) -> None:
        if example.failed:
            self._note_failed(example.failed)
        if not example.names and self.group.size == 1:
            return
        with self.group.without_sync(self._model, last):
            if not example.names:  # the others wait for this process's gradients
                blank = torch.zeros(1, self.maker.left + self.maker.right + self.maker.factor, self.network.feature_dim)
                output = self._model(blank.to(self.device), torch.tensor([self.maker.factor]), padded=True)
                torch.stack([part.sum() * 0.0 for part in output[:2] if part is not None]).sum().backward()
                return
            with self._autocast():
                output = forward(self._model, example, self.device)
            parts = self.objective(output, example.targets)
            loss = parts.loss * (self.group.size / max(frames, 1))
            self._scaler.scale(loss).backward()
        for name, value in {**parts.figures, "frames": parts.frames}.items():
            sums[name] = sums.get(name, 0.0) + float(value)

    def _note_failed(self, failed: Mapping[str, str]) -> None:
        """Keeps why utterances of a batch are not in it, tells the first, and ends a training that lacks too many."""
        name, reason = next(iter(failed.items()))
        if not self._told:
            logger.warning("step %d: utterance %s cannot be trained on: %s", self.state.step, name, reason)
            self._told = True
        self.state.failed.update(failed)
        names, most = {item.name for item in self.maker.items}, self.training.max_failed
        count = len(names & self.state.failed.keys())
        if count > most * len(names):
            raise HybridError(
                f"step {self.state.step}: {count} of {len(names)} utterances cannot be trained on (allowed: "
                f"{most:.0%}, max_failed); the last, {name}: {reason} Then run it again; it goes on."
            )

    def _skip(self, step: Sequence[Micro]) -> None:
        """Leaves a step out whose gradient is not finite."""
        self.state.skipped += 1
        self._in_a_row += 1
        if self._scaler.is_enabled() and self._in_a_row < MOST_SKIPPED:
            return  # the scale of the loss is found by trying
        names = ", ".join(sorted({n for m in step if m.example is not None for n in m.example.names})[:3])
        if self._in_a_row >= MOST_SKIPPED:
            raise HybridError(
                f"step {self.state.step}: the loss or its gradient was NaN or infinite {MOST_SKIPPED} times in a row. "
                "Lower the learning rate (learning_rate, or warmup for a gentle start), or set clip and max_change; "
                "`hybrid data check` and `hybrid feats info` find broken audio."
            )
        logger.warning(
            "step %d: the loss or its gradient is NaN or infinite (utterances %s, …); the step is left out. A learning "
            "rate that is too high, or broken audio, does this", self.state.step, names,
        )  # fmt: skip

    def _after(self, step: Sequence[Micro]) -> None:
        self.state.position = step[-1].after
        self.state.frames += sum(int(micro.batch.frames.sum()) for micro in step)
        self.state.step += 1

    def _note(self) -> str:
        sums = self.state.sums
        value = sums.get("objective", 0.0) / sums["frames"] if sums.get("frames") else math.nan
        return f"{self.objective.name} {value:.4f} a frame"
