"""Features of audio that comes in pieces: the same frames as those of the whole recording, each as soon as it is known.

A frame waits for the samples of its window and for the frames after it that deltas and splicing look at. What needs the
whole utterance is replaced by what does not: a speaker without statistics is normalised by a running mean (Kaldi's
OnlineCmvn) instead of the utterance's own, and no dither is added, since its noise is seeded by all the samples.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hybrid.base.errors import InputError
from hybrid.data.resampler import StreamResampler
from hybrid.feats.cmvn import CmvnStats, normalise
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.online_cmvn import OnlineCmvn, OnlineCmvnConfig
from hybrid.feats.pipeline import FeaturePipeline, require_finite

__all__ = ["FeatureStream", "StaticStream"]


class StaticStream:
    """Static features of samples that come in pieces; bit for bit those of the whole (without dither)."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.extractor = extractor
        self._samples = np.zeros(0, np.float32)
        self._offset = self._done = 0  # samples dropped, frames given

    def advance(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Takes in samples.

        Args:
          samples: float32 [N] in [-1, 1] at the extractor's rate; may be empty.
          last: no more will come, so that frames at the end may see the audio mirrored (`snip_edges` off).

        Returns:
          float32 [T][dim], the frames that are complete now.
        """
        config = self.extractor.config
        self._samples = np.concatenate([self._samples, self.extractor.scaled(samples, config.sampling_rate)])
        known = self._offset + len(self._samples)
        if last or config.snip_edges:
            ready = config.num_frames(known)
        else:  # the window of frame t ends at t · shift + shift / 2 + length / 2
            half = config.window_shift // 2 - config.window_length // 2 + config.window_length
            ready = min(config.num_frames(known), max(0, (known - half) // config.window_shift + 1))
        if ready <= self._done:
            return np.zeros((0, config.dim), np.float32)
        frames = self.extractor.frames(self._samples, self._done, ready - self._done, self._offset)
        self._done = ready
        self._drop(ready * config.window_shift - config.window_length)
        return frames

    def _drop(self, before: int) -> None:
        """Forgets the samples before a place that no later frame looks at."""
        # A window that is mirrored at the recording's end looks back over at most its own length once more.
        count = before - self.extractor.config.window_length - self._offset
        if count > 0:
            self._samples, self._offset = self._samples[count:].copy(), self._offset + count


class FeatureStream:
    """A model's features of samples that come in pieces.

    Attributes:
      frames: how many were given out.
    """

    def __init__(
        self,
        pipeline: FeaturePipeline,
        rate: int | None = None,
        stats: CmvnStats | None = None,
        online: OnlineCmvnConfig | None = None,
        speaker_transform: np.ndarray | None = None,
    ) -> None:
        """Starts a recording.

        Args:
          rate: of the samples, Hz; None: that of the pipeline.
          stats: the speaker's CMVN statistics, if known: then the frames are those of the whole recording.
          online: how a speaker without statistics, or an utterance, is normalised.
          speaker_transform: float32 [dim][dim + 1], fMLLR.

        Raises:
          InputError: the pipeline normalises by a window around each frame, which a stream cannot see.
        """
        self.pipeline = pipeline
        if pipeline.cmvn.kind == "sliding" and pipeline.cmvn.center:
            raise InputError.at(
                "CMVN", "this model normalises by a window around each frame, which a stream cannot see",
                "Recognise whole recordings with it, or train with cmvn.center: false.",
            )  # fmt: skip
        static = dataclasses.replace(pipeline.static, dither=0.0)
        self._resampler = StreamResampler(rate or static.sampling_rate, static.sampling_rate)
        self._static = StaticStream(FeatureExtractor(static))
        known = pipeline.cmvn.kind == "none" or (pipeline.cmvn.kind == "speaker" and stats is not None)
        self._stats = stats
        self._cmvn = None if known else OnlineCmvn(pipeline.cmvn, online, stats)
        self._transform = speaker_transform
        reach = pipeline.delta_order * pipeline.delta_window
        self._left, self._right = reach + pipeline.splice_left, reach + pipeline.splice_right
        self._kept = np.zeros((0, static.dim), np.float32)
        self._first = 0  # number of the first frame kept
        self.frames = 0

    def advance(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Takes in samples.

        Args:
          samples: float32 [N] in [-1, 1]; may be empty. last: no more will come.

        Returns:
          float32 [T][dim], the frames that are complete now.

        Raises:
          InputError: not one channel, or NaN or infinity; the stream is as it was.
        """
        samples = self.check(samples)
        static = self._static.advance(self._resampler.advance(samples, last), last)
        require_finite(static)
        if self._cmvn is not None:
            static = self._cmvn.advance(static)
        else:
            static = normalise(static, self.pipeline.cmvn, self._stats)
        self._kept = np.concatenate([self._kept, static])
        return self._give(last)

    @staticmethod
    def check(samples: np.ndarray) -> np.ndarray:
        """Returns samples as float32 [N].

        Raises:
          InputError: not one channel, or NaN or infinity.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            what = "hold NaN or infinity" if samples.ndim == 1 else f"have shape {samples.shape}, wanted [N]"
            raise InputError.at("samples", what, "Mend the audio.")
        return samples

    def _give(self, last: bool) -> np.ndarray:
        """Puts context around the frames whose right context is there."""
        known = self._first + len(self._kept)
        ready = known if last else max(self.frames, known - self._right)
        if ready == self.frames:
            return np.zeros((0, self.pipeline.dim), np.float32)
        out = self.pipeline.in_context(self._kept, self._transform)[self.frames - self._first : ready - self._first]
        drop = max(0, ready - self._left - self._first)
        self._kept, self._first = self._kept[drop:].copy(), self._first + drop
        self.frames = ready
        return out
