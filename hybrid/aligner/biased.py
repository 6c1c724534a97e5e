"""Decoding with a language model made of the text itself: what is really said, where it differs from the text.

The model is an n-gram estimated on the text (Witten-Bell), mixed with single words, so that the text's own word order
is cheap and any other order of the words possible (Moreno et al. 1998; Kaldi's make_biased_lm_graphs). Utterances may
begin and end anywhere in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hybrid.aligner.config import BiasedConfig
from hybrid.formats.openfst import FstArrays
from hybrid.graph.report import GraphReport
from hybrid.graph.stages import make_clg, make_hclg, make_lg
from hybrid.hmm import TransitionModel
from hybrid.lattice.paths import best_path
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.timing.segments import Segment, phone_segments
from hybrid.timing.word_alignment import LexiconWordAlignment
from lexicon.vocabulary import OOV, TextLexicon

__all__ = ["BiasedDecoder", "Heard", "biased_grammar"]


@dataclass(frozen=True)
class Heard:
    """A word that was heard on frames start … end - 1."""

    word: str
    start: int
    end: int


def biased_grammar(
    lexicon: TextLexicon, sentences: Iterable[Sequence[str]], others: Iterable[str] = (), order: int = 4
) -> FstArrays:
    """Makes G from texts: starts without context and may end after any word.

    Args:
      sentences: words; those without pronunciation become `<oov>`.
      others: words that may be heard although no sentence has them.
    """
    from lm.config import EstimateConfig
    from lm.estimate import estimate_from_sentences
    from lm.grammar_fst import ngram_to_fst

    texts = [[w if w in lexicon.words else OOV for w in sentence] for sentence in sentences]
    vocabulary = {w for text in texts for w in text} | {w for w in others if w in lexicon.words} | {OOV}
    config = EstimateConfig(order=order, smoothing="witten-bell", add_unseen=True)
    model, _ = estimate_from_sentences(texts, config, sorted(vocabulary))
    grammar = ngram_to_fst(model, lexicon.words)
    return replace(grammar, start=0, final_costs=np.zeros_like(grammar.final_costs))


class _QuietReport(GraphReport):
    """Takes the results of operations without measuring and logging them: biased graphs are small and many."""

    @contextmanager
    def measure(self, name: str) -> Iterator[list[Any]]:
        """Gives the body a list for its result."""
        yield []


class BiasedDecoder:
    """A graph of some texts with the search through it."""

    def __init__(
        self,
        model: TransitionModel,
        lexicon: TextLexicon,
        sentences: Iterable[Sequence[str]],
        others: Iterable[str] = (),
        *,
        acoustic_scale: float,
        config: BiasedConfig | None = None,
    ) -> None:
        config = config or BiasedConfig()
        grammar = biased_grammar(lexicon, sentences, others, config.order)
        arcs, disambig = lexicon.with_disambig()
        report = _QuietReport()
        clg, context_ids = make_clg(make_lg(arcs, grammar, report), disambig, model.tree, report)
        graph, _ = make_hclg(clg, context_ids, model, (1.0, 0.1), report)
        search = SearchConfig(
            beam=config.search_beam, lattice_beam=1.0, max_active=config.max_active,
            min_active=min(200, config.max_active), acoustic_scale=acoustic_scale,
        )  # fmt: skip
        self._searcher = make_searcher("native", graph, model, search, place="the biased graph")
        self._model, self._lexicon, self._word_alignment = model, lexicon, LexiconWordAlignment.from_text(lexicon)
        self._scale = acoustic_scale

    def decode(self, scores: np.ndarray) -> list[Heard]:
        """Returns the words heard, in order, with their frames; none if nothing fits.

        Args:
          scores: float32 [frame][pdf_id], unscaled.

        Raises:
          InputError: scores that cannot be searched.
        """
        if not len(scores):
            return []
        result = self._searcher.search([scores])[0].require("scores")
        path = best_path(result.lattice, self._scale)
        if path is None:
            return []
        phones = phone_segments(path.transition_ids, self._model)
        segments = _spell(self._word_alignment, phones, path.word_ids.tolist(), path.word_frames.tolist())
        return [Heard(self._lexicon.words.symbol(s.label), s.start, s.end) for s in segments if s.label]


def _spell(
    word_alignment: LexiconWordAlignment, phones: Sequence[Segment], words: Sequence[int], frames: Sequence[int]
) -> list[Segment]:
    """Returns words with frames, also where the last one is cut off."""
    try:
        return word_alignment.words(phones, words)
    except ValueError:
        ends = [*frames[1:], phones[-1].end]
        return [Segment(w, b, max(1, e - b)) for w, b, e in zip(words, frames, ends)]
