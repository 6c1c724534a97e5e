"""Lattices in Kaldi's text form: one arc or final state a line, costs with six digits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from hybrid.base.errors import quote
from hybrid.base.log import get_logger
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.files.buffer import ByteBuffer
from hybrid.lattice.files.stored import StoredLattice
from hybrid.lattice.lattice import Lattice, LatticeError

__all__ = ["format_compact", "format_lattice", "parse_text", "read_text"]

_log = get_logger(__name__)


def read_text(source: ByteBuffer, place: object) -> StoredLattice | CompactLattice:
    """Reads a lattice up to the empty line that ends it.

    Args:
      place: of the source, for a warning where the file ends before that line.

    Raises:
      LatticeError: a damaged line; the file ends first, and the lattice has no final state.
    """
    lines, ended = [], False
    while not ended and source.peek():
        line = source.until(b"\n")
        source.line += 1
        ended = not line.strip()
        if not ended:
            lines.append((source.line, line.decode("utf-8", "replace").rstrip("\r\n")))
    value = parse_text(lines)
    if not ended and all(len(line.split()) > 2 for _, line in lines):
        raise LatticeError("is cut short: the file ends before a final state and the empty line that ends a lattice")
    if not ended:
        _log.warning("%s ends without the empty line that ends a lattice; it may be cut short", quote(place, 200))
    return value


def parse_text(lines: Iterable[tuple[int, str]]) -> StoredLattice | CompactLattice:
    """Builds a lattice from the numbered lines of one entry, in its own form (told by the columns).

    Raises:
      LatticeError: with the line number.
    """
    arcs: list[tuple] = []
    finals: dict[int, tuple] = {}
    start = -1
    compact = None
    for number, line in lines:
        columns = line.split()
        try:
            source = int(columns[0])
            start = source if start < 0 else start
            if len(columns) <= 2:
                weight = _weight(columns[1]) if len(columns) == 2 else (0.0, 0.0, None)
                finals[source] = weight
                form = None if weight[2] is None else True
            else:
                form = len(columns) == 3 or (len(columns) == 4 and "," in columns[3])
                arcs.append(_arc(columns, form))
        except (ValueError, IndexError) as error:
            raise LatticeError(
                f"line {number}: '{quote(line, 60)}' is no arc or final state of a lattice ({error})"
            ) from None
        if form is not None and compact is not None and form != compact:
            raise LatticeError(f"line {number}: arcs of a lattice and of a compact lattice are mixed")
        compact = form if compact is None else compact
    return _build(start, arcs, finals, bool(compact))


def _arc(columns: list[str], compact: bool) -> tuple:
    if len(columns) > 5:
        raise ValueError(f"{len(columns)} columns, wanted 3 to 5")
    labels = 1 if compact else 2
    ids = [int(c) for c in columns[: 2 + labels]]
    weight = _weight(columns[2 + labels]) if len(columns) > 2 + labels else (0.0, 0.0, None)
    if min(ids) < 0 or max(ids) > 2**31 - 1:
        raise ValueError("a number is out of range")
    if not compact and weight[2] is not None:
        raise ValueError("transition-ids in the weight of an arc with input labels")
    return (*ids, *weight)


def _weight(text: str) -> tuple[float, float, list[int] | None]:
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise ValueError(f"weight '{quote(text, 30)}', wanted 'graph,acoustic' or 'graph,acoustic,ids'")
    graph, acoustic = float(parts[0]), float(parts[1])
    if np.isnan(graph) or np.isnan(acoustic):
        raise ValueError("a cost is NaN")
    string = None if len(parts) == 2 else [int(x) for x in parts[2].split("_")] if parts[2] else []
    if string and not 0 < min(string) <= max(string) < 2**31:
        raise ValueError("a transition-id is out of range")
    return 0.0 - graph, 0.0 - acoustic, string


def _build(start: int, arcs: list[tuple], finals: dict[int, tuple], compact: bool) -> StoredLattice | CompactLattice:
    if start < 0:
        return StoredLattice.of(-1, [np.zeros(0)] * 6, [np.zeros(0)] * 2)
    states = 1 + max([start, *finals, *(max(a[0], a[1]) for a in arcs)])
    if min(finals, default=0) < 0 or states > 4 * (len(arcs) + len(finals)) + 4:
        raise LatticeError(f"names state {states - 1} but has only {len(arcs)} arcs")
    final_scores = np.full((2, states), -np.inf, np.float32)
    for state, weight in finals.items():
        final_scores[:, state] = weight[:2]
    columns = [np.array(c) for c in zip(*[a[:-1] for a in arcs])] or [np.zeros(0, np.int32)] * (5 if compact else 6)
    if not compact:
        return StoredLattice.of(start, columns, tuple(final_scores))
    strings = [a[-1] or [] for a in arcs]
    final_strings = [finals[s][2] or [] if s in finals else [] for s in range(states)]
    sources, next_states, words, graph, acoustic = columns
    flat, splits = _flatten(strings)
    final_flat, final_splits = _flatten(final_strings)
    return CompactLattice(
        start, sources.astype(np.int32), next_states.astype(np.int32), words.astype(np.int32),
        graph.astype(np.float32), acoustic.astype(np.float32), splits, flat, final_scores[0], final_scores[1],
        final_splits, final_flat,
    )  # fmt: skip


def _flatten(strings: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    splits = np.concatenate([[0], np.cumsum([len(s) for s in strings])]).astype(np.int64)
    return np.array([x for s in strings for x in s], np.int32), splits


def _in_order(lattice: Lattice | StoredLattice | CompactLattice) -> Iterator[int]:
    """The states as a text names them: the start first."""
    start = max(lattice.start, 0)
    return (s for s in (start, *(s for s in range(lattice.num_states) if s != start)) if s < lattice.num_states)


def _number(score: float) -> str:
    cost = 0.0 - score
    return "Infinity" if cost == np.inf else f"{cost:.6g}"


def _scores(graph: float, acoustic: float) -> str:
    return f"{_number(graph)},{_number(acoustic)}"


def format_lattice(lattice: Lattice | StoredLattice) -> Iterator[str]:
    """Yields the lines of the form with one transition-id per arc; weights of zero are left out, as Kaldi does."""
    for s in _in_order(lattice):
        for a in range(lattice.row_splits[s], lattice.row_splits[s + 1]):
            line = f"{s}\t{lattice.next_states[a]}\t{lattice.transition_ids[a]}\t{lattice.word_ids[a]}"
            graph, acoustic = lattice.graph_scores[a], lattice.acoustic_scores[a]
            yield line if graph == 0 and acoustic == 0 else f"{line}\t{_scores(graph, acoustic)}"
        graph, acoustic = lattice.final_graph_scores[s], lattice.final_acoustic_scores[s]
        if np.isfinite(graph):
            yield f"{s}" if graph == 0 and acoustic == 0 else f"{s}\t{_scores(graph, acoustic)}"


def format_compact(compact: CompactLattice) -> Iterator[str]:
    """Yields the lines of the compact form."""
    bounds = np.searchsorted(compact.sources, np.arange(compact.num_states + 1))
    for s in _in_order(compact):
        for a in range(bounds[s], bounds[s + 1]):
            line = f"{s}\t{compact.next_states[a]}\t{compact.word_ids[a]}"
            scores, string = _scores(compact.graph_scores[a], compact.acoustic_scores[a]), compact.string(a)
            yield line if scores == "0,0" and not len(string) else f"{line}\t{scores},{'_'.join(map(str, string))}"
        graph, acoustic = compact.final_graph_scores[s], compact.final_acoustic_scores[s]
        if np.isfinite(graph):
            scores, string = _scores(graph, acoustic), compact.final_string(s)
            yield f"{s}" if scores == "0,0" and not len(string) else f"{s}\t{scores},{'_'.join(map(str, string))}"
