"""The loops of pruned determinisation; see `hybrid.lattice.determinize`.

A subset is a list of elements (state, graph score, acoustic score, string), sorted by state, each state once: the best
way to reach it with the words read so far. A task is a new state, a label by which it is left, and the subset that the
label leads to; closed, with all that is reached by arcs without a label, that is a new state. All arrays have a fixed
size, so that compiled loops need not count who holds them: where one is full, the work is begun again in larger ones.

Only labels are pruned, by the best of their elements, as Kaldi does it. Elements outside the beam stay in their subset:
without them, histories of different cost that lead to the same states would lead to different subsets, and the lattice
would have more states and fewer word sequences.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.heap import pop, push, sort
from hybrid.lattice.strings import FULL, agreement, depth, extended, is_less, new_tree, nodes_used, spell
from hybrid.lattice.subsets import equal_to, new_pool

__all__ = ["determinize_arcs"]

NEG_INF = -np.inf
LEAST = -1e300  # of a path, within any beam: an arc of score −inf is on none


@kernel
def _normalise(tree, pool, number, drop, scales):
    """Takes the best element's scores, and what its strings have in common, off the elements of a subset.

    Args:
      drop: how many symbols its strings drop already.

    Returns:
      The graph and the acoustic score taken off.
    """
    _, strings, graph, acoustic, begins, drops, _, _ = pool
    begin, end = begins[number], begins[number + 1]
    best, alike = begin, depth(tree, strings[begin])
    best_score = scales[0] * graph[begin] + scales[1] * acoustic[begin]
    for i in range(begin + 1, end):
        score = scales[0] * graph[i] + scales[1] * acoustic[i]
        if score > best_score or (score == best_score and graph[i] > graph[best]):
            best, best_score = i, score
        if alike > drop:
            alike = min(alike, agreement(tree, strings[begin], strings[i], drop))
    off_graph, off_acoustic = graph[best], acoustic[best]
    for i in range(begin, end):
        graph[i] -= off_graph
        acoustic[i] -= off_acoustic
    drops[number] = alike
    return off_graph, off_acoustic


@kernel
def _room(num_states, num_arcs):
    """Returns what `_close` and `_moves` work in.

    Of each state the closure that saw it last, its scores, the state and arc that it was reached by, its string (FULL:
    not made yet); a heap of states, states on a way; of each labelled arc a key, itself, an element; an order.
    """
    return (
        np.full(num_states, -1, np.int64), np.empty(num_states), np.empty(num_states), np.empty(num_states, np.int32),
        np.empty(num_states, np.int32), np.empty(num_states, np.int32), np.empty(num_states, np.int32),
        np.empty(num_states, np.int32), np.empty(num_arcs, np.int64), np.empty(num_arcs, np.int32),
        np.empty(num_arcs, np.int64), np.empty(num_arcs, np.int64),
    )  # fmt: skip


@kernel
def _string(tree, string_splits, symbols, came_from, came_by, at_string, way, state):
    """Returns the string of the way to a state, FULL without room; makes those on it that are not made yet."""
    count = 0
    while at_string[state] < 0:
        way[count] = state
        count += 1
        state = came_from[state]
    string = at_string[state]
    while count and string >= 0:
        count -= 1
        a = came_by[way[count]]
        string = extended(tree, string, symbols, string_splits[a], string_splits[a + 1])
        at_string[way[count]] = string
    return string


@kernel
def _close(tree, arcs, tasks, task, closed, number, scales, beta, room):
    """Follows arcs without a label from a task's elements; keeps the best way to each state that leads to an end.

    What ends or has labelled arcs becomes subset `number` of `closed`, which may be empty.

    Returns:
      Whether there was room.
    """
    splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, useful = arcs
    seen, at_graph, at_acoustic, came_from, came_by, at_string, heap, way, _, _, _, _ = room
    states, strings, graph, acoustic, begins, drops, _, _ = tasks
    out_states, out_strings, out_graph, out_acoustic, out_begins, _, _, _ = closed
    drop, size, kept = drops[task], 0, out_begins[number]
    for i in range(begins[task], begins[task + 1]):
        state = states[i]
        heap[size], seen[state], at_string[state] = state, task, strings[i]
        at_graph[state], at_acoustic[state] = graph[i], acoustic[i]
        size += 1
    enough = True
    while size > 0 and enough:
        state = pop(heap, size, None)
        size -= 1
        if useful[state]:
            string = _string(tree, string_splits, symbols, came_from, came_by, at_string, way, state)
            enough = string >= 0 and kept < len(out_states)
            if enough:
                out_states[kept], out_strings[kept] = state, string
                out_graph[kept], out_acoustic[kept] = at_graph[state], at_acoustic[state]
                kept += 1
        for a in range(splits[state], splits[state + 1]):
            if labels[a] != 0:
                continue
            to = nexts[a]
            new_graph, new_acoustic = at_graph[state] + arc_graph[a], at_acoustic[state] + arc_acoustic[a]
            score = scales[0] * new_graph + scales[1] * new_acoustic
            if not score + beta[to] > NEG_INF:
                continue
            if seen[to] != task:
                seen[to] = task
                push(heap, size, None, to)
                size += 1
            else:
                old = scales[0] * at_graph[to] + scales[1] * at_acoustic[to]
                if score < old or (score == old and new_graph < at_graph[to]):
                    continue
                if score == old and new_graph == at_graph[to]:
                    old_string = _string(tree, string_splits, symbols, came_from, came_by, at_string, way, to)
                    string = _string(tree, string_splits, symbols, came_from, came_by, at_string, way, state)
                    string = extended(tree, string, symbols, string_splits[a], string_splits[a + 1])
                    enough = enough and old_string >= 0 and string >= 0
                    if not enough or not is_less(tree, string, old_string, drop):
                        continue
            at_graph[to], at_acoustic[to] = new_graph, new_acoustic
            came_from[to], came_by[to], at_string[to] = state, a, FULL
    out_begins[number + 1] = kept
    return enough


@kernel
def _moves(arcs, closed, number, beta, room):
    """Lists the labelled arcs of a new state's elements that lead to an end, by label and next state.

    Returns:
      Their number; they stand in `room`.
    """
    splits, nexts, labels, _, _, _, _, _ = arcs
    states, _, _, _, begins, _, _, _ = closed
    _, _, _, _, _, _, _, _, key, arc, element, order = room
    num_states, count = len(splits) - 1, 0
    for i in range(begins[number], begins[number + 1]):
        for a in range(splits[states[i]], splits[states[i] + 1]):
            if labels[a] != 0 and beta[nexts[a]] > NEG_INF:
                key[count] = np.int64(labels[a]) * num_states + nexts[a]
                arc[count], element[count] = a, i
                count += 1
    sort(key, order, count)
    return count


@kernel
def _one_label(tree, arcs, closed, drop, tasks, at, scales, beta, room, k, moves):
    """Puts the elements that the moves from number `k` on lead to, those of one label, into a task's pool at `at`.

    Returns:
      The number of the first move of another label, FULL where there was no room; where the elements end; and the best
      score to the end among them.
    """
    _, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, _ = arcs
    states, strings, graph, acoustic, _, _, _, _ = tasks
    _, from_strings, from_graph, from_acoustic, _, _, _, _ = closed
    _, _, _, _, _, _, _, _, _, move_arc, move_from, order = room
    label, best, first = labels[move_arc[order[k]]], NEG_INF, at
    while 0 <= k < moves and labels[move_arc[order[k]]] == label:
        a, i = move_arc[order[k]], move_from[order[k]]
        k += 1
        new_graph, new_acoustic = from_graph[i] + arc_graph[a], from_acoustic[i] + arc_acoustic[a]
        score = scales[0] * new_graph + scales[1] * new_acoustic
        met = at > first and states[at - 1] == nexts[a]
        old = scales[0] * graph[at - 1] + scales[1] * acoustic[at - 1] if met else NEG_INF
        if score < old or (met and score == old and new_graph < graph[at - 1]):
            continue
        string = extended(tree, from_strings[i], symbols, string_splits[a], string_splits[a + 1])
        if string < 0 or at == len(states):
            k = FULL
            continue
        if met:
            at -= 1
            if score == old and new_graph == graph[at] and not is_less(tree, string, strings[at], drop):
                at += 1
                continue
        states[at], strings[at], graph[at], acoustic[at] = nexts[a], string, new_graph, new_acoustic
        best = max(best, score + beta[nexts[a]])
        at += 1
    return k, at, best


@kernel
def _ends(tree, closed, count, finals, forward, scales, least_total):
    """Returns the final weight of each new state, as `determinize_arcs` does, and whether there was room."""
    final_graph, final_acoustic, final_splits, final_symbols = finals
    states, strings, graph, acoustic, begins, drops = closed[:6]
    end_graph, end_acoustic = np.full(count, NEG_INF), np.full(count, NEG_INF)
    end_string, end_splits = np.empty(count, np.int32), np.zeros(count + 1, np.int64)
    for number in range(count):
        best_score, best = NEG_INF, np.int32(FULL)
        for k in range(begins[number], begins[number + 1]):
            s = states[k]
            if final_graph[s] == NEG_INF:
                continue
            new_graph, new_acoustic = graph[k] + final_graph[s], acoustic[k] + final_acoustic[s]
            score = scales[0] * new_graph + scales[1] * new_acoustic
            string = extended(tree, strings[k], final_symbols, final_splits[s], final_splits[s + 1])
            if string < 0:
                return end_graph, end_acoustic, end_splits, end_string, False
            tied = best >= 0 and score == best_score
            if tied and new_graph == end_graph[number]:
                better = is_less(tree, string, best, drops[number])
            else:
                better = best < 0 or score > best_score or (tied and new_graph > end_graph[number])
            if better:
                best_score, best, end_graph[number], end_acoustic[number] = score, string, new_graph, new_acoustic
        kept = best >= 0 and forward[number] + best_score >= least_total
        end_splits[number + 1] = end_splits[number]
        if kept:
            end_string[number] = best
            end_splits[number + 1] += depth(tree, best) - drops[number]
        else:
            end_graph[number], end_acoustic[number] = NEG_INF, NEG_INF
    end_symbols = np.empty(end_splits[count], np.int32)
    for number in range(count):
        if end_graph[number] > NEG_INF:
            string = end_string[number]
            spell(tree, string, drops[number], depth(tree, string), end_symbols, end_splits[number])
    return end_graph, end_acoustic, end_splits, end_symbols, True


@kernel
def _found(tree, tasks, closed, task_from, task_label, entry, led_to, led_string, led_drop, scores, made):
    """Returns the arcs of the tasks in `made`, as `determinize_arcs` does.

    Args:
      entry: of each task the first with an equal subset. led_to, led_string: its new state, and a string of that before
        what `led_drop` counts was taken off. scores: graph and acoustic, of each task.
    """
    count = len(made)
    sources, nexts, labels = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
    graph, acoustic, splits = np.empty(count), np.empty(count), np.zeros(count + 1, np.int64)
    for k in range(count):
        task = made[k]
        led = entry[task]
        sources[k], nexts[k], labels[k] = task_from[task], led_to[led], task_label[task]
        graph[k], acoustic[k] = scores[task, 0], scores[task, 1]
        length = tasks[5][task] - closed[5][task_from[task]] + led_drop[led] - tasks[5][led]
        splits[k + 1] = splits[k] + length
    symbols = np.empty(splits[count], np.int32)
    for k in range(count):
        task = made[k]
        led = entry[task]
        begin, end = closed[5][task_from[task]], tasks[5][task]
        at = spell(tree, tasks[1][tasks[4][task]], begin, end, symbols, splits[k])
        spell(tree, led_string[led], tasks[5][led], led_drop[led], symbols, at)
    return sources, nexts, labels, graph, acoustic, splits, symbols


@kernel
def determinize_arcs(
    splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, finals, beta, scales, beam, max_elements,
    elements, nodes,
):  # fmt: skip
    """Determinises; see `hybrid.lattice.determinize.determinize`.

    Args:
      splits … symbols: the arcs, those of state s at splits[s] … splits[s + 1], top-sorted, each with a string.
      finals: (graph float64 [S], acoustic float64 [S], string splits, symbols); −inf where a state is not final.
      beta: float64 [S], the best scaled score from each state to the end.
      scales: float64 [2], of the graph and the acoustic scores.
      max_elements: of all subsets together, and of the nodes of their strings.
      elements, nodes: what there is room for, of either kind of subsets and of strings.

    Returns:
      Arcs (from, to, label, graph, acoustic, string splits, symbols), finals (graph, acoustic, string splits,
      symbols), the beam within which the result is complete, and whether there was room; without it the others say
      nothing.
    """
    num_states = len(splits) - 1
    useful = finals[0] > NEG_INF
    for s in range(num_states):
        for a in range(splits[s], splits[s + 1]):
            useful[s] = useful[s] or labels[a] != 0
    arcs = (splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, useful)
    least_total = max(beta[0] - beam - 1e-9 * abs(beta[0]), LEAST)
    tree, tasks, closed = new_tree(nodes), new_pool(elements), new_pool(elements)
    task_states, task_strings, task_graph, task_acoustic, task_begins, task_drops, _, _ = tasks
    _, new_strings, _, _, new_begins, new_drops, _, _ = closed
    room = _room(num_states, len(nexts))
    _, _, _, _, _, _, _, _, _, move_arc, _, order = room
    # of each task: where it begins, its rank, the first with an equal subset, scores taken off; of such first ones: the
    # new state, and what closure took off; of each new state the scaled score of the best way to it
    task_from, task_label, rank = np.empty(elements, np.int32), np.empty(elements, np.int32), np.empty(elements)
    entry, scores = np.empty(elements, np.int64), np.empty((elements, 2))
    led_to, led_string = np.empty(elements, np.int32), np.empty(elements, np.int32)
    led_drop, led_scores, forward = np.empty(elements, np.int32), np.empty((elements, 2)), np.empty(elements)
    heap, made = np.empty(elements, np.int32), np.empty(elements, np.int32)
    task_states[0], task_strings[0], task_graph[0], task_acoustic[0] = 0, 0, 0.0, 0.0
    task_begins[1], task_drops[0], task_from[0], task_label[0], rank[0] = 1, 0, -1, 0, -beta[0]
    push(heap, 0, rank, 0)
    waiting, num_tasks, num_closed, num_made, reached, enough = 1, 1, 0, 0, beam, True
    while waiting and enough:
        task = np.int64(pop(heap, waiting, rank))
        waiting -= 1
        if max(task_begins[num_tasks] + new_begins[num_closed], nodes_used(tree)) > max_elements and num_made > 0:
            reached = min(reached, beta[0] + rank[task])
            break
        source = np.int64(task_from[task])
        before, off_graph, off_acoustic = 0.0, 0.0, 0.0
        if source >= 0:
            before = forward[source]
            off_graph, off_acoustic = _normalise(tree, tasks, task, new_drops[source], scales)
        led = equal_to(tasks, tree, task)
        entry[task] = led
        fresh = False
        if led == task:
            enough = _close(tree, arcs, tasks, task, closed, num_closed, scales, beta, room)
            if not enough:
                break
            led_to[led] = -1
            if new_begins[num_closed + 1] > new_begins[num_closed]:
                drop = task_drops[task]
                new_drops[num_closed], led_scores[led] = drop, 0.0
                led_string[led] = new_strings[new_begins[num_closed]]
                if source >= 0:
                    led_scores[led, 0], led_scores[led, 1] = _normalise(tree, closed, num_closed, drop, scales)
                led_drop[led] = new_drops[num_closed]
                number = equal_to(closed, tree, num_closed)
                led_to[led], fresh = number, number == num_closed
        if led_to[led] < 0:
            continue
        off_graph += led_scores[led, 0]
        off_acoustic += led_scores[led, 1]
        if source >= 0:
            scores[task, 0], scores[task, 1], made[num_made] = off_graph, off_acoustic, task
            num_made += 1
        if not fresh:
            continue
        new = num_closed
        num_closed += 1
        forward[new] = before + scales[0] * off_graph + scales[1] * off_acoustic
        moves, k = _moves(arcs, closed, new, beta, room), 0
        while k < moves and enough:
            label, at = labels[move_arc[order[k]]], task_begins[num_tasks]
            enough = num_tasks < elements
            if enough:
                k, at, best = _one_label(tree, arcs, closed, new_drops[new], tasks, at, scales, beta, room, k, moves)
                enough = k >= 0
            if enough and forward[new] + best >= least_total:
                task_from[num_tasks], task_label[num_tasks], task_begins[num_tasks + 1] = new, label, at
                rank[num_tasks] = -(forward[new] + best)
                push(heap, waiting, rank, num_tasks)
                waiting += 1
                num_tasks += 1
    end_graph, end_acoustic, end_splits, end_symbols, spelt = _ends(
        tree, closed, num_closed, finals, forward, scales, least_total
    )
    found = _found(
        tree, tasks, closed, task_from, task_label, entry, led_to, led_string, led_drop, scores, made[:num_made]
    )
    return found, (end_graph, end_acoustic, end_splits, end_symbols), reached, enough and spelt
