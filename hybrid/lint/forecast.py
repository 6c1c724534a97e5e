"""What every operation of graph compilation will make and cost, from L, G and a few facts of the model.

L∘G is counted: its states are pairs, and a word's inner states are shared by the arcs that lead to one state of G. What
follows is in proportion; the proportions are those of LibriSpeech's 33 thousand words (trigram) and of the assistant's
commands, with monophones, triphones and chain models; a test holds them to a factor of two of these graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybrid.formats.openfst import FstArrays

if TYPE_CHECKING:
    from hybrid.hmm import TransitionModel

__all__ = ["Forecast", "composition_size", "forecast", "in_proportion", "peak_gb", "states_per_phone"]

BASE_GB = 0.17  # of the process without a graph
OVERHEAD = 0.01  # seconds of any operation
LONGEST_WORD = 1000  # phones


@dataclass(frozen=True)
class Forecast:
    """One operation as it is expected; see `hybrid.graph.report.Operation`."""

    name: str
    states: int
    arcs: int
    cpu_seconds: float
    peak_gb: float

    def line(self) -> str:
        """One line, as the report of a compilation has it."""
        return (
            f"{self.name:<18} {self.states:>9} states {self.arcs:>10} arcs {self.cpu_seconds:>7.1f} CPU s "
            f"{self.peak_gb:>6.2f} GB"
        )


def states_per_phone(model: TransitionModel) -> float:
    """Returns the mean number of emitting states of a phone; silence has more, but is one phone of many."""
    phones = model.topology.phones
    return float(np.median([len(model.topology.states(phone)) for phone in phones]))


def _insides(lexicon: FstArrays, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each word: arcs into its pronunciations, states inside them, arcs that leave these; int64 [word_id]."""
    count = lexicon.num_states
    sources, degrees = lexicon.sources(), np.diff(lexicon.row_splits)
    spoken = (lexicon.olabels > 0) & (
        lexicon.next_states != sources
    )  # the loops of #0 and of slots stay where they are
    home = np.bincount(lexicon.next_states, minlength=count) > 1
    home[[lexicon.start, *np.unique(sources[spoken])[:LONGEST_WORD]]] = True
    entering = np.bincount(lexicon.olabels[spoken], minlength=size)
    states, arcs = np.zeros(size, np.int64), np.zeros(size, np.int64)
    places, words = lexicon.next_states[spoken], lexicon.olabels[spoken]
    for _ in range(LONGEST_WORD):
        inside = ~home[places]
        places, words = places[inside], words[inside]
        if not len(places):
            break
        ways = degrees[places]
        states += np.bincount(words, minlength=size)
        arcs += np.bincount(words, ways, size).astype(np.int64)
        offsets = np.arange(ways.sum()) - np.repeat(np.cumsum(ways) - ways, ways)
        places = lexicon.next_states[np.repeat(lexicon.row_splits[places], ways) + offsets]
        words = np.repeat(words, ways)
    return entering, states, arcs


def composition_size(lexicon: FstArrays, grammar: FstArrays) -> tuple[int, int]:
    """Counts states and arcs of L∘G without composing; exact but for what leads nowhere.

    Args:
      lexicon: L_disambig.
      grammar: G over the same words.
    """
    size = 1 + max(int(lexicon.olabels.max(initial=0)), int(grammar.ilabels.max(initial=0)))
    entering, states, arcs = _insides(lexicon, size)
    spoken = entering[grammar.ilabels] > 0
    words, targets = grammar.ilabels[spoken].astype(np.int64), grammar.next_states[spoken]
    shared = np.unique(words * grammar.num_states + targets) // max(1, grammar.num_states)
    reached = len(np.unique(targets))  # with a state for silence and one behind it
    num_arcs = entering[words].sum() + arcs[shared].sum() + np.count_nonzero(~spoken) + 2 * reached + 2
    return int(states[shared].sum()) + grammar.num_states + 2 * reached + 2, int(num_arcs)


def forecast(
    lexicon: FstArrays, grammar: FstArrays, width: int = 3, central: int = 1, phone_states: float = 3.0
) -> tuple[Forecast, ...]:
    """Predicts the operations of `compile_decoding_graph`.

    Args:
      lexicon: L_disambig.
      grammar: G.
      width, central: of the phones in context: 1 and 0 monophones, 3 and 1 triphones, 2 and 1 left biphones.
      phone_states: emitting states of a phone.
    """
    return in_proportion(*composition_size(lexicon, grammar), width, central, phone_states)


def in_proportion(
    states: float, arcs: float, width: int = 3, central: int = 1, phone_states: float = 3.0
) -> tuple[Forecast, ...]:
    """Predicts the operations from the states and arcs of L∘G; see `forecast`."""
    rows: list[Forecast] = []

    def add(name: str, states: float, arcs: float, micros: float, size: float) -> tuple[float, float]:
        """Notes an operation: what it makes, and the microseconds and bytes that an arc of it costs."""
        seconds, memory = OVERHEAD + 1e-6 * micros * arcs, BASE_GB + 1e-9 * size * arcs
        rows.append(Forecast(name, round(states), round(arcs), round(seconds, 3), round(memory, 3)))
        return states, arcs

    context, right = width > 1, width > central + 1  # a phone to come doubles more than one that was
    determined = context and phone_states > 1
    s, a = add("L∘G", states, arcs, 0.3, 45)
    s, a = add("det*(L∘G)", 1.2 * s, 1.22 * a, 2.2, 145)
    s, a = add("min(det*(L∘G))", 0.88 * s, 0.92 * a, 0.85, 145)
    s, a = add("LG = push", s, a, 0.6, 85)
    many, ways = (1.0, 1.0) if not context else (1.38, 1.7) if right else (1.06, 1.15)
    s, a = add("CLG = C∘LG", many * s, ways * a, 2.5 if context else 0.07, 195 if context else 85)
    more = (1.28 if context else 1.0) * (phone_states - 1) * s
    s, a = add("H∘CLG", s + more, a + 1.5 * more, 0.35, 85)
    if determined:
        s, a = add("det*(H∘CLG)", 0.77 * s, 0.66 * a, 3.8, 245)
    else:
        s, a = add("det*(H∘CLG)", s, a, 0.01, 60)
    fewer = (0.96, 0.98) if phone_states > 1 else (0.87, 0.95)
    s, a = add("local rmeps", fewer[0] * s, fewer[1] * a, 0.4, 115)
    fewer = (0.91, 0.92) if determined else (0.98, 0.99)
    s, a = add("HCLGa = min", fewer[0] * s, fewer[1] * a, 0.45, 160 if determined else 100)
    add("HCLG: self-loops", 1.45 * s, a + 1.73 * s, 0.05, 75)
    return tuple(rows)


def peak_gb(operations: Sequence[Forecast]) -> float:
    """Returns the most memory that any operation is expected to hold, in 1e9 bytes."""
    return max(operation.peak_gb for operation in operations)
