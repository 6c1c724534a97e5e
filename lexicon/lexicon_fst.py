"""L: the lexicon as a transducer from phones to words, with optional silence between words.

The same states and arcs as Kaldi's, so that files are interchangeable. Without a model of silence, L has a
loop state where words begin and end; each word ends in it twice, directly with probability 1 - p, and with
probability p by way of the silence phone:

    start --eps--> loop <--word--> loop,   word --> silence state --SIL--> loop

With word-specific silence probabilities there are two loop states, after silence and after none.
All arcs are made as arrays; none costs a Python call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.formats.openfst import FstArrays
from lexicon.silence import SilenceProbs

__all__ = [
    "PronunciationArrays",
    "add_disambig_loops",
    "lexicon_fst",
    "lexicon_fst_with_silence_probs",
    "silence_probability",
    "word_pronunciations",
]


@dataclass(frozen=True, eq=False)
class PronunciationArrays:
    """Pronunciations by ids, in compressed rows.

    Attributes:
      word_ids: int32 [pronunciation].
      row_splits: int64 [pronunciation + 1], rows of `phone_ids`; no row is empty.
      phone_ids: int32 [phone], disambiguation symbols included.
      log_probs: float64 [pronunciation], natural log, at most 0.
      silence: float64 [pronunciation][3] (P(silence after), corrections after silence and after none), or None.
    """

    word_ids: np.ndarray
    row_splits: np.ndarray
    phone_ids: np.ndarray
    log_probs: np.ndarray
    silence: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.word_ids)
        if len(self.row_splits) != count + 1 or len(self.log_probs) != count:
            raise ValueError("arrays of pronunciations differ in length")
        if count == 0 or int(np.diff(self.row_splits).min()) < 1 or int(self.row_splits[-1]) != len(self.phone_ids):
            raise ValueError("every pronunciation needs at least one phone")


class _Arcs:
    """Arcs gathered in blocks, put in order of their output labels at the end."""

    def __init__(self) -> None:
        self._blocks: list[tuple[np.ndarray, ...]] = []

    def add(self, source: Any, to: Any, ilabel: Any, olabel: Any, cost: Any) -> None:
        """Adds a block of arcs; scalars are repeated."""
        self._blocks.append(tuple(np.atleast_1d(a) for a in np.broadcast_arrays(source, to, ilabel, olabel, cost)))

    def fst(self, final_costs: np.ndarray) -> FstArrays:
        """Returns the FST that starts in state 0, arcs of a state sorted by output label, else as they came."""
        source, to, il, ol, cost = (np.concatenate(column) for column in zip(*self._blocks))
        order = np.lexsort((ol, source))
        splits = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(final_costs)))])
        return FstArrays(0, splits, il[order], ol[order], to[order], cost[order], final_costs)


def _final(num_states: int, costs: dict[int, float]) -> np.ndarray:
    final_costs = np.full(num_states, np.inf, np.float32)
    for state, cost in costs.items():
        final_costs[state] = cost
    return final_costs


def lexicon_fst(
    prons: PronunciationArrays, silence_prob: float, silence_phone: int, silence_disambig: int | None = None
) -> FstArrays:
    """Makes L with the same silence probability everywhere.

    Args:
      silence_prob: P(silence) at the start and after each word, in [0, 1); 0 leaves silence out.
      silence_phone: id of the optional-silence phone.
      silence_disambig: id of the symbol after silence, for L_disambig; None for L.

    Returns:
      Phones in, words out, arcs sorted by output label. Each word carries its label on its first phone.

    Raises:
      ValueError: the silence probability is not in [0, 1).
    """
    if not 0 <= silence_prob < 1:
        raise ValueError(f"silence probability {silence_prob} is not in [0, 1)")
    arcs = _Arcs()
    if silence_prob == 0:
        loop, used = 0, 1
    else:
        loop, silence, used = 1, 2, 3
        skip_cost, silence_cost = -math.log(1 - silence_prob), -math.log(silence_prob)
        arcs.add(0, [loop, silence], 0, 0, [skip_cost, silence_cost])
        if silence_disambig is None:
            arcs.add(silence, loop, silence_phone, 0, 0.0)
        else:
            arcs.add([silence, used], [used, loop], [silence_phone, silence_disambig], 0, 0.0)
            used += 1

    begins, ends = prons.row_splits[:-1], prons.row_splits[1:] - 1
    count = len(prons.word_ids)
    # Phone k of a pronunciation leads out of the loop (k = 0) or of the state made after phone k - 1.
    made = np.ones(len(prons.phone_ids), bool)
    made[ends] = False
    state_after = used - 1 + np.cumsum(made)
    source = np.concatenate([[loop], state_after[:-1]])
    source[begins] = loop
    words = np.zeros(len(prons.phone_ids), np.int32)
    words[begins] = prons.word_ids
    costs = np.zeros(len(prons.phone_ids))
    costs[begins] = -prons.log_probs
    arcs.add(source[made], state_after[made], prons.phone_ids[made], words[made], costs[made])
    last = (source[ends], prons.phone_ids[ends], words[ends], costs[ends])
    if silence_prob == 0:
        arcs.add(last[0], np.full(count, loop), last[1], last[2], last[3])
    else:
        source, phone, word, cost = (np.repeat(a, 2) for a in last)
        arcs.add(source, np.tile([loop, silence], count), phone, word, cost + np.tile([skip_cost, silence_cost], count))
    return arcs.fst(_final(used + int(made.sum()), {loop: 0.0}))


def lexicon_fst_with_silence_probs(
    prons: PronunciationArrays, probs: SilenceProbs, silence_phone: int, silence_disambig: int | None = None
) -> FstArrays:
    """Makes L with word-specific silence probabilities (Chen et al., Interspeech 2015).

    Args:
      prons: with `silence`.
      probs: silence at the ends of the sentence.
      silence_phone: id of the optional-silence phone.
      silence_disambig: id of the symbol that stands where no silence does, for L_disambig; None for L.

    Returns:
      Phones in, words out, arcs sorted by output label.
    """
    if prons.silence is None:
        raise ValueError("the lexicon has no silence probabilities")
    no_silence = 0 if silence_disambig is None else silence_disambig
    plain, silence, used = 1, 2, 3
    arcs = _Arcs()
    begin_costs = [-math.log(1 - probs.begin), -math.log(probs.begin)]
    arcs.add(0, [plain, silence], [no_silence, silence_phone], 0, begin_costs)
    begins, ends = prons.row_splits[:-1], prons.row_splits[1:] - 1
    count = len(prons.word_ids)
    after, to_word = prons.silence[:, 0], -np.log(prons.silence[:, 1:])
    # Every phone makes a state of its own here.
    state_after = used + np.arange(len(prons.phone_ids))
    first_costs = to_word[:, ::-1] - prons.log_probs[:, None]  # from the plain state, from the silence state
    arcs.add(
        np.tile([plain, silence], count),
        np.repeat(state_after[begins], 2),
        np.repeat(prons.phone_ids[begins], 2),
        np.repeat(prons.word_ids, 2),
        first_costs.ravel(),
    )
    inner = np.ones(len(prons.phone_ids), bool)
    inner[begins] = False
    arcs.add(state_after[inner] - 1, state_after[inner], prons.phone_ids[inner], 0, 0.0)
    arcs.add(
        np.repeat(state_after[ends], 2),
        np.tile([plain, silence], count),
        np.tile([no_silence, silence_phone], count),
        0,
        np.stack([-np.log1p(-after), -np.log(after)], axis=1).ravel(),
    )
    finals = {silence: -math.log(probs.end_after_silence), plain: -math.log(probs.end_after_word)}
    return arcs.fst(_final(used + len(prons.phone_ids), finals))


def add_disambig_loops(fst: FstArrays, phone_ids: Sequence[int], word_ids: Sequence[int]) -> FstArrays:
    """Adds self-loops that let G's disambiguation symbols (back-off `#0`) pass through L.

    Loops go on every state that is final or has an arc with an output label, as `fstaddselfloops` does.

    Args:
      phone_ids, word_ids: input and output label of each loop.

    Returns:
      The FST with arcs sorted by output label.
    """
    if len(phone_ids) != len(word_ids):
        raise ValueError("disambiguation symbols need one phone id and one word id each")
    sources = fst.sources()
    places = np.isfinite(fst.final_costs)
    places[sources[fst.olabels != 0]] = True
    states = np.flatnonzero(places)
    arcs = _Arcs()
    arcs.add(sources, fst.next_states, fst.ilabels, fst.olabels, fst.costs)
    for phone, word in zip(phone_ids, word_ids):
        arcs.add(states, states, phone, word, 0.0)
    return arcs.fst(fst.final_costs)


def silence_probability(fst: FstArrays, silence_phone: int) -> float:
    """Returns the probability of silence between words, read off an L, whoever made it.

    With word-specific silence probabilities that is their mean over pronunciations; without, the one that
    holds everywhere; 0 where L has no optional silence. Six digits, since weights are float32.
    """
    own = slice(int(fst.row_splits[fst.start]), int(fst.row_splits[fst.start + 1]))
    is_silence = (fst.ilabels == silence_phone) & (fst.olabels == 0)
    after_begin = fst.next_states[own][is_silence[own]]
    if len(after_begin) and np.isfinite(fst.final_costs[after_begin[0]]):  # where words begin after silence
        is_silence &= fst.next_states == after_begin[0]
        is_silence[own] = False
        return float(f"{np.exp(-fst.costs[is_silence].astype(np.float64)).mean():.6g}")
    for arc in range(fst.row_splits[fst.start], fst.row_splits[fst.start + 1]):
        state = fst.next_states[arc]
        after = fst.ilabels[fst.row_splits[state] : fst.row_splits[state + 1]]
        if fst.ilabels[arc] == silence_phone or (
            not fst.ilabels[arc] and len(after) and (after == silence_phone).all()
        ):
            return float(f"{math.exp(-float(fst.costs[arc])):.6g}")
    return 0.0


def word_pronunciations(
    fst: FstArrays, silence_phone: int, word_disambig: Sequence[int] = ()
) -> list[tuple[int, tuple[int, ...]]]:
    """Reads (word id, phone ids) back from an L or L_disambig, whoever made it.

    From each arc with a word label the chain of arcs without one is followed to a state where words
    begin, or to the state before optional silence. Where a chain forks (silence or none), the branch
    that reaches such a state at once is taken.

    Args:
      silence_phone: id of the optional-silence phone.
      word_disambig: word ids that are no words (`#0`).

    Returns:
      In the order of the word arcs, each pair once, epsilons left out.
    """
    sources = fst.sources()
    is_word = (fst.olabels != 0) & ~np.isin(fst.olabels, np.asarray(word_disambig, np.int64))
    stop = np.isfinite(fst.final_costs)
    stop[sources[is_word]] = True
    speaks = np.zeros(fst.num_states, bool)
    speaks[sources[fst.ilabels != silence_phone]] = True
    stop |= ~speaks & (np.bincount(fst.next_states, minlength=fst.num_states) > 1)
    # The one arc to follow out of each state: into a stop if there is such an arc, else the first.
    follow = np.where(np.diff(fst.row_splits) > 0, fst.row_splits[:-1], -1)
    into_stop = np.flatnonzero(stop[fst.next_states])[::-1]
    follow[sources[into_stop]] = into_stop
    starts = np.flatnonzero(is_word)
    columns = [fst.ilabels[starts]]
    state = fst.next_states[starts]
    for _ in range(fst.num_states):
        arc = np.where(stop[state], -1, follow[state])
        alive = arc >= 0
        if not alive.any():
            break
        columns.append(np.where(alive, fst.ilabels[arc], 0))
        state = np.where(alive, fst.next_states[arc], state)
    rows = (tuple(p for p in row if p) for row in np.stack(columns, axis=1).tolist())
    return list(dict.fromkeys(zip(fst.olabels[starts].tolist(), rows)))
