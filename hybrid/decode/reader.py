"""From what a search found to words with times and confidences: determinisation, second pass, posteriors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from hybrid.confidence.calibration import Calibration
from hybrid.confidence.facts import utterance_confidence, word_facts
from hybrid.data.utterance import Utterance
from hybrid.decode.language import Rescorer
from hybrid.decode.recognition import Recognition
from hybrid.decode.reject import RejectConfig
from hybrid.decode.slot_trace import SlotSpan, SlotTracer
from hybrid.lattice.algebra.lattice_biasing import biased
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.determinize import determinize
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import Path, best_path
from hybrid.lattice.trim import no_paths
from hybrid.model.folder import Model
from hybrid.search.protocol import SearchResult
from hybrid.timing.ctm import TimedLabel, timed_labels
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.lattice_alignment import align_lattice
from hybrid.timing.slot import Slot
from hybrid.timing.word_alignment import WordAlignment, path_segments, position_marks
from lexicon.symbols import SymbolTable
from lexicon.words.phone_fit import bare_names
from lm.biasing.bias_automaton import BiasAutomaton
from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.parse import parse

__all__ = ["Reader"]


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads recognitions off lattices.

    Attributes:
      model: whose transition-ids the lattices hold.
      words: names of word ids.
      times: when frames begin.
      word_alignment: what tells which phones make a word; None where nothing does.
      silent_words: ids of words that are spoken as pauses only; they are no words of a transcript.
      scale: factor of the acoustic scores.
      raw: keep lattices as the search gave them; there is no second pass then.
      second_pass: what is done to the determinised lattice of an utterance, and gives it other scores.
      calibration: what makes probabilities of posteriors.
      reject: which words are not sure enough.
      grammar: of the graph, that gives slots. garbage: ids of words that stand for speech outside.
      only_best: read the best path alone, without confidences, and keep no lattice.
      tracer: what tells which words stand in slots of the graph, where some are filled.
      raised: phrases that gain their boosts in the lattices, after the second pass.
      has_slots: the graph has slots, filled or not.
    """

    model: Model
    words: SymbolTable
    times: FrameTimes
    word_alignment: WordAlignment | None
    silent_words: frozenset[int]
    scale: float
    raw: bool = False
    second_pass: Rescorer | None = field(default=None, repr=False)
    calibration: Calibration | None = None
    reject: RejectConfig = field(default_factory=RejectConfig)
    grammar: GrammarAutomaton | None = field(default=None, repr=False)
    garbage: frozenset[int] = frozenset()
    only_best: bool = False
    tracer: SlotTracer | None = field(default=None, repr=False)
    has_slots: bool = False
    raised: BiasAutomaton | None = field(default=None, repr=False)

    @property
    def tells_slots(self) -> bool:
        """Whether an utterance may have slots: a grammar's tags, or slots of the graph."""
        return self.grammar is not None or self.has_slots

    def name(self, word_id: int) -> str:
        """The word of an id; "" for one that is silence."""
        return "" if word_id in self.silent_words else self.words.symbol(word_id)

    @cached_property
    def plain_phones(self) -> Mapping[str, str]:
        """Each phone → its name without the mark of its place in a word, as texts with times tell it."""
        return {self.model.phones.symbol(i): name for i, name in bare_names(self.model.phones).items()}

    @cached_property
    def _marks(self) -> Mapping[int, str] | None:
        return position_marks(self.model.phones)

    def on_frames(self, compact: CompactLattice) -> CompactLattice:
        """Returns the lattice with each word on its frames, where the marks of the phones tell them."""
        if self._marks is None:
            return compact
        return align_lattice(compact, self.model.transition_model, self._marks)

    def read(self, item: Utterance, result: SearchResult, first_frame: int = 0) -> Recognition:
        """Reads words and phones with their times and confidences off what a search found.

        Args:
          first_frame: of the utterance in the audio whose frames were made together; 0 where that begins with it.
        """
        duration = result.num_frames * self.times.shift if item.duration is None else item.duration
        path, compact = best_path(result.lattice, self.scale), no_paths()
        kept = result
        if path is not None:
            if not self.only_best:
                compact = self._determinized(result)
            if not self.raw:
                kept = replace(result, lattice=Lattice.empty())
            if self.second_pass is not None:
                compact = self.second_pass(item.id, compact)
            if self.raised is not None:
                compact = biased(compact, self.raised)
            if self.second_pass is not None or self.raised is not None:
                path = best_path(expand(compact), self.scale)
        words: list[TimedLabel] = []
        phones: list[TimedLabel] = []
        confidence = 0.0
        if path is not None:
            phone_segments, word_segments = path_segments(path, self.model.transition_model, self.word_alignment)
            around = (self.times, item.start, duration, first_frame)
            phones = timed_labels(phone_segments, self.model.phones.symbol, *around)
            words = timed_labels(word_segments, self.name, *around)
            if not self.only_best:
                values, confidence = self._confidences(compact, path)
                words = _sure(words, values)
        left, rejected = self.reject.split(words, confidence)
        return Recognition(
            item.id, item.recording, left, tuple(phones), path, kept, self.scale, item.start, duration, first_frame,
            compact, confidence, rejected, self, *self._slots([] if rejected else left, path, item.start, result.begin),
        )  # fmt: skip

    def _slots(
        self, labels: Sequence[TimedLabel], path: Path | None, start: float, begin: int | None
    ) -> tuple[str, tuple[Slot, ...]]:
        """Returns the rule of the grammar that words are; and what its tags and the slots of the graph say, in order.

        Args:
          labels: words and pauses. begin: state of the graph that the path begins in, None for its start.
        """
        words = [word for word in labels if word.label]
        if path is None or (not words and bool(self.garbage & set(path.word_ids.tolist()))):
            return "", ()
        ends = [start, *(word.end for word in words)]
        spans = self._spans(path, begin, len(words))
        tokens, begins = _with_slots([word.label for word in words], spans)
        found = None if self.grammar is None else parse(self.grammar, tokens)
        places = [] if found is None else [(begins[tag.begin], begins[tag.end], tag.text) for tag in found.tags]
        filled = {(b, e): name for name, b, e in spans}
        told = [(b, -e, Slot.of(text, words[b:e], ends[b], filled.get((b, e), ""))) for b, e, text in places]
        untagged = [(b, e, name) for (b, e), name in filled.items() if (b, -e) not in {one[:2] for one in told}]
        told += [(b, -e, Slot.of(name, words[b:e], ends[b], name)) for b, e, name in untagged]
        slots = tuple(slot for _, _, slot in sorted(told, key=lambda one: one[:2]))
        return "" if found is None else found.rule, slots

    def _spans(self, path: Path, begin: int | None, count: int) -> list[SlotSpan]:
        """Returns which of the `count` words of a transcript stand in slots."""
        if self.tracer is None or not count:
            return []
        heard = np.cumsum([0, *(bool(self.name(word)) for word in path.word_ids.tolist())]).tolist()
        if heard[-1] != count:  # words without times
            return []
        found = self.tracer.spans(path.transition_ids, path.word_ids, begin)
        return [SlotSpan(slot, heard[b], heard[e]) for slot, b, e in found if heard[b] < heard[e]]

    def _determinized(self, result: SearchResult) -> CompactLattice:
        beam, starts = result.attempts[-1].lattice_beam, self.model.transition_model.phone_starts
        return determinize(result.lattice, beam, self.scale, phone_starts=starts).lattice

    def _confidences(self, compact: CompactLattice, path: Path) -> tuple[list[float], float]:
        """How sure the heard words of a path are, and the utterance: the share of them expected to be right."""
        heard = path.word_ids
        if self.silent_words:
            silent = list(self.silent_words)
            heard = heard[~np.isin(heard, silent)]
            compact = replace(compact, word_ids=np.where(np.isin(compact.word_ids, silent), 0, compact.word_ids))
        known = self.calibration
        scales = (self.scale, 1.0) if known is None else (known.acoustic_scale, known.lm_scale)
        found = mbr_decode(compact, *scales, words=heard, fixed=True)
        if not len(heard):
            return [], float(np.clip(1 - found.risk, 0, 1))
        values = np.clip(found.confidences, 0, 1)
        if known is not None:
            values = known.apply(word_facts(compact, found, [self.name(word) for word in heard.tolist()], *scales))
        return values.tolist(), utterance_confidence(values)


def _with_slots(words: Sequence[str], spans: Sequence[SlotSpan]) -> tuple[list[str], list[int]]:
    """Returns words with the name of a slot for what stands in it, as a grammar has them.

    Returns:
      These tokens; and the first word of each, with the number of words at the end.
    """
    tokens: list[str] = []
    begins: list[int] = []
    at = 0
    for slot, begin, end in spans:
        tokens += [*words[at:begin], slot]
        begins += range(at, begin + 1)
        at = end
    return [*tokens, *words[at:]], [*begins, *range(at, len(words) + 1)]


def _sure(labels: Sequence[TimedLabel], values: Sequence[float]) -> list[TimedLabel]:
    """Gives the words among words and pauses their confidences."""
    rest = iter(values)
    return [replace(one, confidence=next(rest)) if one.label else one for one in labels]
