"""G of a grammar, of an n-gram model beside it, and of speech outside both: one acceptor.

    start ── words of the grammar ──►        with probability grammar_weight beside an n-gram model
          ── <garbage:P> ──►                 any phones P, with probability `garbage`, by a bigram of phones
          ── #0 ──► the n-gram model

`<garbage:P>` is a word of the lexicon that is pronounced as the one phone P. What is said outside of the grammar is
nearer to those than to its sentences, and is not forced into them. All three sum to one in every state: else pushing
would move costs along paths, and beams would lose the grammar at the beginning of a sentence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hybrid.base.ranges import Range, check_fields
from hybrid.formats.openfst import FstArrays
from lexicon.symbols import SymbolTable
from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.grammar_acceptor import acceptor
from lm.grammar.values import GARBAGE

__all__ = ["MixtureConfig", "garbage_ids", "garbage_word", "mixed_grammar"]

BACKOFF = "#0"


def garbage_word(phone: str) -> str:
    """Returns the word that stands for a phone of speech outside."""
    return f"{GARBAGE[:-1]}:{phone}>"


def garbage_ids(words: SymbolTable) -> frozenset[int]:
    """Returns the ids of the words that stand for speech outside."""
    begin = f"{GARBAGE[:-1]}:"
    return frozenset(words[word] for word in words.symbols if word == GARBAGE or word.startswith(begin))


@dataclass(frozen=True)
class MixtureConfig:
    """How a grammar stands beside other speech."""

    grammar_weight: float = field(
        default=0.5, metadata={"help": "Share of the grammar where --sentences stand beside it, 0 to 1."}
    )
    garbage: float = field(
        default=0.0,
        metadata={"help": "Probability of speech outside, which is rejected; 0: it is forced into the grammar."},
    )

    def __post_init__(self) -> None:
        check_fields(self, grammar_weight=Range(0.0001, 0.9999), garbage=Range(0, 0.999))


def mixed_grammar(
    automaton: GrammarAutomaton,
    ngram: FstArrays | None,
    phones: FstArrays | None,
    words: SymbolTable,
    config: MixtureConfig,
) -> FstArrays:
    """Returns G.

    Args:
      ngram: G of an n-gram model, with `#0` on its back-off arcs; None: there is none.
      phones: G of a model of garbage words; None: there is none, and `garbage` is not looked at.
    """
    labels = {word: words[word] for word in automaton.words}
    rows, finals = _rows(acceptor(automaton, labels, words[BACKOFF]))
    begin = len(finals)  # a start of its own: the grammar may come back to its first state
    finals += [finals[0]]
    rows += [(begin, i, o, t, c) for s, i, o, t, c in rows if s == 0]
    inside = 1.0 if phones is None else 1 - config.garbage
    share = inside * (config.grammar_weight if ngram is not None else 1.0)
    _scale(rows, finals, begin, -math.log(share))
    if phones is not None:
        _add_phones(rows, finals, begin, phones, words, -math.log(config.garbage))
    if ngram is not None:
        rest = inside * (1 - config.grammar_weight)
        _add_ngram(rows, finals, begin, ngram, words[BACKOFF], -math.log(rest))
    order = sorted(rows, key=lambda row: row[:2])
    sources, il, ol, to, costs = np.array(order).T
    return FstArrays.from_arcs(begin, sources, il, ol, to, costs, np.array(finals))


Rows = list[tuple[int, int, int, int, float]]


def _rows(fst: FstArrays) -> tuple[Rows, list[float]]:
    sources, il, ol = fst.sources().tolist(), fst.ilabels.tolist(), fst.olabels.tolist()
    return list(zip(sources, il, ol, fst.next_states.tolist(), fst.costs.tolist())), fst.final_costs.tolist()


def _scale(rows: Rows, finals: list[float], state: int, cost: float) -> None:
    finals[state] += cost
    rows[:] = [(s, i, o, t, c + cost if s == state else c) for s, i, o, t, c in rows]


def _add_phones(
    rows: Rows, finals: list[float], begin: int, phones: FstArrays, words: SymbolTable, cost: float
) -> None:
    """Puts the first arcs of a model of garbage at the beginning, those behind its `#0` too: no other word is theirs.

    Each gives `<garbage>`, whatever its phone: lattices would hold all sequences of phones otherwise.
    """
    first, backoff, outside = len(finals), words[BACKOFF], words[GARBAGE]
    own, own_finals = _rows(phones)
    own = [(s + first, i, outside if o else 0, t + first, c) for s, i, o, t, c in own]
    state, paid, seen = first + phones.start, cost, {backoff}
    while state >= 0:
        here, state, step = [row for row in own if row[0] == state], -1, 0.0
        for _, label, out, to, price in here:
            if label == backoff:
                state, step = to, price
            elif label not in seen:
                rows.append((begin, label, out, to, paid + price))
        seen |= {row[1] for row in here}
        paid += step
    rows += own
    finals += own_finals


def _add_ngram(rows: Rows, finals: list[float], begin: int, ngram: FstArrays, backoff: int, cost: float) -> None:
    """Puts the start of the model behind the last `#0` that can be read at the beginning."""
    first, last, paid = len(finals), begin, 0.0
    while step := next((row for row in rows if row[0] == last and row[1] == backoff), None):
        last, paid = step[3], paid + step[4]
    own, own_finals = _rows(ngram)
    rows.append((last, backoff, 0, first + ngram.start, cost - paid))
    rows += [(s + first, i, o, t + first, c) for s, i, o, t, c in own]
    finals += own_finals
