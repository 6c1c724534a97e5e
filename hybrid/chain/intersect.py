"""What was said, weighted as the denominator weighs it: the intersection of a numerator's pdf sequences with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.denominator import Denominator
from hybrid.chain.numerator import NumeratorError
from hybrid.chain.numerator_kernels import longer
from hybrid.fst.ops_kernels import first_at_least

__all__ = ["WeightedBy"]


@dataclass(frozen=True, eq=False)
class WeightedBy:
    """Puts the weights of a denominator on acceptors of pdf sequences."""

    denominator: Denominator

    @cached_property
    def _by_state(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Arcs sorted by state and pdf: int64 [states + 1] splits, pdfs, next states, log-weights."""
        den = self.denominator
        order = np.lexsort((den.pdf, den.from_state))
        splits = np.searchsorted(den.from_state[order], np.arange(den.num_states + 1))
        return splits, den.pdf[order], den.to_state[order], den.log_weight[order]

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where a chunk that begins with a pdf may be after it: int64 [pdfs + 1] splits, states, log-weights.

        Weights are summed over the states that the chunk may have begun in.
        """
        den = self.denominator
        keys, place = np.unique(den.pdf.astype(np.int64) * den.num_states + den.to_state, return_inverse=True)
        mass = np.exp(den.initial.astype(np.float64)[den.from_state] + den.log_weight)
        with np.errstate(divide="ignore"):
            scores = np.log(np.bincount(place.reshape(-1), mass, len(keys))).astype(np.float32)
        pdf, state = np.divmod(keys, den.num_states)
        return np.searchsorted(pdf, np.arange(den.num_pdfs + 1)), state.astype(np.int32), scores

    def __call__(self, rows: np.ndarray, finals: np.ndarray, num_frames: int) -> PdfAcceptor:
        """Returns the weighted acceptor.

        Args:
          rows: int32 [n][3] (from, to, pdf), sorted by from, of a deterministic acceptor that begins in state 0.
          finals: bool [states].

        Raises:
          NumeratorError: the denominator has none of the sequences.
        """
        if len(rows) and rows[:, 2].max() >= self.denominator.num_pdfs:
            raise NumeratorError(f"has pdf {rows[:, 2].max()}, the denominator has {self.denominator.num_pdfs}")
        found, weights, ends = _intersect(rows, finals, *self._by_state, *self._entries)
        if not len(found):
            raise NumeratorError("has phones in a row that the phone LM of the denominator does not know")
        initial, final = np.full((2, len(ends)), -np.inf, np.float32)
        initial[0], final[ends] = 0.0, 0.0
        from_state, to_state, pdf = found.T.copy()
        return PdfAcceptor(from_state, to_state, pdf, weights, initial, final, num_frames)


@kernel
def _state(table, states, count, left, right):
    """Returns the number of a pair of states, a new one if it was not met before; the table may have grown."""
    if 2 * count >= len(table):
        table = np.full(4 * len(table), -1, np.int32)
        for s in range(count):
            table[_slot(table, states, states[s, 0], states[s, 1])] = s
    if count == len(states):
        more = np.empty((2 * count, 2), np.int32)
        more[:count] = states
        states = more
    slot = _slot(table, states, left, right)
    if table[slot] < 0:
        table[slot] = count
        states[count, 0], states[count, 1] = left, right
        count += 1
    return table, states, count, table[slot]


@kernel
def _slot(table, states, left, right):
    mask = np.int64(len(table) - 1)
    key = (np.uint64(left) << np.uint64(32)) ^ np.uint64(right)
    slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)) & mask
    while table[slot] >= 0 and (states[table[slot], 0] != left or states[table[slot], 1] != right):
        slot = (slot + 1) & mask
    return slot


@kernel
def _intersect(rows, finals, splits, pdfs, targets, weights, entry_splits, entry_states, entry_weights):
    """Searches pairs of states from the start, then keeps those from which the end is reached."""
    row_splits = np.zeros(len(finals) + 1, np.int64)
    for r in range(len(rows)):
        row_splits[rows[r, 0] + 1] += 1
    row_splits = np.cumsum(row_splits)
    table, states = np.full(1024, -1, np.int32), np.empty((256, 2), np.int32)
    arcs, scores = np.empty((1024, 3), np.int32), np.empty(1024, np.float32)
    states[0, 0], states[0, 1] = 0, -1  # before the chunk: no state of the denominator in particular
    count, used, s = 1, 0, 0
    while s < count:
        at, inside = states[s, 0], states[s, 1]
        for r in range(row_splits[at], row_splits[at + 1]):
            pdf = rows[r, 2]
            if s == 0:
                low, high = entry_splits[pdf], entry_splits[pdf + 1]
            else:
                low, high = first_at_least(pdfs, splits[inside], splits[inside + 1], pdf), splits[inside + 1]
            for k in range(low, high):
                if s > 0 and pdfs[k] != pdf:
                    break
                to = entry_states[k] if s == 0 else targets[k]
                table, states, count, number = _state(table, states, count, rows[r, 1], to)
                if used == len(arcs):
                    more = np.empty((2 * used, 3), np.int32)
                    more[:used] = arcs
                    arcs, scores = more, longer(scores)
                arcs[used, 0], arcs[used, 1], arcs[used, 2] = s, number, pdf
                scores[used] = entry_weights[k] if s == 0 else weights[k]
                used += 1
        s += 1
    return _trim(states[:count], finals, arcs[:used], scores[:used])


@kernel
def _trim(states, finals, arcs, scores):
    useful = np.zeros(len(states), np.bool_)
    for s in range(len(states)):
        useful[s] = finals[states[s, 0]]
    changed = True
    while changed:
        changed = False
        for k in range(len(arcs) - 1, -1, -1):
            if useful[arcs[k, 1]] and not useful[arcs[k, 0]]:
                useful[arcs[k, 0]] = True
                changed = True
    number, count = np.full(len(states), -1, np.int32), 0
    ends = np.zeros(len(states), np.bool_)
    for s in range(len(states)):
        if useful[s] or s == 0:
            number[s], ends[count] = count, finals[states[s, 0]]
            count += 1
    used = 0
    for k in range(len(arcs)):
        if useful[arcs[k, 0]] and useful[arcs[k, 1]]:
            arcs[used, 0], arcs[used, 1], arcs[used, 2] = number[arcs[k, 0]], number[arcs[k, 1]], arcs[k, 2]
            scores[used] = scores[k]
            used += 1
    return arcs[:used].copy(), scores[:used].copy(), ends[:count].copy()
