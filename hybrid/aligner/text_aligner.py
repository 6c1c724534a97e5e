"""Speech and its text: scores and words in, words and phones with times and confidences out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hybrid.align.alignment import Alignment
from hybrid.align.alignment_graph import AlignmentGraph, least_frames, scaled_transition_scores
from hybrid.align.config import AlignConfig, AlignmentError
from hybrid.align.viterbi import viterbi_align
from hybrid.aligner.confidence import PhoneConfidence, competitors, word_confidence
from hybrid.aligner.config import SpeechAlignConfig
from hybrid.formats.openfst import FstArrays
from hybrid.graph.training import TrainingGraphCompiler
from hybrid.model.folder import Model
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.segments import Segment
from hybrid.timing.timed_text import TimedWord
from hybrid.timing.word_alignment import LexiconWordAlignment
from lexicon.vocabulary import TextLexicon
from lexicon.words.phone_fit import bare_names

__all__ = ["AlignedWords", "TextAligner"]


@dataclass(frozen=True, eq=False)
class AlignedWords:
    """What alignment gave for one stretch.

    Attributes:
      words: words and pauses with their phones, which tile the stretch.
      alignment: the path.
    """

    words: tuple[TimedWord, ...]
    alignment: Alignment

    @property
    def confidence(self) -> float:
        """How well the words fit: the geometric mean of their confidences; 1 where none was computed.

        All words count alike, so that words squeezed into a few frames are not forgotten.
        """
        known = [w.confidence for w in self.words if w.label and w.confidence is not None]
        return word_confidence(known) if known else 1.0


class TextAligner:
    """Aligns stretches of scores with words, for one model and the words of the texts at hand."""

    def __init__(self, model: Model, lexicon: TextLexicon, config: SpeechAlignConfig | None = None) -> None:
        config = config or SpeechAlignConfig()
        config = replace(config, align=config.align.of_model(model.acoustic_model))
        self.model, self.lexicon, self.config = model, lexicon, config
        self.times = FrameTimes.of(model, config.kaldi_times)
        self._bare = {} if config.phone_marks else bare_names(model.phones)
        self._compiler = TrainingGraphCompiler(lexicon.arcs, model.transition_model)
        self._word_alignment = LexiconWordAlignment.from_text(lexicon)

    def with_model(self, model: Model) -> TextAligner:
        """Returns the aligner with another model of the same tree and topology."""
        return TextAligner(model, self.lexicon, self.config)

    @cached_property
    def _transition_scores(self) -> np.ndarray:
        return scaled_transition_scores(self.model.transition_model, *self.config.align.transition_scales)

    @cached_property
    def _confidence(self) -> PhoneConfidence:
        return PhoneConfidence(self.model.transition_model, competitors(self.lexicon.lang), self.config.align)

    def graph(self, words: Sequence[str]) -> FstArrays:
        """Compiles the training graph of a text."""
        return self._compiler(self.lexicon.ids(words))

    def least_frames(self, words: Sequence[str]) -> int:
        """Returns the fewest frames of scores that a text needs."""
        return least_frames(self.graph(words))

    def align(
        self,
        words: Sequence[str],
        scores: np.ndarray,
        offset: float = 0.0,
        duration: float | None = None,
        config: AlignConfig | None = None,
    ) -> AlignedWords:
        """Aligns words with scores.

        Args:
          words: none gives a pause.
          scores: float32 [frame][pdf_id], unscaled.
          offset: seconds of the first frame in the recording.
          duration: of the stretch, seconds, to which its last phone reaches.
          config: other beams than the aligner's.

        Raises:
          AlignmentError: there is no path within the beam.
        """
        transitions = self.model.transition_model
        graph = AlignmentGraph.make(self.graph(words), transitions, self._transition_scores)
        alignment = viterbi_align(graph, scores[:, graph.pdf_ids], config or self.config.align)
        phones = alignment.phones(transitions)
        segments = self._word_alignment.words(phones, alignment.word_ids.tolist())
        confidences = self._confidence(phones, scores) if self.config.confidence else None
        length = len(scores) * self.model.frame_shift
        end = offset + (length if duration is None else max(duration, phones[-1].start * self.model.frame_shift))
        return AlignedWords(tuple(self._timed(segments, words, confidences, offset, end)), alignment)

    def _timed(
        self,
        segments: Sequence[Segment],
        words: Sequence[str],
        confidences: np.ndarray | None,
        offset: float,
        end: float,
    ) -> list[TimedWord]:
        time = self.times.clock(max((s.end for s in segments), default=0), offset, end)
        place = phone_number = 0
        out = []
        for segment in segments:
            phones = []
            for phone in segment.phones:
                value = None if confidences is None else float(confidences[phone_number])
                name = self._bare.get(phone.label) or self.model.phones.symbol(phone.label)
                phones.append(TimedLabel(name, time(phone.start), time(phone.end) - time(phone.start), value))
                phone_number += 1
            start, stop = time(segment.start), time(segment.end)
            if not segment.label:
                out.append(TimedWord("", start, stop - start, phones=tuple(phones)))
                continue
            label, place = words[place], place + 1
            value = None
            if confidences is not None and segment.label != self.lexicon.oov_id:
                value = word_confidence([p.confidence or 0.0 for p in phones])
            guessed = label in self.lexicon.guessed
            out.append(TimedWord(label, start, stop - start, value, guessed, tuple(phones)))
        return out

    def widened(self, beam: float) -> AlignConfig:
        """Returns the aligner's settings with one beam and no retry."""
        return replace(self.config.align, beam=beam, retry_beam=0.0, careful=False)

    def needs_frames(self, words: Sequence[str], frames: int) -> None:
        """Raises AlignmentError if a text cannot fit into so few frames."""
        least = self.least_frames(words)
        if least > frames:
            shift = self.model.frame_shift
            raise AlignmentError(
                f"too short: {frames * shift:.2f} s of audio for {len(words)} words that need {least * shift:.2f} s"
            )
