"""G of a grammar, of an n-gram model beside it, and of speech outside both: one acceptor.

    start ── words of the grammar ──►        with probability grammar_weight beside an n-gram model
          ── <garbage> ⟲ ──►                 any phones, with probability `garbage`
          ── #0 ──► the n-gram model

`<garbage>` is a word of the lexicon with one pronunciation for each phone. What is said outside of the grammar is
nearer to those than to its sentences, and is not forced into them.
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

__all__ = ["MixtureConfig", "mixed_grammar"]

BACKOFF = "#0"


@dataclass(frozen=True)
class MixtureConfig:
    """How a grammar stands beside other speech."""

    grammar_weight: float = field(
        default=0.5, metadata={"help": "Share of the grammar where --sentences stand beside it, 0 to 1."}
    )
    garbage: float = field(
        default=0.0,
        metadata={"help": "Probability of speech outside, which is rejected; 0: all is forced into the grammar."},
    )
    garbage_phone: float = field(
        default=4.0, metadata={"help": "Cost of each phone of speech outside, nats; a higher one rejects less."}
    )

    def __post_init__(self) -> None:
        check_fields(self, grammar_weight=Range(0.0001, 0.9999), garbage=Range(0, 0.999), garbage_phone=Range(0, 100))


def mixed_grammar(
    automaton: GrammarAutomaton, ngram: FstArrays | None, words: SymbolTable, config: MixtureConfig
) -> FstArrays:
    """Returns G.

    Args:
      ngram: G of an n-gram model, with `#0` on its back-off arcs; None: there is none.
      words: with `<garbage>` where the config, or the grammar, has garbage.
    """
    labels = {word: words[word] for word in automaton.words}
    rows, finals = _rows(acceptor(automaton, labels, words[BACKOFF]))
    begin = len(finals)  # a start of its own: the grammar may come back to its first state
    finals += [finals[0]]
    rows += [(begin, i, o, t, c) for s, i, o, t, c in rows if s == 0]
    share = (1 - config.garbage) * (config.grammar_weight if ngram is not None else 1.0)
    _scale(rows, finals, begin, -math.log(share))
    if config.garbage:
        _add_garbage(rows, finals, begin, words[GARBAGE], config)
    if ngram is not None:
        rest = (1 - config.garbage) * (1 - config.grammar_weight)
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


def _add_garbage(rows: Rows, finals: list[float], begin: int, label: int, config: MixtureConfig) -> None:
    state = len(finals)
    finals.append(0.0)
    rows.append((begin, label, label, state, -math.log(config.garbage)))
    rows.append((state, label, label, state, 0.0))


def _add_ngram(rows: Rows, finals: list[float], begin: int, ngram: FstArrays, backoff: int, cost: float) -> None:
    """Puts the start of the model behind the last `#0` that can be read at the beginning."""
    first, last, paid = len(finals), begin, 0.0
    while step := next((row for row in rows if row[0] == last and row[1] == backoff), None):
        last, paid = step[3], paid + step[4]
    own, own_finals = _rows(ngram)
    rows.append((last, backoff, 0, first + ngram.start, cost - paid))
    rows += [(s + first, i, o, t + first, c) for s, i, o, t, c in own]
    finals += own_finals
