"""The loops of `hybrid.rescore.ngram_swap`: a lattice composed with the histories of two back-off models.

What a graph says of a word sequence is the best way through G, in which each history may be left for a shorter one at
the price of its back-off weight. So its state is not one history but a few, longest first, with scores beside that of
the first; those that are no better than backing off from a longer one are left out. Mostly one is left.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from lm.ngram import LN_10, find_child, score_word
from lm.word_table import EOS

__all__ = ["compose_histories"]

NEG_INF = -np.inf
GRID = 1e-5  # beside each other, scores are told apart to this


@kernel
def _advance(model, nodes, values, size, word, out_nodes, out_values):
    """Reads a word from some histories.

    Returns:
      How many histories are left in `out_nodes` and `out_values`, the first of which has 0; the score of that one, and
      that of the best.
    """
    children, words, log_probs, backoffs, links, highest, _ = model
    count, read, best = 0, 1, NEG_INF
    node, value = nodes[0], values[0]
    while True:
        child = find_child(words, children[node], children[node + 1], word)
        if child >= 0:
            to = links[child] if child >= highest else child
            score = value + LN_10 * log_probs[child]
            best = max(best, score)
            passed, longer = NEG_INF, np.int64(to)
            if count > 0:
                passed, longer = out_values[count - 1], out_nodes[count - 1]
                while longer != to:
                    passed += LN_10 * backoffs[longer]
                    longer = links[longer]
            if count > 0 and out_nodes[count - 1] == to:
                out_values[count - 1] = max(passed, score)
            elif score > passed + GRID:
                out_nodes[count], out_values[count] = to, score
                count += 1
        if node == 0:
            break
        value += LN_10 * backoffs[node]
        node = links[node]
        if read < size and nodes[read] == node:
            value = max(value, values[read])
            read += 1
    first = out_values[0] if count else NEG_INF
    for i in range(count):
        out_values[i] -= first
    return count, first, best


@kernel
def _mix(old, new):
    """A hash of two numbers."""
    key = np.uint64(old) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(new) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    return np.int64((key * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(2))


@kernel
def _doubled(values):
    out = np.zeros((2 * len(values), *values.shape[1:]), values.dtype)
    out[: len(values)] = values
    return out


@kernel
def _place_of(sets, nodes, grid, size):
    """Where a set stands in the table of hashes, or would."""
    all_nodes, all_values, sizes, table, _ = sets
    key = np.int64(size)
    for i in range(size):
        key = _mix(_mix(key, nodes[i]), grid[i])
    place = key & np.int64(len(table) - 1)
    while table[place] >= 0:
        found = table[place]
        same = sizes[found] == size and (all_nodes[found, :size] == nodes[:size]).all()
        if same and (all_values[found, :size] == grid[:size]).all():
            break
        place = (place + 1) & np.int64(len(table) - 1)
    return place


@kernel
def _with_room(sets):
    """The sets with room for as many more."""
    all_nodes, all_values, sizes, table, count = sets
    table = np.full(2 * len(table), -1, np.int64)
    sets = (_doubled(all_nodes), _doubled(all_values), _doubled(sizes), table, count)
    for each in range(count):
        table[_place_of(sets, all_nodes[each], all_values[each], sizes[each])] = each
    return sets


@kernel
def _interned(sets, nodes, values, size):
    """Returns the sets of histories, and the number of one among them.

    Sets: nodes int64 [set][history], scores on the grid int64 [set][history], how many of each, a table of hashes, and
    the number of sets.
    """
    grid = np.empty(size, np.int64)
    for i in range(size):
        grid[i] = np.int64(np.rint(values[i] / GRID))
    place = _place_of(sets, nodes, grid, size)
    if sets[3][place] >= 0:
        return sets, np.int64(sets[3][place])
    if sets[4] == len(sets[2]):
        sets = _with_room(sets)
        place = _place_of(sets, nodes, grid, size)
    all_nodes, all_values, sizes, table, count = sets
    all_nodes[count, :size], all_values[count, :size], sizes[count], table[place] = nodes[:size], grid, size, count
    return (all_nodes, all_values, sizes, table, count + 1), np.int64(count)


@kernel
def _find(table, places, state, past, now):
    """The place of a state of the result in the table of hashes: it stands there, or the place is free."""
    mask = np.int64(len(table) - 1)
    place = _mix(_mix(state, past), now) & mask
    while table[place] >= 0:
        other = places[table[place]]
        if other[0] == state and other[1] == past and other[2] == now:
            break
        place = (place + 1) & mask
    return place


@kernel
def _table(places, count, size):
    """The table of hashes of all states of the result."""
    table = np.full(size, -1, np.int64)
    for c in range(count):
        table[_find(table, places, places[c, 0], places[c, 1], places[c, 2])] = c
    return table


@kernel
def _gain(taken, old, new, share):
    """What a word's score rises by: the log of the mixed probability for what is taken out."""
    if share == 1.0:
        return new - taken
    return old + np.log((1.0 - share) + share * np.exp(new - old)) - taken


