"""A recording of any length: speech between pauses, its features and scores; one stretch is in memory at a time.

Where speech is, is found before anything else: digital silence around it and noise without speech change neither how it
is normalised nor what is recognised.

A speaker whom the model does not know is normalised by the speech within CONTEXT seconds of a stretch, so that short
stretches are normalised like long ones and a recording may hold one speaker or many; see docs/decisions.
"""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np

from hybrid.base.errors import InputError
from hybrid.data.audio import MIX, AudioInfo, probe_audio, read_audio, resample
from hybrid.data.survey import survey
from hybrid.feats.background import PADDING, filled
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.loudness import LEAST, measure_loudness
from hybrid.feats.vad import TimeSpan, VadConfig, find_speech, listen
from hybrid.model.folder import Model

__all__ = ["CONTEXT", "Recording"]

CONTEXT = 15.0  # seconds on each side of a stretch whose statistics normalise it too
SAME = 1e-6  # seconds between times that are the same
SHORTEST = 0.05  # seconds of a chunk at the edge of a stretch


class Recording:
    """One channel of a file or of samples, or a stretch of it."""

    def __init__(
        self,
        model: Model | None,
        audio: str | os.PathLike | np.ndarray,
        channel: int = MIX,
        start: float = 0.0,
        duration: float | None = None,
        vad: VadConfig | None = None,
        whole_within: float = 0.0,
        rate: int | None = None,
    ) -> None:
        """Looks at the audio.

        Args:
          model: whose features and scores; None where only pauses are asked for.
          audio: a file, or samples float32 [N] in [-1, 1].
          channel: of a file, from 0; -1 for the mean of all.
          start, duration: of the stretch in the audio, seconds; all times elsewhere count from `start`.
          vad: where pauses are.
          whole_within: a recording of at most so many seconds, without digital silence at its ends, is one chunk and
            not searched for pauses.
          rate: of samples, Hz.

        Raises:
          InputError: the file cannot be used, samples are not one channel with a rate, or the stretch lies outside.
        """
        self.audio, self.channel, self.start = audio, channel, start
        self._info: AudioInfo | None = None
        self._model = model
        if isinstance(audio, np.ndarray):
            if audio.ndim != 1 or not rate or rate <= 0:
                raise InputError.at(
                    "samples", f"have shape {audio.shape} at {rate} Hz, wanted one channel [samples] and a rate"
                )
            self.path, self.rate, self._total = "samples", rate, len(audio)
        else:
            info = self._info = probe_audio(audio)
            self.path, self.rate, self._total = os.fspath(audio), info.rate, info.num_samples
        length = self._total / self.rate
        self.duration = min(length - start, length if duration is None else duration)
        if start < 0 or self.duration <= 0:
            raise InputError.at(self.path, f"ends at {length:.2f} s, wanted a stretch from {start:.2f} s", "Mend it.")
        self._vad, self._whole_within = vad or VadConfig(), whole_within
        self._stats: dict[int, CmvnStats] = {}

    @property
    def model(self) -> Model:
        """The model that features and scores are for."""
        assert self._model is not None, "this recording was opened to look for pauses only"
        return self._model

    def notes(self, rate: int = 0) -> list[str]:
        """Returns what a listener would note of the file; see `hybrid.data.survey`.

        Args:
          rate: whose band is wanted, Hz; 0: no matter.
        """
        if self._info is None:
            return []
        mixed = [f"has {self._info.channels} channels: their mean is used (--channel)"]
        found = mixed if self.channel == MIX and self._info.channels > 1 else []
        return found + survey(self.path, self._info, self.channel, rate)

    @cached_property
    def chunks(self) -> list[TimeSpan]:
        """Stretches of speech between pauses, within the recording; none where nothing is said."""
        if self._total / self.rate - self.duration < SAME:
            return self._spoken()
        if self.duration <= self._whole_within:  # a stretch of a longer recording is taken as it is
            return [TimeSpan(0.0, self.duration)]
        inside = [
            TimeSpan(max(0.0, s.start - self.start), min(self.duration, s.end - self.start)) for s in self._spoken()
        ]
        return [s for s in inside if s.duration > SHORTEST]

    @cached_property
    def sounding(self) -> TimeSpan:
        """The recording without digital silence at its ends, where that lasts PADDING seconds or more."""
        samples = self.samples(0.0, self.duration)
        loud = np.flatnonzero(np.abs(samples) > LEAST)
        if not len(loud):
            return TimeSpan(0.0, self.duration)
        begin, end = float(loud[0]) / self.rate, float(loud[-1] + 1) / self.rate
        return TimeSpan(begin if begin >= PADDING else 0.0, end if self.duration - end >= PADDING else self.duration)

    def _spoken(self) -> list[TimeSpan]:
        vad = self._vad
        if isinstance(self.audio, np.ndarray):
            loudness = measure_loudness([(self.audio, self.rate)], vad.frame_length, vad.frame_shift)
        else:
            loudness = listen(self.audio, vad, self.channel)
        return find_speech(loudness, vad, self._whole_within)

    def samples(self, start: float, end: float) -> np.ndarray:
        """Returns samples as the audio has them, float32 at `rate`."""
        first = round((self.start + start) * self.rate)
        count = min(round((end - start) * self.rate), self._total - first)
        if isinstance(self.audio, np.ndarray):
            return self.audio[first : first + count].astype(np.float32)
        return read_audio(self.audio, channel=self.channel, start=first, count=count)[0]

    def static(self, start: float, end: float) -> np.ndarray:
        """Returns static features of a stretch, float32 [T][D]; digital silence within it is filled."""
        settings, samples = self.model.pipeline.static, filled(self.samples(start, end), self.rate)
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
        """Statistics of the chunks around a stretch; None where the policy for a single utterance gives the same."""
        config = self.model.pipeline.cmvn
        if config.kind != "speaker" or config.fallback != "utterance":
            return None
        near = [i for i, c in enumerate(self.chunks) if c.end > start - CONTEXT and c.start < end + CONTEXT]
        if not near:
            return None
        only = self.chunks[near[0]]
        if len(near) == 1 and abs(only.start - start) < SAME and abs(only.end - end) < SAME:
            return None
        total = config.prior()
        for i in near:
            if i not in self._stats:
                self._stats[i] = CmvnStats.of(self.static(self.chunks[i].start, self.chunks[i].end))
            total = self._stats[i] if total is None else total + self._stats[i]
        return total
