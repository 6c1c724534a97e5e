"""Loops of determinisation, compiled by numba.

A set of one input state needs no name but the state's: it lags behind nothing. Larger sets are found by a hash of their
states and strings, which are nodes of a tree (`string_tree`).
Arrays have room for more than is in them (`counts`); a state of the result is only begun where all that it can add
fits, so that the caller can make room and go on.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.fst.det_star_tables import (
    ARCS,
    BEGIN,
    DONE,
    ELEMENTS,
    FOLLOWING,
    HASH,
    MEMBERS,
    OF,
    ROOM,
    SETS,
    STACK,
    STATES,
    STRINGS,
    TOO_MANY,
    TWO_OUTPUTS,
    WANTED,
    WAYS,
)
from hybrid.fst.string_tree import append, common_prefix, without_prefix

__all__ = ["determinize", "list_sets"]

_FEW = 24  # ways that are sorted by insertion
_LOW = np.int64(0xFFFFFFFF)
_ODD = np.uint64(0x9E3779B97F4A7C15)


@kernel
def plus(a, b):
    """Adds two costs as probabilities, in single precision as OpenFst does."""
    if a == np.inf:
        return b
    if b == np.inf:
        return a
    if a > b:
        return np.float32(b - np.log1p(np.exp(-np.float64(a - b))))
    return np.float32(a - np.log1p(np.exp(-np.float64(b - a))))


@kernel
def near(a, b, delta):
    """Whether two costs differ by no more than `delta`."""
    return a <= b + delta and b <= a + delta


@kernel
def list_sets(sets, number):
    """Puts all sets into an empty table."""
    for s in range(number):
        slot = sets.rows[s, HASH] & (len(sets.heads) - 1)
        sets.rows[s, FOLLOWING], sets.heads[slot] = sets.heads[slot], s


@kernel
def _find_set(heads, rows, elements, weights, number, begin, end, delta):
    """Returns the number of the set elements[begin:end], which is entered into the table as `number` if it is new."""
    value = np.uint64(end - begin)
    for k in range(begin, end):
        value = (value ^ np.uint64(elements[k])) * _ODD
        value ^= value >> np.uint64(32)
    name = np.int64((value * _ODD) >> np.uint64(1)) ^ np.int64(value >> np.uint64(8))
    slot = name & (len(heads) - 1)
    known = np.int64(heads[slot])
    while known >= 0:
        if rows[known, HASH] == name:
            before = rows[known, BEGIN] - begin
            k = begin if rows[known + 1, BEGIN] - before == end else end + 1
            while k < end and elements[before + k] == elements[k] and near(weights[before + k], weights[k], delta):
                k += 1
            if k == end:
                return known
        known = rows[known, FOLLOWING]
    rows[number, HASH], rows[number, FOLLOWING], heads[slot] = name, heads[slot], number
    rows[number + 1, BEGIN] = end
    return number


@kernel
def _open(fst, sets, work, state, counts):
    """Copies the set of a state of the result into `work`; returns whether one of its members has silent arcs."""
    lone, silent, states, strings, weights = sets.member[state], fst.silent, work.states, work.strings, work.weights
    if lone >= 0:
        states[0], strings[0], weights[0] = lone, 0, 0.0
        counts[MEMBERS] = 1
        return silent[lone]
    rows, elements, lags = sets.rows, sets.elements, sets.weights
    begin, end = rows[-1 - lone, BEGIN], rows[-lone, BEGIN]
    any_silent = False
    for k in range(end - begin):
        states[k], strings[k] = elements[begin + k] >> 32, elements[begin + k] & _LOW
        weights[k] = lags[begin + k]
        any_silent |= silent[states[k]]
    counts[MEMBERS] = end - begin
    return any_silent


@kernel
def _close(fst, strings, work, counts, limit, delta):
    """Follows silent arcs from the members of `work`, which is then sorted by state; returns a status.

    A weight is sent on when it changes what a member has by more than `delta`; loops end as their sums converge.
    """
    size = counts[MEMBERS]
    for k in range(size):
        work.place[work.states[k]] = k
        work.fresh[k], work.weights[k] = work.weights[k], np.inf
        work.queue[k], work.queued[k] = k, True
    head, waiting, steps, status = 0, size, 0, DONE
    while waiting and status == DONE:
        here = work.queue[head]
        head, waiting, steps = (head + 1) % len(work.queue), waiting - 1, steps + 1
        if steps > limit:
            status = TOO_MANY
        sent, work.queued[here] = work.fresh[here], False
        work.weights[here], work.fresh[here] = plus(work.weights[here], sent), np.inf
        for arc in range(fst.splits[work.states[here]], fst.splits[work.states[here] + 1]):
            if fst.ilabels[arc] != 0 or fst.costs[arc] == np.inf:
                continue
            if size == len(work.states) or counts[STRINGS] == len(strings.parents):
                counts[WANTED + WAYS], counts[WANTED + STRINGS] = size + 1, counts[STRINGS] + 1
                status = ROOM
                break
            string = work.strings[here]
            if fst.olabels[arc] != 0:
                string, counts[STRINGS] = append(strings, counts[STRINGS], string, fst.olabels[arc])
            to = work.place[fst.next_states[arc]]
            if to < 0:
                to = size
                size += 1
                work.place[fst.next_states[arc]], work.states[to], work.strings[to] = to, fst.next_states[arc], string
                work.weights[to], work.fresh[to], work.queued[to] = np.inf, np.inf, False
            elif work.strings[to] != string:
                status = TWO_OUTPUTS
                break
            work.fresh[to] = plus(work.fresh[to], sent + fst.costs[arc])
            if not work.queued[to] and not near(plus(work.weights[to], work.fresh[to]), work.weights[to], delta):
                work.queue[(head + waiting) % len(work.queue)], work.queued[to] = to, True
                waiting += 1
    for k in range(size):
        work.place[work.states[k]] = -1
        work.weights[k] = plus(work.weights[k], work.fresh[k])
    counts[MEMBERS] = size
    if status == ROOM:
        return status
    _sort_members(work, size)
    return status


@kernel
def _sort_members(work, size):
    order = np.argsort(work.states[:size], kind="mergesort")
    work.states[:size] = work.states[:size][order]
    work.strings[:size] = work.strings[:size][order]
    work.weights[:size] = work.weights[:size][order]


@kernel
def _lacks_room(fst, sets, made, strings, work, counts):
    """Whether there is no room for all that the members of `work` can add to the result."""
    ways, depth = 0, 0
    splits, depths, states, members = fst.splits, strings.depths, work.states, work.strings
    for k in range(counts[MEMBERS]):
        ways += splits[states[k] + 1] - splits[states[k]]
        depth = max(depth, depths[members[k]])
    counts[WANTED + STATES], counts[WANTED + SETS] = counts[STATES] + ways, counts[SETS] + ways
    counts[WANTED + ELEMENTS], counts[WANTED + ARCS] = counts[ELEMENTS] + 2 * ways, counts[ARCS] + ways
    counts[WANTED + STRINGS], counts[WANTED + WAYS] = counts[STRINGS] + ways * (depth + 2), ways
    return (
        counts[WANTED + STATES] > len(sets.member)
        or counts[WANTED + SETS] >= len(sets.rows)
        or counts[WANTED + ELEMENTS] > len(sets.elements)
        or counts[WANTED + ARCS] > len(made.ilabels)
        or counts[WANTED + STRINGS] > len(depths)
        or ways > len(work.keys)
    )


@kernel
def _end(fst, made, work, counts, state):
    """Writes the final weight and string of a state; returns whether its members agree on the string."""
    cost, string = np.float32(np.inf), np.int32(0)
    finals, states = fst.finals, work.states
    for k in range(counts[MEMBERS]):
        final = finals[states[k]]
        if final == np.inf:
            continue
        if cost == np.inf:
            cost, string = work.weights[k] + final, work.strings[k]
        elif string != work.strings[k]:
            return False
        else:
            cost = plus(cost, work.weights[k] + final)
    made.final_costs[state], made.final_strings[state] = cost, string
    return True


@kernel
def _list_ways(fst, strings, work, counts):
    """Lists the ways out of the members of `work`, in the order of their labels and targets; returns how many."""
    splits, ilabels, olabels, next_states, costs = fst.splits, fst.ilabels, fst.olabels, fst.next_states, fst.costs
    keys, order, way_strings, way_weights = work.keys, work.order, work.way_strings, work.way_weights
    count = 0
    for k in range(counts[MEMBERS]):
        member, written, weight = work.states[k], work.strings[k], work.weights[k]
        for arc in range(splits[member], splits[member + 1]):
            if ilabels[arc] == 0 or costs[arc] == np.inf:
                continue
            key = np.int64(ilabels[arc]) << 32 | next_states[arc]
            keys[count], way_weights[count] = key, weight + costs[arc]
            if olabels[arc] == 0:
                way_strings[count] = written
            elif written == 0:
                way_strings[count] = olabels[arc]
            else:
                way_strings[count], counts[STRINGS] = append(strings, counts[STRINGS], written, olabels[arc])
            if count < _FEW:
                at = count
                while at > 0 and keys[order[at - 1]] > key:
                    order[at] = order[at - 1]
                    at -= 1
                order[at] = count
            count += 1
    if count > _FEW:
        order[:count] = np.argsort(keys[:count], kind="mergesort")
    return count


@kernel
def _lead(sets, made, strings, work, counts, ways, delta):
    """Makes an arc of the ways with each label; returns whether they are functional."""
    keys, order, way_strings, way_weights = work.keys, work.order, work.way_strings, work.way_weights
    single, member, heads, rows, elements, weights = sets
    ilabels, arc_strings, targets, costs = made.ilabels, made.strings, made.targets, made.costs
    arc, states, begin, k = counts[ARCS], counts[STATES], counts[ELEMENTS], 0
    while k < ways:
        ilabels[arc], at = keys[order[k]] >> 32, begin - 1
        while k < ways and keys[order[k]] >> 32 == ilabels[arc]:
            way = order[k]
            element = (keys[way] & _LOW) << 32 | way_strings[way]
            if at < begin or elements[at] >> 32 != element >> 32:
                at += 1
                elements[at], weights[at] = element, way_weights[way]
            elif elements[at] != element:
                return False
            else:
                weights[at] = plus(weights[at], way_weights[way])
            k += 1
        if at == begin:
            lone = elements[at] >> 32
            arc_strings[arc], costs[arc] = elements[at] & _LOW, weights[at]
            targets[arc] = states if single[lone] < 0 else single[lone]
            if targets[arc] == states:
                single[lone], member[states] = states, lone
        else:
            arc_strings[arc], costs[arc] = _divide(elements, weights, strings, counts, begin, at + 1)
            number = _find_set(heads, rows, elements, weights, counts[SETS], begin, at + 1, delta)
            if number == counts[SETS]:
                rows[number, OF], member[states] = states, -1 - number
                counts[SETS], begin = number + 1, at + 1
            targets[arc] = rows[number, OF]
        if targets[arc] == states:
            made.stack[counts[STACK]] = states
            counts[STACK] += 1
            states += 1
        arc += 1
    counts[ARCS], counts[STATES], counts[ELEMENTS] = arc, states, begin
    return True


@kernel
def _divide(elements, weights, strings, counts, begin, end):
    """Takes off what elements have in common, in place; returns the string and the weight that it is."""
    common, total = np.int32(elements[begin] & _LOW), weights[begin]
    for k in range(begin + 1, end):
        if common != 0:
            common = common_prefix(strings, common, np.int32(elements[k] & _LOW))
        total = plus(total, weights[k])
    for k in range(begin, end):
        weights[k] -= total
        if common != 0:
            string, counts[STRINGS] = without_prefix(
                strings, counts[STRINGS], np.int32(elements[k] & _LOW), strings.depths[common]
            )
            elements[k] = (elements[k] & ~_LOW) | string
    return common, total


@kernel
def _only_ways(fst, sets, made, counts, limit):
    """Does states on the stack while they stand for one input state with one arc, which has no other arc beside it."""
    splits, silent, single, member = fst.splits, fst.silent, sets.single, sets.member
    il, ol, next_states, way_costs, finals = fst.ilabels, fst.olabels, fst.next_states, fst.costs, fst.finals
    stack, begins, degrees = made.stack, made.begins, made.degrees
    final_costs, final_strings = made.final_costs, made.final_strings
    ilabels, strings, targets, costs = made.ilabels, made.strings, made.targets, made.costs
    arc, states, height = counts[ARCS], counts[STATES], counts[STACK]
    while height > 0 and arc < len(ilabels) and states < min(len(member), limit):
        state = stack[height - 1]
        lone = member[state]
        if lone < 0 or silent[lone] or splits[lone + 1] - splits[lone] != 1 or way_costs[splits[lone]] == np.inf:
            break
        way = splits[lone]
        to = next_states[way]
        height -= 1
        if single[to] < 0:
            single[to], member[states], stack[height] = states, to, states
            states, height = states + 1, height + 1
        begins[state], degrees[state] = arc, 1
        final_costs[state], final_strings[state] = finals[lone], 0
        ilabels[arc], strings[arc], targets[arc], costs[arc] = il[way], ol[way], single[to], way_costs[way]
        arc += 1
    counts[ARCS], counts[STATES], counts[STACK] = arc, states, height


@kernel
def determinize(fst, sets, made, strings, work, counts, limit, delta):
    """Does the states on the stack, depth first, until none is left or it must stop; returns why."""
    while counts[STACK] > 0:
        state = made.stack[counts[STACK] - 1]
        if _open(fst, sets, work, state, counts):
            status = _close(fst, strings, work, counts, limit, delta)
            if status != DONE:
                return status
        if _lacks_room(fst, sets, made, strings, work, counts):
            return ROOM
        counts[STACK] -= 1
        if not _end(fst, made, work, counts, state):
            return TWO_OUTPUTS
        made.begins[state] = counts[ARCS]
        if not _lead(sets, made, strings, work, counts, _list_ways(fst, strings, work, counts), delta):
            return TWO_OUTPUTS
        made.degrees[state] = counts[ARCS] - made.begins[state]
        if counts[STATES] > limit:
            return TOO_MANY
        _only_ways(fst, sets, made, counts, limit)
    return DONE