@kernel
def _score(model, node, word):
    children, words, log_probs, backoffs, links, highest, _ = model
    score, following = score_word(node, word, children, words, log_probs, backoffs, links, highest)
    return LN_10 * score, np.int64(following)


@kernel
def _read(sets, past, old, old_word, has_old, of_graph, now, new, new_word, has_new, share, nodes, values):
    """Reads a word from a set of old histories and a new one; returns the sets, what follows, and the gain."""
    taken = exact = into = 0.0
    if has_old:
        exact, following = _score(old, sets[0][past, 0], old_word)
        taken, size, nodes[0], values[0] = exact, 1, following, 0.0
        if of_graph:
            size, taken, best = _advance(
                old, sets[0][past], sets[1][past] * GRID, sets[2][past], old_word, nodes, values
            )
            if old_word == EOS:
                taken = best
        if old_word != EOS:
            sets, past = _interned(sets, nodes, values, size)
    if has_new:
        into, now = _score(new, now, new_word)
    return sets, past, now, _gain(taken, exact, into, share)


@kernel
def compose_histories(
    rows, nexts, words, final, old, old_ids, has_old, of_graph, new, new_ids, has_new, share, width
):  # fmt: skip
    """Composes; states of the result lie in chains by the state of the lattice.

    Args:
      rows, nexts, words: of a top-sorted lattice from state 0. final: bool [S].
      old, new: arrays of a `BackoffAutomaton` and its start; `*_ids`: its words by those of the lattice.
      of_graph: what is taken out is the best way through G, not the probability.
      width: more than the order of `old`.

    Returns:
      int64 [A][3] source, next state and the lattice's arc, and float64 the gain of every arc; int64 the lattice's
      state, and float64 the gain at its end, of every state.
    """
    places = np.zeros((1024, 3), np.int64)  # state of the lattice, set of old histories, new history
    before = np.full(1024, -1, np.int64)
    first = np.full(len(rows) - 1, -1, np.int64)  # the newest state of each lattice state; `before`: the one before it
    sets = (np.zeros((64, width), np.int64), np.zeros((64, width), np.int64), np.zeros(64, np.int64),
            np.full(256, -1, np.int64), 0)  # fmt: skip
    nodes, values = np.zeros(width, np.int64), np.zeros(width)
    nodes[0] = old[6]
    sets, start = _interned(sets, nodes, values, 1)
    places[0, 1], places[0, 2], first[0] = start, new[6], 0
    table = _table(places, 1, 4096)
    count, made = 1, 0
    ends, gains = np.zeros((4096, 3), np.int64), np.zeros(4096)
    for s in range(len(rows) - 1):
        here = first[s]
        while here >= 0:
            for a in range(rows[s], rows[s + 1]):
                past, now, gain = places[here, 1], places[here, 2], 0.0
                if words[a] != 0:
                    sets, past, now, gain = _read(
                        sets, past, old, old_ids[words[a]], has_old, of_graph, now, new, new_ids[words[a]], has_new,
                        share, nodes, values,
                    )  # fmt: skip
                place = _find(table, places, nexts[a], past, now)
                to = table[place]
                if to < 0:
                    if count == len(before):
                        places, before = _doubled(places), _doubled(before)
                    to = np.int64(count)
                    places[to, 0], places[to, 1], places[to, 2] = nexts[a], past, now
                    before[to], first[nexts[a]], table[place] = first[nexts[a]], to, to
                    count += 1
                    if 2 * count > len(table):
                        table = _table(places, count, 2 * len(table))
                if made == len(gains):
                    ends, gains = _doubled(ends), _doubled(gains)
                ends[made, 0], ends[made, 1], ends[made, 2], gains[made] = here, to, a, gain
                made += 1
            here = before[here]
    last = np.zeros(count)
    for c in range(count):
        if final[places[c, 0]]:
            sets, _, _, last[c] = _read(
                sets, places[c, 1], old, EOS, has_old, of_graph, places[c, 2], new, EOS, has_new, share, nodes, values
            )
    return ends[:made], gains[:made], places[:count, 0].copy(), last
