"""The phone language model of a denominator: n-grams without smoothing, in few states (Povey et al., 2016).

A state is a history; what follows it has the relative frequencies of the training data, and what never followed it is
impossible, which keeps arcs few. Histories up to a trigram's all have a state. Of the longer ones those are given up
first whose counts, added to the history without its oldest phone, cost the least likelihood.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hybrid.base.errors import InputError
from hybrid.chain.config import PhoneLmConfig
from hybrid.formats.openfst import FstArrays

__all__ = ["PhoneLm", "estimate_phone_lm"]

BOUNDARY = 0  # before the first phone, and after the last
STAGES = 4  # the queue of histories to give up is made anew so often
SAME = 0.001  # relative difference below which a loss on the queue counts as up to date

History = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PhoneLm:
    """An estimated phone LM.

    Attributes:
      fst: deterministic acceptor of phones, without epsilons; final costs are those of the end.
      perplexity: of the training data, ends included.
      num_phones: phones of the training data, ends included.
      num_histories: states before histories were given up.
    """

    fst: FstArrays
    perplexity: float
    num_phones: int
    num_histories: int


@dataclass(eq=False)
class _State:
    """A history, what followed it how often, and how often it was seen in longer histories too."""

    history: History
    shorter: int
    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    total_with_longer: int = 0
    may_go: bool = False

    def add(self, counts: dict[int, int]) -> None:
        for phone, count in counts.items():
            self.counts[phone] = self.counts.get(phone, 0) + count
            self.total += count


def estimate_phone_lm(sequences: Iterable[np.ndarray], config: PhoneLmConfig = PhoneLmConfig()) -> PhoneLm:  # noqa: B008
    """Estimates the model of phone sequences, equal to Kaldi's `chain-est-phone-lm`.

    Args:
      sequences: int [S] phone ids of each utterance.

    Raises:
      InputError: there is not one phone.
    """
    model = _Model(config)
    seen = False
    for phones in sequences:
        seen |= len(phones) > 0
        model.count([int(p) for p in phones])
    if not seen:
        raise InputError.at("phone LM", "has no phone sequences to be estimated from", "Look into failed.txt.")
    return model.estimate()


class _Model:
    def __init__(self, config: PhoneLmConfig) -> None:
        self.config = config
        self.states: list[_State] = []
        self.index: dict[History, int] = {}
        self.active = 0

    # --- counts --------------------------------------------------------------------------------------

    def count(self, phones: list[int]) -> None:
        """Counts one utterance."""
        history: History = (BOUNDARY,)
        for phone in [*phones, BOUNDARY]:
            state = self.states[self._state_of(history)]
            self.active += state.total == 0
            state.add({phone: 1})
            history = (*history, phone)[-(self.config.ngram_order - 1) :]

    def _state_of(self, history: History) -> int:
        if history in self.index:
            return self.index[history]
        number = self.index[history] = len(self.states)
        self.states.append(_State(history, -1))
        if len(history) >= self.config.no_prune_ngram_order:
            self.states[number].shorter = self._state_of(history[1:])
        return number

    # --- giving up histories -------------------------------------------------------------------------

    def estimate(self) -> PhoneLm:
        """Gives up histories until few enough are left, and builds the acceptor."""
        for state in self.states:
            above: _State | None = state
            while above is not None:
                above.total_with_longer += state.total
                above = self.states[above.shorter] if above.shorter >= 0 else None
        before = self.active
        basic = sum(len(state.history) == self.config.no_prune_ngram_order - 1 for state in self.states)
        target = basic + self.config.num_extra_lm_states
        for stage in range(1, STAGES + 1):
            self._shrink(before + int((target - before) * stage / STAGES))
        return self._result(before)

    def _shrink(self, target: int) -> None:
        queue: list[tuple[float, int]] = []
        for number, state in enumerate(self.states):
            state.may_go = self._may_go(state)
            if state.may_go:
                queue.append((-self._gain(state), -number))
        heapq.heapify(queue)
        while self.active > target and queue:
            known, number = heapq.heappop(queue)
            state = self.states[-number]
            loss = -self._gain(state)
            if loss != known and abs(loss - known) > SAME * (abs(loss) + abs(known)):
                heapq.heappush(queue, (loss, number))
            elif (freed := self._give_up(state)) is not None:
                heapq.heappush(queue, (-self._gain(self.states[freed]), -freed))

    def _may_go(self, state: _State) -> bool:
        """Tells whether no other history needs this one."""
        if len(state.history) < self.config.no_prune_ngram_order or state.total != state.total_with_longer:
            return False
        if state.total == 0:
            return False
        if len(state.history) == self.config.ngram_order - 1:
            return True
        following = (self.index.get((*state.history, phone)) for phone in state.counts if phone != BOUNDARY)
        return all(number is None or not self.states[number].total_with_longer for number in following)

    def _gain(self, state: _State) -> float:
        """Returns the change of log-likelihood (at most 0) when a history is given up; float32, as Kaldi's."""
        shorter = self.states[state.shorter]
        if shorter.total == 0:
            return float(np.float32(-1.0e-15 * state.total))
        both = _State((), -1)
        both.add(shorter.counts)
        both.add(state.counts)
        change = _log_likelihood(both) - _log_likelihood(state) - _log_likelihood(shorter)
        return min(float(change), 0.0)

    def _give_up(self, state: _State) -> int | None:
        """Moves the counts of a history to the shorter one; returns that one if it may now go too."""
        shorter = self.states[state.shorter]
        self.active -= shorter.total != 0
        shorter.add(state.counts)
        state.counts, state.total, state.total_with_longer, state.may_go = {}, 0, 0, False
        before, shorter.may_go = shorter.may_go, self._may_go(shorter)
        return state.shorter if shorter.may_go and not before else None

    # --- the acceptor --------------------------------------------------------------------------------

    def _result(self, before: int) -> PhoneLm:
        left = [state for state in self.states if state.total]
        number = {state.history: n for n, state in enumerate(left)}

        def state_of(history: History) -> int:
            while history not in number:
                history = history[1:]
            return number[history]

        rows: list[tuple[int, int, int, float]] = []
        finals = np.full(len(left), np.inf, np.float32)
        total, log_likelihood = 0, 0.0
        for n, state in enumerate(left):
            for phone, count in sorted(state.counts.items()):
                score = math.log(count / state.total)
                total, log_likelihood = total + count, log_likelihood + count * score
                if phone == BOUNDARY:
                    finals[n] = 0.0 - score
                else:
                    rows.append((n, phone, state_of((*state.history, phone)), 0.0 - score))
        sources, labels, to, costs = (np.array(column) for column in zip(*rows))
        fst = FstArrays.from_arcs(state_of((BOUNDARY,)), sources, labels, labels, to, costs, finals)
        return PhoneLm(fst, math.exp(-log_likelihood / total), total, before)


def _log_likelihood(state: _State) -> np.float32:
    return np.float32(sum(math.log(count / state.total) * count for count in state.counts.values()))
