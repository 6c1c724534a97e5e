"""A recording of any length as scores of its stretches; only one stretch is in memory at a time."""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np

from hybrid.base.errors import InputError
from hybrid.data.audio import probe_audio, read_audio, resample
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.vad import TimeSpan, VadConfig, segment_file
from hybrid.model.folder import Model

__all__ = ["Recording"]

CONTEXT = 15.0  # seconds on each side of a short stretch whose statistics normalise it too


class Recording:
    """One channel of a file, or a stretch of it."""

    def __init__(
        self,
        model: Model,
        path: str | os.PathLike,
        channel: int = 0,
        start: float = 0.0,
        duration: float | None = None,
        vad: VadConfig | None = None,
        whole_within: float = 0.0,
    ) -> None:
        """Looks at the file.

        Args:
          channel: from 0; -1 for the mean of all.
          start, duration: of the stretch in the file, seconds; all times elsewhere count from `start`.
          vad: where pauses are.
          whole_within: a recording of at most so many seconds is one chunk, and not searched for pauses.

        Raises:
          InputError: the file cannot be used, or the stretch lies outside it.
        """
        self.model, self.path, self.channel, self.start = model, os.fspath(path), channel, start
        info = probe_audio(path)
        self.rate, self._total = info.rate, info.num_samples
        self.duration = min(info.duration - start, info.duration if duration is None else duration)
        if start < 0 or self.duration <= 0:
            raise InputError.at(path, f"ends at {info.duration:.2f} s, wanted a stretch from {start:.2f} s", "Mend it.")
        self._vad, self._whole_within = vad or VadConfig(), whole_within
        self._stats: dict[int, CmvnStats] = {}

    @cached_property
    def chunks(self) -> list[TimeSpan]:
        """Stretches of speech between pauses, within the recording.

        Raises:
          InputError: there is no speech.
        """
        if self.duration <= self._whole_within:
            return [TimeSpan(0.0, self.duration)]
        found = segment_file(self.path, self._vad, self.channel)
        inside = [TimeSpan(max(0.0, s.start - self.start), min(self.duration, s.end - self.start)) for s in found]
        speech = [s for s in inside if s.duration > 0.05]
        if not speech:
            raise InputError.at(self.path, "holds no speech", "Check the recording's level and channel.")
        return speech

    def samples(self, start: float, end: float) -> np.ndarray:
        """Returns samples as the file has them, float32 at `rate`."""
        first = round((self.start + start) * self.rate)
        count = min(round((end - start) * self.rate), self._total - first)
        return read_audio(self.path, channel=self.channel, start=first, count=count)[0]

    def static(self, start: float, end: float) -> np.ndarray:
        """Returns static features of a stretch, float32 [T][D]."""
        settings, samples = self.model.pipeline.static, self.samples(start, end)
        if self.rate != settings.sampling_rate:
            samples = resample(samples, self.rate, settings.sampling_rate)
        return FeatureExtractor(settings)(samples, settings.sampling_rate)

    def features(self, start: float, end: float, transform: np.ndarray | None = None) -> np.ndarray:
        """Returns the model's features of a stretch, float32 [T][D]; none where it is shorter than a frame."""
        static = self.static(start, end)
        if not len(static):
            return np.zeros((0, self.model.pipeline.dim), np.float32)
        return self.model.pipeline.apply(static, self._normaliser(start, end), transform)

    def scores(self, start: float, end: float) -> np.ndarray:
        """Returns unscaled scores of a stretch, float32 [T'][num_pdfs]; none where it is shorter than a frame."""
        features = self.features(start, end)
        if not len(features):
            return np.zeros((0, self.model.acoustic_model.num_pdfs), np.float32)
        return self.model.scores(features)

    def _normaliser(self, start: float, end: float) -> CmvnStats | None:
        """Statistics of the chunks around a stretch, so that short stretches are normalised like long ones."""
        config = self.model.pipeline.cmvn
        if config.kind != "speaker" or config.fallback != "utterance":
            return None
        near = [i for i, c in enumerate(self.chunks) if c.end > start - CONTEXT and c.start < end + CONTEXT]
        if not near:
            return None
        total = config.prior()
        for i in near:
            if i not in self._stats:
                self._stats[i] = CmvnStats.of(self.static(self.chunks[i].start, self.chunks[i].end))
            total = self._stats[i] if total is None else total + self._stats[i]
        return total
