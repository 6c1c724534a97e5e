"""Pictures of a small lattice and of a confusion network, as SVG or as an HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np

from hybrid.base.errors import one_line
from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.mbr import ConfusionNetwork
from hybrid.lattice.trim import state_times

__all__ = ["draw_lattice", "draw_network", "html_page"]

MAX_STATES, MAX_ARCS = 400, 1500
COLUMN, ROW, RADIUS = 130, 64, 14  # pixels
STYLE = """text{font:13px sans-serif;text-anchor:middle} .small{font-size:10px;fill:#666} path{fill:none;stroke:#999}
circle{fill:#fff;stroke:#444} .best path{stroke:#06c;stroke-width:2.5} .best text{fill:#06c;font-weight:bold}
.final{fill:none} rect{fill:#cde;stroke:#fff} .nothing rect{fill:#eee} .nothing text{fill:#888}"""


def draw_lattice(
    compact: CompactLattice, spell: Callable[[int], str], acoustic_scale: float, lm_scale: float = 1.0
) -> str:
    """Draws states and arcs with words and posteriors; the best path stands out, the frame stands under each state.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`.
      spell: word id → word.

    Returns:
      SVG.

    Raises:
      LatticeError: too large to be looked at.
    """
    if compact.num_states > MAX_STATES or compact.num_arcs > MAX_ARCS:
        raise LatticeError(f"has {compact.num_states} states and {compact.num_arcs} arcs, too many to draw (at most "
                           f"{MAX_STATES} and {MAX_ARCS})")  # fmt: skip
    if compact.is_empty:
        return _svg(240, 60, ['<text x="120" y="34">no path</text>'])
    places = _places(compact)
    scores, finals = compact.arc_scores(acoustic_scale, lm_scale), compact.final_scores(acoustic_scale, lm_scale)
    rows, nexts = compact.row_splits, compact.next_states
    alpha, beta = kernels.forward_sum(rows, nexts, scores), kernels.backward_sum(rows, nexts, scores, finals)
    posteriors = np.exp(alpha[compact.sources] + scores + beta[nexts] - beta[0])
    _, first = kernels.backward_max(rows, nexts, scores, finals)
    best, state = set(), 0
    while (arc := int(first[state])) >= 0:
        best.add(arc)
        state = int(nexts[arc])
    parts = []
    beside: dict[tuple[int, int], int] = {}  # arcs between the same states lie side by side
    for arc in range(compact.num_arcs):
        ends = int(compact.sources[arc]), int(nexts[arc])
        beside[ends] = beside.get(ends, -1) + 1
        word = int(compact.word_ids[arc])
        label = f"{spell(word) if word else 'ε'} {posteriors[arc]:.2g}"
        parts.append(_arc(places[ends[0]], places[ends[1]], beside[ends], label, arc in best))
    times = state_times(compact)
    for state, (x, y) in enumerate(places):
        parts.append(f'<circle cx="{x}" cy="{y}" r="{RADIUS}"/><text x="{x}" y="{y + 5}">{state}</text>')
        parts.append(f'<text class="small" x="{x}" y="{y + RADIUS + 12}">{times[state]}</text>')
        if np.isfinite(finals[state]):
            parts.append(f'<circle class="final" cx="{x}" cy="{y}" r="{RADIUS - 4}"/>')
    return _svg(max(x for x, _ in places) + 60, max(y for _, y in places) + 70, parts)


def _places(compact: CompactLattice) -> list[tuple[int, int]]:
    """Of each state its place: columns by the longest way from the start, rows near to those of the states before."""
    column = np.zeros(compact.num_states, np.int64)
    for source, to in zip(compact.sources.tolist(), compact.next_states.tolist()):
        column[to] = max(column[to], column[source] + 1)
    height = np.zeros(compact.num_states)
    places = [(0, 0)] * compact.num_states
    most = int(np.bincount(column).max())
    for c in range(int(column.max()) + 1):
        here = np.flatnonzero(column == c).tolist()
        wanted = {s: height[compact.sources[compact.next_states == s]].mean() if c else 0.0 for s in here}
        for rank, state in enumerate(sorted(here, key=lambda s: wanted[s])):
            height[state] = rank - (len(here) - 1) / 2
            places[state] = 40 + c * COLUMN, round(70 + (height[state] + (most - 1) / 2) * ROW)
    return places


def _arc(begin: tuple[int, int], end: tuple[int, int], beside: int, label: str, best: bool) -> str:
    (x0, y0), (x1, y1) = begin, end
    jumps = (x1 - x0) // COLUMN - 1
    bend = (-1) ** beside * ((beside + 1) // 2) * 36 - 26 * (jumps > 0) * min(jumps, 3)
    middle = (x0 + x1) / 2
    top = (y0 + y1) / 2 + bend
    path = f"M{x0 + RADIUS} {y0} Q{middle:.0f} {(2 * top - (y0 + y1) / 2):.0f} {x1 - RADIUS} {y1}"
    kind = ' class="best"' if best else ""
    text = f'<text x="{middle:.0f}" y="{top - 4:.0f}">{_text(label)}</text>'
    return f'<g{kind}><path d="{path}" marker-end="url(#tip)"/>{text}</g>'


def draw_network(network: ConfusionNetwork, spell: Callable[[int], str]) -> str:
    """Draws a confusion network: a column for each bin, of boxes as high as their words are probable.

    Gaps in which nothing is likely are left out; the frames of its bin stand under each column.

    Args:
      spell: word id → word.

    Returns:
      SVG.
    """
    parts, x, height = [], 20, 220
    for number in range(len(network)):
        entries = network.bin(number)
        if entries[0][0] == 0 and entries[0][1] > 0.99:
            continue
        names = [spell(word) if word else "—" for word, _ in entries]
        width = max(60, 9 * max(map(len, names)) + 16)
        y = 20.0
        for name, (word, posterior) in zip(names, entries):
            high = posterior * height
            text = f'<text x="{x + width / 2:.0f}" y="{y + high / 2 + 5:.1f}">{_text(name)}</text>' if high > 12 else ""
            title = f"<title>{_text(name)} {posterior:.3f}</title>"
            kind = "" if word else ' class="nothing"'
            box = f'<rect x="{x}" y="{y:.1f}" width="{width}" height="{high:.1f}"/>'
            parts.append(f"<g{kind}>{box}{text}{title}</g>")
            y += high
        frames = f"{network.bin_begins[number]:.0f}–{network.bin_ends[number]:.0f}"
        parts.append(f'<text class="small" x="{x + width / 2:.0f}" y="{height + 36}">{frames}</text>')
        x += width + 8
    return _svg(max(x + 12, 240), height + 56, parts or ['<text x="120" y="34">no words</text>'])


def _text(text: str) -> str:
    return escape(one_line(text))


def _svg(width: int, height: int, parts: list[str]) -> str:
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 L8 4 L0 8" style="fill:#999;stroke:none"/></marker>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join([head, f"<style>{STYLE}</style><defs>{tip}</defs>", *parts, "</svg>"]) + "\n"


def html_page(title: str, drawings: list[tuple[str, str]]) -> str:
    """Returns a page of (heading, SVG) pairs, which needs no network and runs nothing."""
    body = "\n".join(f"<h2>{_text(heading)}</h2>\n<div>{svg}</div>" for heading, svg in drawings)
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{_text(title)}</title>'
        "<style>body{font-family:sans-serif} div{overflow-x:auto}</style></head>\n"
        f"<body><h1>{_text(title)}</h1>\n{body}\n</body></html>\n"
    )
