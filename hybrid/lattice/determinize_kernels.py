"""The loops of pruned determinisation; see `hybrid.lattice.determinize`.

A subset is a list of elements (state, graph score, acoustic score, string), sorted by state, each state once: the best
way to reach it with the words read so far. Pools hold the elements of all subsets one after the other.
"""

from __future__ import annotations

import heapq

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.strings import append, common_prefix, depth, empty_tree, grown_tree, is_full, spell, suffix
from hybrid.lattice.subsets import find, grown, new_pool

__all__ = ["determinize_arcs"]

NEG_INF = -np.inf


@kernel
def _better(score, graph, tree, string, old_score, old_graph, old_string):
    """Orders two ways to one state: score, then graph score, then the shorter or smaller string (as Kaldi orders)."""
    if score != old_score:
        return score > old_score
    if graph != old_graph:
        return graph > old_graph
    if string == old_string:
        return False
    if depth(tree, string) != depth(tree, old_string):
        return depth(tree, string) < depth(tree, old_string)
    a, b = spell(tree, string, 0), spell(tree, old_string, 0)
    for i in range(len(a)):
        if a[i] != b[i]:
            return a[i] < b[i]
    return False


@kernel
def _normalise(tree, states, graph, acoustic, strings, scales):
    """Takes the best element's scores and the common prefix off all elements; changes the arrays.

    Returns:
      The tree, the graph and the acoustic score taken off, and the node of the prefix.
    """
    best, prefix = 0, strings[0]
    best_score = scales[0] * graph[0] + scales[1] * acoustic[0]
    for i in range(1, len(states)):
        score = scales[0] * graph[i] + scales[1] * acoustic[i]
        if score > best_score or (score == best_score and graph[i] > graph[best]):
            best, best_score = i, score
        prefix = common_prefix(tree, prefix, strings[i])
    off_graph, off_acoustic, drop = graph[best], acoustic[best], depth(tree, prefix)
    for i in range(len(states)):
        graph[i] -= off_graph
        acoustic[i] -= off_acoustic
        if drop:
            if is_full(tree, depth(tree, strings[i])):
                tree = grown_tree(tree, depth(tree, strings[i]))
            strings[i] = suffix(tree, strings[i], drop)
    return tree, off_graph, off_acoustic, prefix


@kernel
def _close(tree, arcs, states, graph, acoustic, strings, scales, beta, least, seen, heap):
    """Follows arcs without a label; keeps the best way to each state and drops those below `least`.

    Args:
      least: what score + beta of a kept element must reach.
      seen: int64 [S], −1; scratch, restored.

    Returns:
      The tree and the elements, sorted by state, of states that end or have labelled arcs.
    """
    splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, useful = arcs
    at_state, at_graph = np.empty(16 + 2 * len(states), np.int32), np.empty(16 + 2 * len(states))
    at_acoustic, at_string = np.empty(16 + 2 * len(states)), np.empty(16 + 2 * len(states), np.int32)
    count = 0
    heap.clear()
    for i in range(len(states)):
        at_state[count], at_graph[count], at_acoustic[count], at_string[count] = (
            states[i], graph[i], acoustic[i], strings[i],
        )  # fmt: skip
        seen[states[i]] = count
        heapq.heappush(heap, np.int64(states[i]))
        count += 1
    order = np.empty(len(at_state), np.int64)
    done = 0
    while len(heap):
        state = heapq.heappop(heap)
        here = seen[state]
        if done == len(order):
            order = grown(order, 0)
        order[done] = here
        done += 1
        for a in range(splits[state], splits[state + 1]):
            if labels[a] != 0:
                continue
            to = nexts[a]
            new_graph, new_acoustic = at_graph[here] + arc_graph[a], at_acoustic[here] + arc_acoustic[a]
            score = scales[0] * new_graph + scales[1] * new_acoustic
            if not score + beta[to] >= least:
                continue
            there = seen[to]
            old = NEG_INF if there < 0 else scales[0] * at_graph[there] + scales[1] * at_acoustic[there]
            if score < old:
                continue
            string, more = at_string[here], string_splits[a + 1] - string_splits[a]
            if is_full(tree, more):
                tree = grown_tree(tree, more)
            for k in range(string_splits[a], string_splits[a + 1]):
                string = append(tree, string, symbols[k])
            if there < 0:
                if count == len(at_state):
                    at_state, at_graph = grown(at_state, 0), grown(at_graph, 0)
                    at_acoustic, at_string = grown(at_acoustic, 0), grown(at_string, 0)
                there = count
                at_state[there] = to
                seen[to] = there
                heapq.heappush(heap, np.int64(to))
                count += 1
            elif not _better(score, new_graph, tree, string, old, at_graph[there], at_string[there]):
                continue
            at_graph[there], at_acoustic[there], at_string[there] = new_graph, new_acoustic, string
    kept = 0
    for i in range(count):
        seen[at_state[i]] = -1
    for i in range(done):
        if useful[at_state[order[i]]]:
            order[kept] = order[i]
            kept += 1
    order = order[:kept]
    return tree, at_state[order], at_graph[order], at_acoustic[order], at_string[order]


