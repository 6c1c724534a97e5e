"""Normalisation of a stream: each frame by those before it, helped by what is known of the speaker and of everybody.

Kaldi's OnlineCmvn (online2): the mean of the last `window` frames; where there are fewer, the speaker's earlier frames
and then the training data's mean count as frames, up to a number of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hybrid.base.ranges import COUNT, NATURAL, check_fields
from hybrid.feats.cmvn import SLIDING_VARIANCE_FLOOR, CmvnConfig, CmvnStats

__all__ = ["OnlineCmvn", "OnlineCmvnConfig"]


@dataclass(frozen=True)
class OnlineCmvnConfig:
    """Numbers of frames; the defaults are Kaldi's."""

    window: int = field(default=600, metadata={"help": "Frames whose mean normalises the last of them."})
    speaker_frames: int = field(default=600, metadata={"help": "Frames that a speaker's earlier statistics count for."})
    prior_frames: int = field(default=200, metadata={"help": "Frames that the training data's mean counts for."})

    def __post_init__(self) -> None:
        check_fields(self, window=COUNT, speaker_frames=NATURAL, prior_frames=NATURAL)


class OnlineCmvn:
    """The running normalisation of one stream; the frames do not depend on how they are cut into chunks."""

    def __init__(
        self, config: CmvnConfig, online: OnlineCmvnConfig | None = None, speaker: CmvnStats | None = None
    ) -> None:
        """Starts an utterance.

        Args:
          config: of the model: whether variances are normalised, and the training data's mean and variance.
          speaker: statistics of the speaker's earlier utterances.
        """
        self._norm_vars, self._online = config.norm_vars, online or OnlineCmvnConfig()
        self._speaker = speaker
        self._prior = None
        if config.prior_mean:
            mean, variance = np.array(config.prior_mean), np.array(config.prior_var)
            self._prior = CmvnStats(1.0, mean, variance + mean**2)
        self._window: np.ndarray | None = None  # ring of the last frames, float64 [window][D]
        self._count = 0
        self._sums = self._squares = np.zeros(0)

    def advance(self, features: np.ndarray) -> np.ndarray:
        """Normalises the next frames, float32 [T][D]; returns as many."""
        if self._window is None:
            self._window = np.zeros((self._online.window, features.shape[1]))
            self._sums = np.zeros(features.shape[1])
            self._squares = np.zeros(features.shape[1])
        out = np.empty_like(features, np.float32)
        for t, frame in enumerate(np.asarray(features, np.float64)):
            out[t] = self._one(frame)
        return out

    def _one(self, frame: np.ndarray) -> np.ndarray:
        assert self._window is not None
        place = self._count % len(self._window)
        old = self._window[place]
        self._sums += frame - old
        self._squares += np.square(frame) - np.square(old)
        self._window[place] = frame
        self._count += 1
        count = float(min(self._count, len(self._window)))
        sums, squares = self._sums, self._squares
        for stats, limit in ((self._speaker, self._online.speaker_frames), (self._prior, self._online.prior_frames)):
            if stats is None or count >= len(self._window):
                continue
            # A speaker's statistics count for no more frames than they hold; the prior is one frame of any weight.
            held = stats.count if stats is self._speaker else float(limit)
            more = min(held, float(limit), len(self._window) - count)
            sums = sums + stats.sums * (more / stats.count)
            squares = squares + stats.squares * (more / stats.count)
            count += more
        mean = sums / count
        if not self._norm_vars:
            return frame - mean
        variance = squares / count - np.square(mean)
        return (frame - mean) / np.sqrt(np.maximum(variance, SLIDING_VARIANCE_FLOOR))
