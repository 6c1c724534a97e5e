"""N-gram swap: the scores of one back-off model are taken from a lattice and another's are added, exactly.

The lattice is composed with both models as automata of their histories (`lm.ngram.BackoffAutomaton`): a state of the
result is a state of the lattice with the longest history of its words that each model knows. A word's arc then has one
score in each model, and the difference goes to the graph scores. Only states that the lattice reaches are made, so
that the order of a model and its size cost nothing.

What is taken out is what the graph put in. A graph holds a back-off model with arcs that may be left at any history,
and a search takes the best way; here and there that is better than the model's probability (a bigram whose back-off
weight costs more than its unigram). So that best way is taken out, and the exact probability put in, as Kaldi's
lmrescore_const_arpa.sh does; scores that an earlier swap put in are taken out as the exact ones they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.lattice.compact import CompactLattice, gather, no_paths
from hybrid.lattice.trim import trimmed
from hybrid.rescore.ngram_swap_kernels import compose_histories
from lexicon.symbols import SymbolTable
from lexicon.words.class_names import is_class
from lm.mapped_model import MappedModel, read_scorer
from lm.ngram import BackoffAutomaton, NgramModel
from lm.word_table import EOS

__all__ = ["WordModel", "swap_ngram"]


@dataclass(frozen=True, eq=False)
class WordModel:
    """A back-off model over the word ids of lattices.

    Attributes:
      automaton: of the model.
      ids: int32 [largest word id + 1], the model's id of each word; that of its unknown word where it lacks one.
      words: the table of the lattices, for errors.
      order: of the model.
      place: where the model comes from, for errors.
    """

    automaton: BackoffAutomaton
    ids: np.ndarray
    words: SymbolTable
    order: int
    place: object = "language model"

    @classmethod
    def of(cls, model: NgramModel | MappedModel, words: SymbolTable, place: object = "language model") -> WordModel:
        """Maps the words of a table to a model's.

        Raises:
          InputError: a model with classes: which words of a lattice stand for one, it does not tell.
        """
        if classes := [word for word in model.vocabulary.symbols if is_class(word) and word not in words]:
            found = f"has the class {quote(classes[0])}, and lattices do not tell which words stand for it"
            raise InputError.at(place, found, "Rescore with --bias alone, or decode with the graph of a model without.")
        ids = np.zeros(words.max_id + 1, np.int32)
        ids[np.array(words.ids)] = [model.vocabulary.id(symbol) for symbol in words.symbols]
        return cls(model.automaton, ids, words, model.order, place)

    @classmethod
    def read(cls, arpa: Path, words: SymbolTable) -> WordModel:
        """Reads an ARPA file, gzip or not, or maps what `hybrid lm map` wrote into memory.

        Raises:
          InputError: see `read_scorer`.
        """
        return cls.of(read_scorer(arpa), words, arpa)

    def require(self, compact: CompactLattice) -> None:
        """Raises InputError if the model gives no probability to a word of a lattice."""
        used = np.unique(compact.word_ids)
        if len(used) and used[-1] >= len(self.ids):
            self.words.symbol(int(used[-1]), "lattice")
        used = used[used > 0]
        scores, _ = self.automaton.steps(np.zeros(len(used) + 1, np.int64), np.append(self.ids[used], EOS))
        if np.isneginf(scores).any():
            first = int(np.flatnonzero(np.isneginf(scores))[0])
            word = self.words.symbol(int(used[first]), "lattice") if first < len(used) else "</s>"
            raise InputError.at(
                self.place, f"has no probability for the word '{quote(word)}', and none for unknown words",
                "Use a model with the words of the lattices, or with an unknown word.",
            )  # fmt: skip


def swap_ngram(
    compact: CompactLattice, old: WordModel | None, new: WordModel | None, share: float = 1.0, of_graph: bool = True
) -> CompactLattice:
    """Returns the lattice with the scores of `old` taken out of the graph scores and those of `new` put in.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`; determinised, so that each word sequence is one path.
      old: the model that the graph was made with; None: nothing is taken out.
      new: None: nothing is put in.
      of_graph: the scores of `old` are those of a graph; else those that an earlier swap put in.
      share: of `new`; the rest of each word's probability stays `old`'s (linear interpolation).

    Raises:
      InputError: a word to which a model gives no probability.
      ValueError: share is not in 0 … 1, or below 1 without both models.
    """
    if not 0 <= share <= 1 or (share < 1 and (old is None or new is None)):
        raise ValueError(f"share of the new model {share}: wanted 0 to 1, and 1 where only one model is given")
    if compact.start < 0:
        return no_paths()
    models = []
    for model in (old, new):
        if model is None:
            models.append((NOTHING, np.zeros(int(compact.word_ids.max(initial=0)) + 1, np.int32), False))
            continue
        model.require(compact)
        models.append((_arrays(model.automaton), model.ids, True))
    ends = np.isfinite(compact.final_graph_scores)
    made, gains, states, final_gains = compose_histories(
        np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).astype(np.int64), compact.next_states,
        compact.word_ids, ends, *models[0], of_graph, *models[1], float(share), 1 if old is None else old.order + 1,
    )  # fmt: skip
    arcs = made[:, 2]
    splits, strings = gather(compact.string_splits, compact.strings, arcs)
    final_splits, final_strings = gather(compact.final_string_splits, compact.final_strings, states)
    return trimmed(
        replace(
            compact, sources=made[:, 0].astype(np.int32), next_states=made[:, 1].astype(np.int32),
            word_ids=compact.word_ids[arcs],
            graph_scores=(compact.graph_scores[arcs] + gains).astype(np.float32),
            acoustic_scores=compact.acoustic_scores[arcs], string_splits=splits, strings=strings,
            final_graph_scores=(compact.final_graph_scores[states] + final_gains).astype(np.float32),
            final_acoustic_scores=compact.final_acoustic_scores[states], final_string_splits=final_splits,
            final_strings=final_strings,
        )
    )  # fmt: skip


def _arrays(automaton: BackoffAutomaton) -> tuple:
    """What `score_word` takes, and the state at the start of a sentence."""
    return (
        automaton.children, automaton.words, automaton.log_probs, automaton.backoffs, automaton.links,
        automaton.highest, automaton.start,
    )  # fmt: skip


_INTS, _FLOATS = np.zeros(2, np.int32), np.zeros(1, np.float32)
NOTHING = (_INTS, _INTS[:1], _FLOATS, _FLOATS, _INTS[:1], 1, 0)
