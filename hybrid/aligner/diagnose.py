"""What is wrong with an utterance that cannot be aligned: it is heard by biased decoding, also at other speeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from hybrid.aligner.biased import BiasedDecoder
from hybrid.aligner.config import BiasedConfig
from hybrid.aligner.reasons import Cause, Diagnosis, better_speeds, examine
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.errors import HybridError
from hybrid.model.recording import Recording
from lexicon.vocabulary import OOV

__all__ = ["diagnose"]

DEAF = 0.7  # share of words not heard from which other speeds are tried
TRIED = 3  # speeds that are decoded at
WIDE = 100.0  # beam that compares speeds


def diagnose(
    aligner: TextAligner,
    words: Sequence[str],
    recording: Recording,
    scores: np.ndarray,
    others: Sequence[str] = (),
    biased: BiasedConfig | None = None,
) -> Diagnosis:
    """Finds out by biased decoding why a text does not fit its audio.

    Args:
      words: the text. scores: of the recording, float32 [frame][pdf_id], unscaled.
      others: words that may be heard though the text lacks them.
    """
    scale, lexicon = aligner.config.align.scale, aligner.lexicon
    decoder = BiasedDecoder(
        aligner.model.transition_model, lexicon, [words], others, acoustic_scale=scale, config=biased
    )

    def known(word: str) -> str:
        return word if word in lexicon.words else OOV

    def verdict(rows: np.ndarray) -> Diagnosis:
        return examine(words, decoder.decode(rows), aligner.times, known, aligner.config.max_error)

    finding = verdict(scores)
    if finding.cause is not Cause.TEXT or finding.error < DEAF:
        return finding
    samples, rate = recording.samples(0.0, recording.duration), recording.rate
    plain = aligner.with_model(aligner.model.unadapted)
    for speed in better_speeds(partial(_fit, plain, words, samples, rate))[:TRIED]:
        again = verdict(plain.model.scores(plain.model.pipeline.from_samples(samples, round(rate * speed))))
        if again.error <= aligner.config.max_error:
            break
    else:
        return finding
    told = (
        f"{Cause.RATE.value}: the text fits when the audio is played {speed:.3g} times as fast "
        f"(the file says {rate} Hz, {round(rate * speed)} Hz would fit)"
    )
    return Diagnosis(Cause.RATE, told, finding.error)


def _fit(aligner: TextAligner, words: Sequence[str], samples: np.ndarray, rate: int, speed: float) -> float:
    """Returns how far the text's path lies below the best pdf of each frame at a speed, nats per frame; at most 0."""
    try:
        scores = aligner.model.scores(aligner.model.pipeline.from_samples(samples, round(rate * speed)))
        aligned = aligner.align(words, scores, config=aligner.widened(WIDE))
    except HybridError:
        return float("-inf")
    return float((aligned.alignment.frame_scores - scores.max(axis=1)).mean())