@kernel
def _moves(arcs, states, graph, acoustic, scales, beta, least):
    """Lists the labelled arcs of a state's elements that may lead to `least`.

    Returns:
      int64, the order by label and next state, and of each its arc and its element.
    """
    splits, nexts, labels, arc_graph, arc_acoustic = arcs[0], arcs[1], arcs[2], arcs[3], arcs[4]
    num_states, total = len(splits) - 1, 0
    for i in range(len(states)):
        total += splits[states[i] + 1] - splits[states[i]]
    key, arc, element = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    count = 0
    for i in range(len(states)):
        for a in range(splits[states[i]], splits[states[i] + 1]):
            if labels[a] == 0:
                continue
            score = scales[0] * (graph[i] + arc_graph[a]) + scales[1] * (acoustic[i] + arc_acoustic[a])
            if score + beta[nexts[a]] >= least:
                key[count] = np.int64(labels[a]) * num_states + nexts[a]
                arc[count], element[count] = a, i
                count += 1
    return np.argsort(key[:count], kind="mergesort"), arc, element


@kernel
def _written(out, row, source, to, label, graph, acoustic):
    """Returns the arcs found with one more, at `row`, whose string is still to come."""
    sources, targets, labels, graphs, acoustics, splits, symbols = out
    if row == len(sources):
        sources, targets, labels = grown(sources, 0), grown(targets, 0), grown(labels, 0)
        graphs, acoustics, splits = grown(graphs, 0), grown(acoustics, 0), grown(splits, 2 * row + 1)
    sources[row], targets[row], labels[row], graphs[row], acoustics[row] = source, to, label, graph, acoustic
    return sources, targets, labels, graphs, acoustics, splits, symbols


@kernel
def _spelt(out, row, head, tail):
    """Returns the arcs found, with the string of arc `row`: head and tail."""
    sources, targets, labels, graphs, acoustics, splits, symbols = out
    at, middle = splits[row], splits[row] + len(head)
    end = middle + len(tail)
    if end > len(symbols):
        symbols = grown(symbols, end)
    symbols[at:middle], symbols[middle:end], splits[row + 1] = head, tail, end
    return sources, targets, labels, graphs, acoustics, splits, symbols


@kernel
def _ends(tree, closed, finals, forward, scales, least_total):
    """Returns the final weight of each new state, as `determinize_arcs` does: the best of its elements that end."""
    final_graph, final_acoustic, final_splits, final_symbols = finals
    count = closed[7]
    end_graph, end_acoustic = np.full(count, NEG_INF), np.full(count, NEG_INF)
    end_splits, end_symbols = np.zeros(count + 1, np.int64), np.empty(256, np.int32)
    for number in range(count):
        best_score, best_graph, best_acoustic, best_string = NEG_INF, NEG_INF, NEG_INF, np.int32(-1)
        for k in range(closed[4][number], closed[4][number + 1]):
            s = closed[0][k]
            if final_graph[s] == NEG_INF:
                continue
            new_graph, new_acoustic = closed[1][k] + final_graph[s], closed[2][k] + final_acoustic[s]
            score = scales[0] * new_graph + scales[1] * new_acoustic
            string, more = closed[3][k], final_splits[s + 1] - final_splits[s]
            if is_full(tree, more):
                tree = grown_tree(tree, more)
            for n in range(final_splits[s], final_splits[s + 1]):
                string = append(tree, string, final_symbols[n])
            if best_string < 0 or _better(score, new_graph, tree, string, best_score, best_graph, best_string):
                best_score, best_graph, best_acoustic, best_string = score, new_graph, new_acoustic, string
        end_splits[number + 1] = end_splits[number]
        if best_string >= 0 and forward[number] + best_score >= least_total:
            end_graph[number], end_acoustic[number] = best_graph, best_acoustic
            ids = spell(tree, best_string, 0)
            if end_splits[number] + len(ids) > len(end_symbols):
                end_symbols = grown(end_symbols, end_splits[number] + len(ids))
            end_symbols[end_splits[number] : end_splits[number] + len(ids)] = ids
            end_splits[number + 1] += len(ids)
    return end_graph, end_acoustic, end_splits, end_symbols[: end_splits[count]]


