"""What happens at each measurement: figures, a row of the table, a model kept, and whether to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hybrid.base.log import get_logger
from hybrid.train.nnet.average import keep_model, write_numbers
from hybrid.train.nnet.checkpoint import TrainState
from hybrid.train.nnet.config import TrainingConfig
from hybrid.train.nnet.corpus import Corpus, fixed_examples
from hybrid.train.nnet.data import Example, Maker
from hybrid.train.nnet.distributed import Group
from hybrid.train.nnet.forward import evaluate
from hybrid.train.nnet.log import Curves, row_text, warn_of_range, write_rows
from hybrid.train.nnet.objective import Objective
from hybrid.train.nnet.schedule import learning_rate

__all__ = ["Measurer"]

logger = get_logger(__name__)


@dataclass(eq=False)
class Measurer:
    """Measures a network; called by the loop with its state."""

    out_dir: Path
    network: nn.Module
    objective: Objective
    heldout: Maker
    config: Any  # NnetConfig
    corpus: Corpus
    group: Group
    device: torch.device
    save: Callable[[TrainState], None]
    _examples: list[Example] | None = field(default=None, init=False)
    _parts: int = field(default=1, init=False)
    _curves: Curves = field(init=False)

    def __post_init__(self) -> None:
        training: TrainingConfig = self.config.training
        wanted = training.tensorboard and self.group.is_first
        self._curves = Curves(self.out_dir / "tensorboard", wanted)
        if self.group.is_first:
            write_numbers(self.out_dir / "heldout.txt", (item.name for item in self.corpus.heldout))

    def __enter__(self) -> Measurer:
        return self

    def __exit__(self, *_: object) -> None:
        self._curves.close()

    def __call__(self, state: TrainState) -> bool:
        """Measures, keeps and saves; returns whether to stop."""
        training: TrainingConfig = self.config.training
        row = self._row(state)
        state.rows.append(row)
        state.sums = {}
        state.stopped = self._is_enough(state)
        if self.group.is_first:
            logger.info("%s", row_text(f"measurement {len(state.rows)}", row))
            warn_of_range(self.objective, {"objective": row.get("objective", math.nan)}, "training")
            warn_of_range(self.objective, {"objective": row.get("heldout_objective", math.nan)}, "held-out")
            if state.failed:
                name, reason = next(reversed(state.failed.items()))
                logger.warning("%d utterances cannot be used so far; the last, %s: %s", len(state.failed), name, reason)
            value = self._value(row)
            keep_model(self.out_dir, self.network, len(state.rows), value, training.keep, training.average_of == "best")
            write_rows(self.out_dir / "passes.tsv", state.rows)
            self._curves.add(row)
            if state.stopped:
                logger.info("no better measurement in the last %d: stopping early", training.patience)
        self.save(state)
        return state.stopped

    def _row(self, state: TrainState) -> dict[str, float]:
        names = sorted(state.sums)
        sums = dict(zip(names, self.group.total([state.sums[name] for name in names])))
        frames = sums.pop("frames", 0.0)
        heldout: dict[str, float] = {}
        if self.group.is_first and self.corpus.heldout:
            heldout = evaluate(self.network, self.objective, self._heldout(state), self.device)
        passed = state.frames / self.corpus.frames
        rate = learning_rate(self.config.optimiser, state.frames / self.total_frames)
        row = {"number": len(state.rows) + 1, "epoch": passed, "hours": passed * self.corpus.hours, "step": state.step,
               "learning_rate": rate}  # fmt: skip
        row |= {name: value / frames if frames else math.nan for name, value in sums.items()}
        row |= {f"heldout_{name}": value for name, value in heldout.items()}
        return row

    @property
    def total_frames(self) -> float:
        """Frames of features that are trained on."""
        training: TrainingConfig = self.config.training
        epochs = training.hours / self.corpus.hours if training.hours else training.epochs
        return max(1, round(epochs * self.corpus.frames))

    def _heldout(self, state: TrainState) -> list[Example]:
        if self._examples is None or self._parts != state.parts:
            self._parts = state.parts
            self._examples = list(fixed_examples(self.heldout, self.config.batches, state.parts))
            for example in self._examples:
                state.failed.update(example.failed)
        return self._examples

    @staticmethod
    def _value(row: dict[str, float]) -> float:
        return row.get("heldout_objective", row.get("objective", -math.inf))

    def _is_enough(self, state: TrainState) -> bool:
        patience = self.config.training.patience
        values = [self._value(row) for row in state.rows]
        stop = bool(patience and len(values) > patience and max(values[-patience:]) <= max(values[:-patience]))
        return bool(self.group.agree([float(stop)])[0])
