#!/usr/bin/env python3
"""Measures a graph of H, C and L composed with G while it is searched beside the graph with G compiled into it.

    hybrid graph compile --model exp/tri2b --lang data/lang --lookahead --out-dir hcl
    hybrid gmm scores --model exp/tri2b --feats exp/feats/dev-clean --out scores.ark
    .venv/bin/python scripts/bench/lookahead.py --model exp/tri2b --static exp/tri2b/graph_tg --graph hcl \\
        --lm data/tg.arpa.gz --scores scores.ark --utterances 200

Prints the sizes of both graphs; the CPU seconds until the language model is swapped and a frame is searched; how many
best paths have the same words and how many a worse score; in how many a back-off, an epsilon in both graphs, stands
beside an n-gram that G has, which it may not, and what exact back-off makes of that; the CPU seconds of the searches,
in turns, and their ratio; and how much was composed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.decode.graph_lm import read_grammar_of
from hybrid.decode.system import SystemSpec, load_system
from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.kaldi_io import read_matrices
from hybrid.lattice.paths import best_path
from hybrid.recogniser import Recogniser
from hybrid.search.config import SearchConfig

TOLERANCE = 1e-4  # relative, of a score that is as good


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--static", type=Path, required=True, help="graph with the language model compiled into it")
    parser.add_argument("--graph", type=Path, required=True, help="graph compiled with --lookahead")
    parser.add_argument("--lm", type=Path, required=True, help="the same language model, ARPA or G.fst")
    parser.add_argument("--scores", type=Path, required=True, help="Kaldi archive of log-likelihoods")
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--skip", type=int, default=0, help="utterances at the front of the archive")
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--lattice-beam", type=float, default=6.0)
    return parser.parse_args()


def best_score(grammar: FstArrays, backoff_label: int, words: list[int], exact: bool) -> float:
    """Returns the log-probability of words: of the best way through G, or (exact) backing off only from unseen ones."""
    scores = {grammar.start: 0.0}
    for word in [*words, -1]:
        reached: dict[int, float] = {}
        for state, own in scores.items():
            at, score, begun = state, own, False
            while at >= 0 and not (exact and begun):
                row = slice(grammar.row_splits[at], grammar.row_splits[at + 1])
                labels, back = grammar.ilabels[row], -1
                found = [row.start + a for a in np.flatnonzero(labels == word)]
                ways = [(int(grammar.next_states[a]), float(grammar.costs[a])) for a in found]
                if word < 0 and np.isfinite(grammar.final_costs[at]):
                    ways = [(0, float(grammar.final_costs[at]))]
                for after, cost in ways:
                    reached[after] = max(reached.get(after, -np.inf), score - cost)
                    begun = True
                for a in np.flatnonzero(labels == backoff_label):
                    back, score = int(grammar.next_states[row.start + a]), score - float(grammar.costs[row.start + a])
                at = back
        scores = reached
    return max(scores.values(), default=-np.inf)


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the CPU seconds of a call, and what it gave."""
    before = time.process_time()
    value = work()
    return time.process_time() - before, value


def main() -> None:
    """Searches the same scores in both graphs, in turns."""
    options = parse_options()
    config = SearchConfig(beam=options.beam, lattice_beam=options.lattice_beam)

    def spec_of(graph: Path, lm: Path | None, exact: bool) -> SystemSpec:
        """What is loaded of a graph."""
        lm_file = None if lm is None else str(lm)
        return SystemSpec(str(options.model), str(graph), search=config, lm=lm_file, exact_backoff=exact)

    static, composed, exact = (
        Recogniser(load_system(spec_of(graph, lm, exact)))
        for graph, lm, exact in (
            (options.static, None, False), (options.graph, options.lm, False), (options.graph, options.lm, True)
        )
    )  # fmt: skip
    sizes = [(graph / "HCLG.fst").stat().st_size for graph in (options.static, options.graph)]
    print(f"static graph {sizes[0] / 1e6:.1f} MB, for look-ahead {sizes[1] / 1e6:.1f} MB, 1/{sizes[0] / sizes[1]:.0f}")
    matrices = read_matrices(options.scores)
    _, first = next(islice(matrices, options.skip, None))
    for system in (static.system, composed.system, exact.system):
        system.search([first])  # compiles, maps, warms up
    seconds = spent(lambda: (composed.use_lm(options.lm), composed.system.search([first[:1]])))[0]
    print(f"ready after a swap: {seconds:.2f} CPU s")
    graph = composed.system.graph
    assert graph is not None
    grammar, label = read_grammar_of(options.lm, graph), graph.words["#0"]
    same = worse = frames = count = beside = changed = 0
    totals, worst, most, off = np.zeros(3), 0.0, 0.0, 0.0
    for _, scores in islice(matrices, options.utterances):
        texts, values = [], []
        for number, system in enumerate((static.system, composed.system, exact.system)):
            seconds, (result,) = spent(lambda s=system, x=scores: s.search([x]))
            path = best_path(result.lattice, system.config.scale)
            texts.append([] if path is None else path.word_ids.tolist())
            values.append(-np.inf if path is None else path.score(system.config.scale))
            totals[number] += seconds
        count, frames = count + 1, frames + len(scores)
        gain = best_score(grammar, label, texts[1], False) - best_score(grammar, label, texts[1], True)
        beside, most, changed = beside + (gain > TOLERANCE), max(most, gain), changed + (texts[1] != texts[2])
        if texts[1] == texts[2]:
            off = max(off, abs(values[1] - gain - values[2]) / max(1.0, abs(values[2])))
        loss = (values[0] - values[1]) / max(1.0, abs(values[0]))
        same, worse, worst = same + (texts[0] == texts[1]), worse + (loss > TOLERANCE), max(worst, loss)
    print(f"{same} of {count} best paths have the same words; {worse} score worse, at most by {worst:.1e}, relatively")
    print(f"{beside} of them back off beside an n-gram of G, worth at most {most:.2f}")
    print(f"exact back-off: {changed} best paths have other words, scores of the rest are the exact ones to {off:.1e}, "
          f"relatively; {totals[2]:.2f} CPU s, {totals[2] / totals[1]:.3f} × the search without")  # fmt: skip
    print(f"search: static {totals[0]:.2f} CPU s, composed {totals[1]:.2f}, ratio {totals[1] / totals[0]:.2f}, "
          f"{1e6 * totals[0] / frames:.0f} and {1e6 * totals[1] / frames:.0f} µs a frame")  # fmt: skip
    states, arcs = composed.system.searcher.lend().counts.tolist()
    print(f"composed: {states} states, {arcs} arcs")


if __name__ == "__main__":
    main()
