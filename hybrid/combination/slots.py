"""Slots of competing words, and their alignment: what ROVER and the combination of confusion networks rest on.

A slot maps words to weights that sum to one; the empty text stands for "no word here". Two rows of slots are aligned so
that words picked from both by their weights differ as seldom as can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hybrid.lattice.mbr import ConfusionNetwork

__all__ = ["Slot", "align_slots", "alignment_cost", "best_words", "combine_slots", "network_slots", "word_slots"]

Slot = Mapping[str, float]
NOTHING: Slot = {"": 1.0}


def word_slots(words: Sequence[str]) -> list[Slot]:
    """Returns a slot for each word of a hypothesis."""
    return [{word: 1.0} for word in words]


def network_slots(network: ConfusionNetwork, names: Mapping[int, str]) -> list[Slot]:
    """Returns the bins of a confusion network that may hold a word.

    Args:
      names: word id → word; 0 is "no word here" whatever it is called.
    """
    found: list[Slot] = []
    for number in range(len(network)):
        slot: dict[str, float] = {}
        for word, posterior in network.bin(number):
            name = names[word] if word else ""
            slot[name] = slot.get(name, 0.0) + posterior
        if slot.get("", 0.0) < 1.0 - 1e-9:
            found.append(slot)
    return found


def alignment_cost(first: Slot, second: Slot) -> float:
    """Returns the probability that words drawn from two slots differ."""
    return 1.0 - sum(share * second.get(word, 0.0) for word, share in first.items())


def align_slots(first: Sequence[Slot], second: Sequence[Slot]) -> list[tuple[int, int]]:
    """Aligns two rows of slots with the least expected number of differences.

    Returns:
      (index in the first, index in the second) in order; -1 where one has no slot. Of equal alignments the one that
      joins slots as early as it can.
    """
    costs, alone, alone_too = _costs(first, second)
    rows, columns = len(first), len(second)
    left = np.zeros((rows + 1, columns + 1))  # the least cost of what follows
    left[:rows, columns] = np.cumsum(alone[::-1])[::-1]
    left[rows, :columns] = np.cumsum(alone_too[::-1])[::-1]
    for i in range(rows - 1, -1, -1):
        after, here, mine, row = left[i + 1].tolist(), left[i].tolist(), float(alone[i]), costs[i].tolist()
        for j in range(columns - 1, -1, -1):
            here[j] = min(row[j] + after[j + 1], mine + after[j], alone_too[j] + here[j + 1])
        left[i] = here
    pairs, i, j = [], 0, 0
    while i < rows or j < columns:
        if i < rows and j < columns and costs[i, j] + left[i + 1, j + 1] <= left[i, j] + 1e-12:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif i < rows and alone[i] + left[i + 1, j] <= left[i, j] + 1e-12:
            pairs.append((i, -1))
            i += 1
        else:
            pairs.append((-1, j))
            j += 1
    return pairs


def _costs(first: Sequence[Slot], second: Sequence[Slot]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Costs of joining two slots, float64 [A][B], and of leaving each alone, [A] and [B]."""
    words = sorted({word for slot in (*first, *second) for word in slot} | {""})
    column = {word: number for number, word in enumerate(words)}
    tables = [np.zeros((len(slots), len(words))) for slots in (first, second)]
    for table, slots in zip(tables, (first, second)):
        for row, slot in zip(table, slots):
            row[[column[word] for word in slot]] = list(slot.values())
    nothing = column[""]
    return 1.0 - tables[0] @ tables[1].T, 1.0 - tables[0][:, nothing], 1.0 - tables[1][:, nothing]


def combine_slots(systems: Sequence[Sequence[Slot]], weights: Sequence[float]) -> list[Slot]:
    """Averages the slots of several systems, which are aligned one after another, the heaviest first.

    Args:
      weights: above 0, of each system; only their shares count.

    Raises:
      ValueError: not one positive weight for each.
    """
    if len(weights) != len(systems) or not all(0 < w < float("inf") for w in weights):
        raise ValueError(f"weights {list(weights)} for {len(systems)} systems: wanted one above 0 for each")
    order = sorted(range(len(systems)), key=lambda n: -weights[n])
    network = list(systems[order[0]]) if order else []
    total = weights[order[0]] if order else 0.0
    for number in order[1:]:
        mine, share = systems[number], weights[number] / (total + weights[number])
        total += weights[number]
        network = [
            _mixed(NOTHING if i < 0 else network[i], NOTHING if j < 0 else mine[j], share)
            for i, j in align_slots(network, mine)
        ]
    return network


def _mixed(first: Slot, second: Slot, share: float) -> Slot:
    words = dict.fromkeys((*first, *second))
    return {word: (1.0 - share) * first.get(word, 0.0) + share * second.get(word, 0.0) for word in words}


def best_words(slots: Sequence[Slot]) -> tuple[list[str], list[float]]:
    """Returns the heaviest word of each slot and its weight, without those where "no word" wins; of equals a word."""
    found = [max(slot.items(), key=lambda item: (item[1], item[0] != "")) for slot in slots]
    return [word for word, _ in found if word], [weight for word, weight in found if word]
