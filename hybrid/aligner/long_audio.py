"""Alignment of a long recording with its text, without segmentation and in bounded memory.

1. Chunks between pauses are decoded with a language model made of the text.
2. What was heard is aligned with the text; words heard right in a row are anchors.
3. Between anchors, pieces of some seconds are aligned with their words. Pieces without anchors are decoded again with
   a model of their own words only (the recursion of Moreno et al. 1998).
4. Pieces whose words do not fit their audio are left out and listed.
5. A model trained on adapted features is adapted to the speech around each piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hybrid.align.config import AlignmentError
from hybrid.aligner.anchors import Piece, TimedHeard, find_anchors, pieces_between
from hybrid.aligner.biased import BiasedDecoder
from hybrid.aligner.confidence import word_confidence
from hybrid.aligner.config import BiasedConfig, SpeechAlignConfig
from hybrid.aligner.long_adapt import Fitted, adapt_pieces
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger, track
from hybrid.model.recording import Recording
from hybrid.timing.timed_text import TimedWord
from lexicon.vocabulary import OOV

__all__ = ["Gap", "LongAlignment", "align_long", "hear"]

logger = get_logger(__name__)
DEPTH = 2  # times that a piece without anchors is taken apart again
FAST = 0.05  # seconds; words shorter than that on average were not said there


@dataclass(frozen=True)
class Gap:
    """A stretch where text and audio do not fit.

    Attributes:
      start, end: seconds. words: of the text. reason: one line.
    """

    start: float
    end: float
    words: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class LongAlignment:
    """Words with times, and the stretches left out."""

    words: tuple[TimedWord, ...]
    gaps: tuple[Gap, ...] = field(default=())


def align_long(
    aligner: TextAligner, recording: Recording, text: Sequence[str], biased: BiasedConfig | None = None
) -> LongAlignment:
    """Aligns a recording of any length.

    Args:
      aligner: of any model; all but the last alignment is done by its speaker-independent model, if it has one.
      recording: scored by that model (`aligner.model.unadapted`).

    Raises:
      InputError: no text, or no speech.
      AlignmentError: nothing of the text was heard, or nothing of what was heard fits.
    """
    if not text:
        raise InputError.at(recording.path, "has no text", "Write what is said; long audio is aligned, not recognised.")
    independent = aligner.with_model(recording.model)
    found, gaps = _LongWork(independent, recording, text, biased or BiasedConfig()).run(
        0.0, recording.duration, 0, len(text), 0
    )
    words = [word for piece in adapt_pieces(aligner, recording, found) for word in piece.aligned.words]
    if not any(word.label for word in words):
        raise AlignmentError(gaps[0].reason if gaps else "nothing of the text was heard")
    _refuse_unlikely(words, aligner.config)
    return LongAlignment(tuple(words), tuple(gaps))


def _refuse_unlikely(words: Sequence[TimedWord], config: SpeechAlignConfig) -> None:
    """Raises AlignmentError where all words together are as unlikely as words that nobody said."""
    known = [word.confidence for word in words if word.label and word.confidence is not None]
    value = word_confidence(known) if len(known) >= config.long.gap_words else 1.0
    if value < config.gap_confidence:
        raise AlignmentError(f"text is not what is said: its {len(known)} words have a confidence of {value:.3f}")


def hear(
    decoder: BiasedDecoder, recording: Recording, start: float, end: float, title: str = "", shortest: float = 0.0
) -> list[TimedHeard]:
    """Decodes the chunks of a stretch; returns the words in order, seconds in the recording."""
    shift = recording.model.frame_shift  # places to cut audio at, on the grid of its frames; no boundaries to be told
    chunks = [c for c in recording.chunks if c.end > start + shortest and c.start < end - shortest]
    out: list[TimedHeard] = []
    for chunk in track(chunks, title) if title else chunks:
        first, last = max(chunk.start, start), min(chunk.end, end)
        for word in decoder.decode(recording.scores(first, last)):
            out.append(TimedHeard(word.word, first + word.start * shift, first + word.end * shift))
    return out


@dataclass(frozen=True, eq=False)
class _LongWork:
    aligner: TextAligner
    recording: Recording
    text: Sequence[str]
    biased: BiasedConfig

    def run(self, start: float, end: float, first: int, last: int, depth: int) -> tuple[list[Fitted], list[Gap]]:
        """Aligns words first … last - 1 with the audio from start to end."""
        aligner, config = self.aligner, self.aligner.config.long
        words = self.text[first:last]
        decoder = BiasedDecoder(
            aligner.model.transition_model, aligner.lexicon, [words],
            acoustic_scale=aligner.config.align.scale, config=self.biased,
        )  # fmt: skip
        heard = hear(decoder, self.recording, start, end, "decoding" if depth == 0 else "")
        del decoder
        names = [word if word in aligner.lexicon.words else OOV for word in words]
        anchors = [replace(a, time=a.time - start) for a in find_anchors(names, heard, OOV, config)]
        pieces = pieces_between(anchors, len(words), end - start, config)
        if depth == 0:
            logger.info(
                "%s: %d words heard, %d anchors, %d pieces", self.recording.path, len(heard), len(anchors), len(pieces)
            )
        found: list[Fitted] = []
        gaps: list[Gap] = []
        for piece in track(pieces, "aligning") if depth == 0 else pieces:
            moved = Piece(
                piece.start + start, piece.end + start, piece.first + first, piece.last + first, piece.differs
            )
            more, lost = self._piece(moved, depth, whole=len(pieces) == 1)
            found += more
            gaps += lost
        return found, gaps

    def _piece(self, piece: Piece, depth: int, whole: bool) -> tuple[list[Fitted], list[Gap]]:
        words, length = tuple(self.text[piece.first : piece.last]), piece.end - piece.start
        if not words:
            return [], []
        if length > 2 * self.aligner.config.long.max_segment and depth < DEPTH and not whole:
            return self.run(piece.start, piece.end, piece.first, piece.last, depth + 1)
        place = f"{piece.start:.2f}-{piece.end:.2f} s"
        if length < FAST * len(words):
            return [], [Gap(piece.start, piece.end, words, f"{place}: no audio for {len(words)} words of the text")]
        if length > 10 * self.aligner.config.long.max_segment:
            reason = f"{place}: none of {len(words)} words was found for certain; the text may not be what is said"
            return [], [Gap(piece.start, piece.end, words, reason)]
        return self._fit(piece, words, place)

    def _fit(self, piece: Piece, words: tuple[str, ...], place: str) -> tuple[list[Fitted], list[Gap]]:
        config = self.aligner.config
        scores = self.recording.scores(piece.start, piece.end)
        try:
            self.aligner.needs_frames(words, len(scores))
            try:
                aligned = self.aligner.align(words, scores, piece.start, piece.end - piece.start)
            except AlignmentError:
                if not config.rescue_beam:
                    raise
                wide = self.aligner.widened(config.rescue_beam)
                aligned = self.aligner.align(words, scores, piece.start, piece.end - piece.start, wide)
        except AlignmentError as error:
            return [], [Gap(piece.start, piece.end, words, f"{place}: {error}")]
        known = sum(word in self.aligner.lexicon.words for word in words)  # a few words prove nothing
        if piece.differs and known >= config.long.gap_words and aligned.confidence < config.gap_confidence:
            reason = f"{place}: the text does not fit (confidence {aligned.confidence:.2f})"
            return [], [Gap(piece.start, piece.end, words, reason)]
        return [Fitted(piece.start, piece.end, words, aligned)], []
