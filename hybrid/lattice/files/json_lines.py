"""Lattices as lines of JSON, one each, for programs that read nothing else.

    {"utterance": "u1", "states": 3, "arcs": [[0, 1, 5, -1.5, -20.25, [7, 8], "HELLO"], …], "finals": [[2, 0, 0, []]]}

An arc is source, next state, word id, graph score, acoustic score (natural logs, larger is better; null: impossible),
transition-ids, and the word as text where a table was at hand, which readers pass over. State 0 is the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.trim import from_rows, trimmed

__all__ = ["lattice_of_json", "lattice_to_json"]

LARGEST = 2**31 - 1


def lattice_to_json(
    utterance: str, compact: CompactLattice, spell: Callable[[int], str] | None = None
) -> dict[str, Any]:
    """Returns a compact lattice as plain values.

    Args:
      spell: word id → word.
    """
    compact = trimmed(compact)
    arcs = [
        [int(source), int(to), int(word), _number(graph), _number(acoustic), compact.string(arc).tolist()]
        for arc, (source, to, word, graph, acoustic) in enumerate(
            zip(compact.sources, compact.next_states, compact.word_ids, compact.graph_scores, compact.acoustic_scores)
        )
    ]
    if spell is not None:
        for row in arcs:
            row.append(spell(row[2]))  # type: ignore[arg-type]
    finals = [
        [int(s), _number(compact.final_graph_scores[s]), _number(compact.final_acoustic_scores[s]),
         compact.final_string(int(s)).tolist()]
        for s in np.flatnonzero(np.isfinite(compact.final_graph_scores))
    ]  # fmt: skip
    return {"utterance": utterance, "states": compact.num_states, "arcs": arcs, "finals": finals}


def _number(score: np.float32) -> float | None:
    return float(str(score)) if np.isfinite(score) else None


def lattice_of_json(record: Any) -> tuple[str, CompactLattice]:
    """Returns the utterance id and the lattice of a record that `lattice_to_json` made.

    Raises:
      LatticeError: something is missing or of another kind.
    """
    if not isinstance(record, dict) or not isinstance(record.get("utterance"), str):
        raise LatticeError("is a line of JSON without 'utterance'")
    arcs, finals, states = record.get("arcs"), record.get("finals"), record.get("states")
    if not isinstance(arcs, list) or not isinstance(finals, list) or not isinstance(states, int) or not _whole(states):
        raise LatticeError("is a line of JSON without lists 'arcs' and 'finals' and a number of 'states'")
    if states > len(arcs) + 1:
        raise LatticeError(f"promises {states} states but has only {len(arcs)} arcs")
    rows = [_row(arc, 3, states, "arc") for arc in arcs]
    ends = [_row(end, 1, states, "final state") for end in finals]
    rows.sort(key=lambda row: row[0])
    return record["utterance"], from_rows(rows, {end[0]: end[1:] for end in ends}, states)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _row(row: Any, ids: int, states: int, what: str) -> Any:
    """A checked arc or final state: its ids, its two scores, its transition-ids."""
    if not isinstance(row, list) or not ids + 3 <= len(row) <= ids + 4:
        raise LatticeError(f"has {what} that is no list of {ids + 3} values")
    head, scores, string = row[:ids], row[ids : ids + 2], row[ids + 2]
    if not all(map(_whole, head)) or max(head[:2]) >= states:
        raise LatticeError(f"has {what} whose states or words are no ids (states are below {states})")
    if not all(
        s is None or (isinstance(s, (int, float)) and not isinstance(s, bool) and abs(s) < 1e38) for s in scores
    ):
        raise LatticeError(f"has {what} whose scores are no numbers")
    if not isinstance(string, list) or not all(_whole(i) and i for i in string):
        raise LatticeError(f"has {what} whose transition-ids are no list of ids")
    return (*head, *(-np.inf if s is None else float(s) for s in scores), string)
