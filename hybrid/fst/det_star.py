"""Determinisation of transducers with removal of epsilons, in the log semiring: det*.

A state of the result is a set of states of the input, each with the weight and the output string by which it is behind
the others (Mohri, 1997): what all of them have in common is written on the arc that leads there. Ways without input
are followed inside a set. Weights of ways that fall together are added as probabilities. Equal to Kaldi's
`fstdeterminizestar --use-log=true`, number for number, where no epsilon leads from one state of a set to another; there
Kaldi counts the ways on from the second once too often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.compiled import is_kept
from hybrid.base.errors import HybridError
from hybrid.formats.openfst import FstArrays

if TYPE_CHECKING:
    from hybrid.fst.det_star_tables import Input, Made, Sets, Work
    from hybrid.fst.string_tree import Strings

__all__ = ["NotDeterminizableError", "determinize_star", "is_compiled"]

ROOM = 1024  # more than there may be need of at first
DELTA = 1.0 / 1024  # OpenFst's


class NotDeterminizableError(HybridError):
    """Determinisation was stopped: ways through the graph cannot be told apart by their input."""


def determinize_star(fst: FstArrays, limit: int = 0, what: str = "the FST", delta: float = DELTA) -> FstArrays:
    """Returns the FST with at most one arc for each input label of a state, and none without input.

    Only where one arc writes several symbols do arcs without input follow it, one for each further symbol; and where a
    final state writes some.

    Args:
      fst: functional: one input has one output.
      limit: number of states at which it is given up; 0: none.
      what: what messages call it.
      delta: nats by which the weights of two sets of states may differ and be taken for the same.

    Returns:
      An FST with the same sum of weights (log semiring) for each input; its states are numbered as a search in depth
      meets them.

    Raises:
      NotDeterminizableError: one input has two outputs, or the limit was passed.
    """
    from hybrid.fst import det_star_kernels as kernels
    from hybrid.fst import det_star_tables as names

    if fst.start < 0:
        return FstArrays.empty()
    arcs = _input(fst)
    tables, counts = _begun(fst)
    status = names.ROOM
    while status == names.ROOM:
        tables = _with_room(tables, counts)
        status = kernels.determinize(arcs, *tables, counts, limit or np.iinfo(np.int64).max, np.float32(delta))
    if status == names.TWO_OUTPUTS:
        raise NotDeterminizableError(f"{what} cannot be determinised: one input has two outputs")
    if status == names.TOO_MANY:
        raise NotDeterminizableError(f"{what} cannot be determinised within {limit} states")
    _, made, strings, _ = tables
    del tables
    return _written(made, strings, int(counts[names.STATES]))


def is_compiled(fst: FstArrays) -> bool:
    """Tells whether `determinize_star` of an FST with a start state would wait for no compilation."""
    from hybrid.fst import det_star_kernels as kernels

    tables, counts = _begun(fst)
    return is_kept(kernels.determinize, _input(fst), *tables, counts, 1, np.float32(DELTA))


def _input(fst: FstArrays) -> Input:
    """Returns the FST as the kernels read it."""
    from hybrid.fst import det_star_tables as names

    silent = np.zeros(fst.num_states, np.bool_)
    silent[fst.sources()[fst.ilabels == 0]] = True
    return names.Input(fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, fst.costs, fst.final_costs, silent)


def _begun(fst: FstArrays) -> tuple[tuple[Sets, Made, Strings, Work], np.ndarray]:
    """Returns tables with the set of the start state alone, and what is counted."""
    from hybrid.fst import det_star_tables as names
    from hybrid.fst.string_tree import Strings

    def none(dtype: type) -> np.ndarray:
        return np.empty(0, dtype)

    i, f, q = np.int32, np.float32, np.int64
    lone = np.full(fst.num_states, -1, np.int32)
    lone[fst.start] = 0
    sets = names.Sets(lone, np.array([fst.start], i), none(i), np.zeros((1, 4), q), none(q), none(f))
    made = names.Made(np.zeros(1, i), none(q), none(i), none(f), none(i), none(i), none(i), none(i), none(f))
    labels = np.arange(1 + int(fst.olabels.max(initial=0)), dtype=i)
    strings = Strings(np.zeros_like(labels), labels, (labels > 0).astype(i), np.empty_like(labels), none(i))
    place = np.full(fst.num_states, -1, np.int32)
    work = names.Work(
        place, none(i), none(i), none(f), none(f), none(i), none(np.bool_), none(q), none(i), none(f), none(q)
    )
    counts = np.zeros(names.WANTED + 6, np.int64)
    counts[[names.STATES, names.STRINGS, names.STACK]] = 1, len(labels), 1
    wanted = [fst.num_states, 1, 1, fst.num_arcs, len(labels), 1]
    counts[names.WANTED :] = [number + ROOM for number in wanted]
    return (sets, made, strings, work), counts


def _with_room(tables: tuple[Sets, Made, Strings, Work], counts: np.ndarray) -> tuple[Sets, Made, Strings, Work]:
    """Returns the tables with room for what is wanted of each kind, and tables of hashes made anew where that helps."""
    from hybrid.fst import det_star_kernels as kernels
    from hybrid.fst import det_star_tables as names
    from hybrid.fst.string_tree import Strings, list_strings

    def larger(array: np.ndarray, kind: int, more: int = 0) -> np.ndarray:
        """The array with room for what is wanted of its kind, and `more` rows."""
        wanted, room = int(counts[names.WANTED + kind]), len(array) - more
        if wanted <= room:
            return array
        new = np.empty((max(wanted, room + room // 2) + more, *array.shape[1:]), array.dtype)
        new[: len(array)] = array
        return new

    def slots(heads: np.ndarray, number: int) -> np.ndarray:
        return heads if len(heads) >= number else np.full(1 << number.bit_length(), -1, np.int32)

    sets, made, strings, work = tables
    s, n, e, a, t, w = range(6)  # kinds, in the order of the kernels' names for them
    rows = larger(sets.rows, n, 1)
    new_sets = names.Sets(
        sets.single,
        larger(sets.member, s),
        slots(sets.heads, len(rows)),
        rows,
        larger(sets.elements, e),
        larger(sets.weights, e),
    )
    if new_sets.heads is not sets.heads:
        kernels.list_sets(new_sets, int(counts[names.SETS]))
    new_made = names.Made(*(larger(array, s) for array in made[:5]), *(larger(array, a) for array in made[5:]))
    nodes = [larger(array, t) for array in strings[:4]]
    new_strings = Strings(nodes[0], nodes[1], nodes[2], nodes[3], slots(strings.heads, len(nodes[0])))
    if new_strings.heads is not strings.heads:
        list_strings(new_strings, int(counts[names.STRINGS]))
    return new_sets, new_made, new_strings, names.Work(work.place, *(larger(array, w) for array in work[1:]))


def _written(made: Made, strings: Strings, num_states: int) -> FstArrays:
    """Returns the result as an FST."""
    from hybrid.fst.det_star_writing import measure, written

    arcs, more_states, more_arcs = measure(made, strings, num_states)
    splits = np.zeros(num_states + more_states + 1, np.int64)
    il, ol, to = (np.empty(arcs + more_arcs, np.int32) for _ in range(3))
    costs = np.empty(arcs + more_arcs, np.float32)
    finals = np.full(num_states + more_states, np.inf, np.float32)
    written(made, strings, num_states, splits, il, ol, to, costs, finals)
    return FstArrays(0, splits, il, ol, to, costs, finals)
