"""Settings of a neural language model's training, and what they are to the loop that trains networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, SHARE, Range, check_fields
from hybrid.train.nnet.config import BatchConfig, OptimiserConfig, TrainingConfig

if TYPE_CHECKING:
    from hybrid.train.nnet.run import NnetConfig

__all__ = ["LmTrainingConfig"]

BUCKETS = 30  # of stretches of text of similar length


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class LmTrainingConfig:
    """How long, in what steps, on what."""

    epochs: float = _help(4.0, "Passes over the text.")
    context: int = _help(
        60, "Tokens of a stretch of text, whole sentences, read from a fresh state; 0: a sentence each."
    )
    min_count: int = _help(1, "Words said less often in the text are unknown, where no vocabulary is given.")
    batch_tokens: int = _help(4000, "Tokens of a step.")
    learning_rate: float = _help(2e-3, "At its highest.")
    final_learning_rate: float = _help(1e-4, "At the end.")
    warmup: float = _help(0.02, "Share of the training in which it rises from nothing.")
    weight_decay: float = _help(0.0, "Of weights; biases have none.")
    clip: float = _help(1.0, "Largest norm of a step's gradient; 0: no limit.")
    heldout: int = _help(300, "Stretches of the text held out, where no text for that is given; at most a tenth.")
    evaluations: int = _help(2, "Measurements on the held-out text per epoch.")
    patience: int = _help(3, "Stop after so many measurements without a better one; 0: never.")
    average: int = _help(1, "Models averaged at the end, the best on the held-out text.")
    checkpoint_minutes: float = _help(5.0, "Between saved states; a killed training goes on from the last.")
    amp: Literal["none", "float16", "bfloat16"] = _help("none", "Arithmetic of the network, on a GPU.")
    device: str = _help("cpu", "cpu, cuda, cuda:1.")
    threads: int = _help(0, "Threads of the arithmetic; 0: as the environment says.")
    seed: int = _help(0, "Of all that is drawn.")

    def __post_init__(self) -> None:
        check_fields(
            self, epochs=POSITIVE, context=Range(0, 1 << 16), min_count=COUNT, batch_tokens=COUNT,
            learning_rate=POSITIVE, final_learning_rate=POSITIVE, warmup=SHARE, weight_decay=NATURAL, clip=NATURAL,
            heldout=NATURAL, evaluations=Range(1, 10_000), patience=NATURAL, average=Range(1, 100),
            checkpoint_minutes=NATURAL, threads=Range(0, 1024), seed=NATURAL,
        )  # fmt: skip
        if self.amp not in ("none", "float16", "bfloat16"):
            raise ValueError(f"amp is '{self.amp}', wanted none, float16 or bfloat16")

    def for_the_loop(self, measured: bool) -> NnetConfig:
        """Returns the sections that the loop knows.

        Args:
          measured: there is held-out text.
        """
        from hybrid.train.nnet.run import NnetConfig

        optimiser = OptimiserConfig(
            learning_rate=self.learning_rate, final_learning_rate=self.final_learning_rate, schedule="cosine",
            warmup=self.warmup, weight_decay=self.weight_decay, clip=self.clip,
        )  # fmt: skip
        training = TrainingConfig(
            epochs=self.epochs, heldout=1 if measured else 0, evaluations=self.evaluations,
            patience=self.patience if measured else 0, average=self.average, average_of="best",
            keep=max(self.average, 3), checkpoint_minutes=self.checkpoint_minutes, amp=self.amp, device=self.device,
            threads=self.threads, seed=self.seed,
        )  # fmt: skip
        batches = BatchConfig(chunk_frames=(0,), batch_frames=self.batch_tokens, buckets=BUCKETS)
        return NnetConfig(batches=batches, optimiser=optimiser, training=training)
