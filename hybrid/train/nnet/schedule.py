"""The learning rate as the audio goes by."""

from __future__ import annotations

import math

from hybrid.train.nnet.config import OptimiserConfig

__all__ = ["learning_rate"]


def learning_rate(config: OptimiserConfig, progress: float) -> float:
    """Returns the learning rate after a share of the training.

    Exponential is Kaldi's schedule: the same factor for each hour of audio, from the initial to the final rate.

    Args:
      progress: audio seen over audio to be seen, 0 to 1.
    """
    progress = min(max(progress, 0.0), 1.0)
    first, last = config.learning_rate, config.final_learning_rate
    if config.warmup and progress < config.warmup:
        return first * max(progress / config.warmup, 1e-3)
    rest = (progress - config.warmup) / (1.0 - config.warmup) if config.warmup < 1 else 0.0
    if config.schedule == "constant":
        return first
    if config.schedule == "cosine":
        return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * rest))
    return first * (last / first) ** rest
