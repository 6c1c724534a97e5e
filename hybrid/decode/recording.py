"""Recordings of any length: segments between pauses, and their scores, one segment in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from hybrid.base.errors import InputError
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.vad import TimeSpan, VadConfig, cut_at_pauses, log_energies, segment_file, speech_frames
from hybrid.model.folder import Model

__all__ = ["recording_stats", "segment_features", "segment_scores", "segments_of"]

Audio = str | os.PathLike | np.ndarray


def segments_of(audio: Audio, rate: int | None, channel: int, vad: VadConfig) -> list[TimeSpan]:
    """Returns the whole recording if it is short enough, else its segments between pauses.

    Raises:
      InputError: the file cannot be read, or a long recording is silent throughout.
    """
    if isinstance(audio, np.ndarray):
        if audio.ndim != 1 or not rate or rate <= 0:
            raise InputError.at(
                "samples", f"have shape {audio.shape} at {rate} Hz, wanted one channel [samples] and a rate"
            )
        duration = len(audio) / rate
    else:
        from hybrid.data.audio import probe_audio

        duration = probe_audio(audio).duration
    if duration <= vad.max_length:
        return [TimeSpan(0.0, duration)]
    if isinstance(audio, np.ndarray):
        energies = log_energies([(audio, rate)], vad)  # type: ignore[list-item]
        segments = cut_at_pauses(speech_frames(energies, vad), energies, duration, vad)
    else:
        segments = segment_file(audio, vad, channel)
    if not segments:
        raise InputError.at(
            "samples" if isinstance(audio, np.ndarray) else audio, "holds no speech", "Check the recording's level."
        )
    return segments


def _samples(audio: Audio, rate: int | None, channel: int, segment: TimeSpan) -> tuple[np.ndarray, int]:
    if isinstance(audio, np.ndarray):
        assert rate is not None
        return audio[round(segment.start * rate) : round(segment.end * rate)].astype(np.float32), rate
    from hybrid.data.audio import probe_audio, read_audio

    info = probe_audio(audio)
    start = round(segment.start * info.rate)
    count = min(round(segment.duration * info.rate), info.num_samples - start)
    return read_audio(audio, channel=channel, start=start, count=count)


def recording_stats(
    model: Model, audio: Audio, rate: int | None, channel: int, segments: Sequence[TimeSpan]
) -> CmvnStats | None:
    """Sums the CMVN statistics of a recording's segments, as those of one speaker whom the model does not know.

    Returns:
      None where the model's policy needs none, or where there is only one segment (the policy for a single
      utterance of an unknown speaker holds then).
    """
    config = model.pipeline.cmvn
    if len(segments) < 2 or config.kind != "speaker" or config.fallback != "utterance":
        return None
    extractor = FeatureExtractor(model.pipeline.static)
    total = config.prior()
    for segment in segments:
        samples, found = _samples(audio, rate, channel, segment)
        stats = CmvnStats.of(extractor(_at_rate(model, samples, found), model.pipeline.static.sampling_rate))
        total = stats if total is None else total + stats
    return total


def _at_rate(model: Model, samples: np.ndarray, rate: int) -> np.ndarray:
    from hybrid.data.audio import resample

    wanted = model.pipeline.static.sampling_rate
    return samples if rate == wanted else resample(samples, rate, wanted)


def segment_features(
    model: Model, audio: Audio, rate: int | None, channel: int, segment: TimeSpan, stats: CmvnStats | None
) -> np.ndarray:
    """Returns the model's features of one segment, float32 [T][D]."""
    samples, found = _samples(audio, rate, channel, segment)
    return model.pipeline.from_samples(samples, found, stats)


def segment_scores(
    model: Model, audio: Audio, rate: int | None, channel: int, segments: Sequence[TimeSpan]
) -> Iterator[tuple[TimeSpan, np.ndarray]]:
    """Yields each segment with its scores, float32 [T'][num_pdfs]."""
    stats = recording_stats(model, audio, rate, channel, segments)
    for segment in segments:
        yield segment, model.scores(segment_features(model, audio, rate, channel, segment, stats))