@kernel
def determinize_arcs(
    splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, finals, beta, scales, beam, max_elements,
):  # fmt: skip
    """Determinises; see `hybrid.lattice.determinize.determinize`.

    Args:
      splits … symbols: the arcs, those of state s at splits[s] … splits[s + 1], top-sorted, each with a string.
      finals: (graph float64 [S], acoustic float64 [S], string splits, symbols); −inf where a state is not final.
      beta: float64 [S], the best scaled score from each state to the end.
      scales: float64 [2], of the graph and the acoustic scores. max_elements: of all subsets together.

    Returns:
      Arcs (from, to, label, graph, acoustic, string splits, symbols), finals (graph, acoustic, string splits,
      symbols), and the beam within which the result is complete.
    """
    final_graph = finals[0]
    num_states = len(splits) - 1
    useful = np.zeros(num_states, np.bool_)
    for s in range(num_states):
        useful[s] = final_graph[s] > NEG_INF
        for a in range(splits[s], splits[s + 1]):
            useful[s] = useful[s] or labels[a] != 0
    arcs = (splits, nexts, labels, arc_graph, arc_acoustic, string_splits, symbols, useful)
    least_total = beta[0] - beam - 1e-9 * abs(beta[0])
    tree, seen = empty_tree(1024), np.full(num_states, -1, np.int64)
    heap = [np.int64(0)]
    first, closed = new_pool(), new_pool()
    # of each subset in `first` (before closure): its state, and what closure took off
    led_to, led_graph, led_acoustic = np.empty(256, np.int64), np.empty(256), np.empty(256)
    led_string = np.empty(256, np.int32)
    forward = np.empty(256)  # of each new state, in the scaled scores
    out = (
        np.empty(256, np.int32), np.empty(256, np.int32), np.empty(256, np.int32), np.empty(256), np.empty(256),
        np.zeros(257, np.int64), np.empty(4096, np.int32),
    )  # fmt: skip
    num_arcs = 0
    # tasks wait in pools of their own: the new state and label that they leave by, their elements before closure
    task_from, task_label, task_begin = np.empty(256, np.int64), np.empty(256, np.int32), np.zeros(257, np.int64)
    task_state, task_graph = np.empty(1024, np.int32), np.empty(1024)
    task_acoustic, task_string = np.empty(1024), np.empty(1024, np.int32)
    task_state[0], task_graph[0], task_acoustic[0], task_string[0] = 0, 0.0, 0.0, 0
    task_from[0], task_label[0], task_begin[1] = -1, 0, 1
    num_tasks = 1
    queue = [(-beta[0], np.int64(0))]
    reached = beam
    while len(queue):
        cost, task = heapq.heappop(queue)
        if first[4][first[7]] + closed[4][closed[7]] + task_begin[num_tasks] > max_elements and num_arcs > 0:
            reached = min(reached, beta[0] + cost)
            break
        begin, end = task_begin[task], task_begin[task + 1]
        states, strings = task_state[begin:end].copy(), task_string[begin:end].copy()
        graph, acoustic = task_graph[begin:end].copy(), task_acoustic[begin:end].copy()
        source = task_from[task]
        before = 0.0 if source < 0 else forward[source]
        off_graph, off_acoustic, prefix = 0.0, 0.0, np.int32(0)
        if source >= 0:
            tree, off_graph, off_acoustic, prefix = _normalise(tree, states, graph, acoustic, strings, scales)
        first, entry, is_new = find(first, states, graph, acoustic, strings)
        fresh = np.int64(-1)
        if is_new:
            if entry == len(led_to):
                led_to, led_graph = grown(led_to, 0), grown(led_graph, 0)
                led_acoustic, led_string = grown(led_acoustic, 0), grown(led_string, 0)
            least = least_total - before - scales[0] * off_graph - scales[1] * off_acoustic
            tree, states, graph, acoustic, strings = _close(
                tree, arcs, states, graph, acoustic, strings, scales, beta, least, seen, heap
            )
            if len(states) == 0:
                led_to[entry] = -1
            else:
                more_graph, more_acoustic, more = 0.0, 0.0, np.int32(0)
                if source >= 0:
                    tree, more_graph, more_acoustic, more = _normalise(tree, states, graph, acoustic, strings, scales)
                closed, number, created = find(closed, states, graph, acoustic, strings)
                led_to[entry], led_graph[entry], led_acoustic[entry] = number, more_graph, more_acoustic
                led_string[entry] = more
                if created:
                    fresh = number
        to = led_to[entry]
        if to < 0:
            continue
        off_graph += led_graph[entry]
        off_acoustic += led_acoustic[entry]
        if source >= 0:
            out = _written(out, num_arcs, source, to, task_label[task], off_graph, off_acoustic)
            out = _spelt(out, num_arcs, spell(tree, prefix, 0), spell(tree, led_string[entry], 0))
            num_arcs += 1
        if fresh < 0:
            continue
        if fresh >= len(forward):
            forward = grown(forward, 0)
        forward[fresh] = before + scales[0] * off_graph + scales[1] * off_acoustic
        order, move_arc, move_from = _moves(arcs, states, graph, acoustic, scales, beta, least_total - forward[fresh])
        moves = len(order)
        k = 0
        while k < moves:
            label = labels[move_arc[order[k]]]
            at = task_begin[num_tasks]
            if num_tasks == len(task_from):
                task_from, task_label = grown(task_from, 0), grown(task_label, 0)
                task_begin = grown(task_begin, 2 * num_tasks + 1)
            best = NEG_INF
            size = 0
            while k < moves and labels[move_arc[order[k]]] == label:
                a, i = move_arc[order[k]], move_from[order[k]]
                k += 1
                new_graph, new_acoustic = graph[i] + arc_graph[a], acoustic[i] + arc_acoustic[a]
                score = scales[0] * new_graph + scales[1] * new_acoustic
                last = at + size - 1
                met = size > 0 and task_state[last] == nexts[a]
                old = scales[0] * task_graph[last] + scales[1] * task_acoustic[last] if met else NEG_INF
                if score < old:
                    continue
                string, more = strings[i], string_splits[a + 1] - string_splits[a]
                if is_full(tree, more):
                    tree = grown_tree(tree, more)
                for n in range(string_splits[a], string_splits[a + 1]):
                    string = append(tree, string, symbols[n])
                if met:
                    if not _better(score, new_graph, tree, string, old, task_graph[last], task_string[last]):
                        continue
                else:
                    size += 1
                    last += 1
                    if last >= len(task_state):
                        task_state, task_graph = grown(task_state, 0), grown(task_graph, 0)
                        task_acoustic, task_string = grown(task_acoustic, 0), grown(task_string, 0)
                task_state[last], task_string[last] = nexts[a], string
                task_graph[last], task_acoustic[last] = new_graph, new_acoustic
                best = max(best, score + beta[nexts[a]])
            task_from[num_tasks], task_label[num_tasks] = fresh, label
            task_begin[num_tasks + 1] = at + size
            heapq.heappush(queue, (-(forward[fresh] + best), np.int64(num_tasks)))
            num_tasks += 1
    ends = _ends(tree, closed, finals, forward, scales, least_total)
    return (
        (out[0][:num_arcs], out[1][:num_arcs], out[2][:num_arcs], out[3][:num_arcs], out[4][:num_arcs],
         out[5][: num_arcs + 1], out[6][: out[5][num_arcs]]),
        ends,
        reached,
    )  # fmt: skip
