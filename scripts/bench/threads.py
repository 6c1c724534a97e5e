#!/usr/bin/env python3
"""Measures native searches in threads of one process: what several do side by side against one after the other.

    .venv/bin/python scripts/bench/threads.py                             a made-up graph of a million states
    .venv/bin/python scripts/bench/threads.py --model exp/mono --graph exp/mono/graph

Each thread searches its own made-up scores through the one graph. Prints seconds and CPU seconds of both ways, best of
`--repeat` runs in turns, and the ratio of throughputs. The results are compared: they must be the same. On a busy
machine the wall time tells what the others leave; look at the load that is printed.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hybrid.base.openfst import FstArrays
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import load_model
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.graph import SearchGraph


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=400, help="of each search")
    parser.add_argument("--states", type=int, default=10**6, help="of the made-up graph")
    parser.add_argument("--model", type=Path, help="model folder, with --graph")
    parser.add_argument("--graph", type=Path, help="graph folder")
    parser.add_argument("--repeat", type=int, default=5)
    return parser.parse_args()


def made_up_graph(states: int, num_pdfs: int = 2000, degree: int = 3) -> SearchGraph:
    """Returns a graph whose every state has a self-loop and arcs to random states."""
    rng = np.random.default_rng(1)
    arcs = states * degree
    targets = rng.integers(0, states, arcs)
    targets[::degree] = np.arange(states)
    fst = FstArrays(
        0, np.arange(0, arcs + 1, degree), rng.integers(1, num_pdfs + 1, arcs), np.zeros(arcs, np.int32), targets,
        rng.exponential(2.0, arcs).astype(np.float32), np.zeros(states, np.float32),
    )  # fmt: skip
    return SearchGraph.from_fst(fst, np.arange(-1, num_pdfs, dtype=np.int32), num_pdfs)


def load_graph(options: argparse.Namespace) -> SearchGraph:
    """Returns the graph to search."""
    if options.graph is None:
        return made_up_graph(options.states)
    model = load_model(options.model).transition_model
    return SearchGraph.from_fst(DecodingGraph.load(options.graph).fst, model.pdf_ids, model.num_pdfs)


def main() -> None:
    """Runs the benchmark."""
    options = parse_options()
    graph = load_graph(options)
    searcher = NativeSearcher(graph, SearchConfig(acoustic_scale=0.1, beam=13.0, max_active=7000))
    rng = np.random.default_rng(2)
    work = [rng.normal(-60, 15, (options.frames, graph.num_pdfs)).astype(np.float32) for _ in range(options.threads)]

    def search(scores: np.ndarray) -> float:
        return searcher.search([scores])[0].lattice.graph_scores.sum()

    wanted = [search(scores) for scores in work]
    times: dict[str, list[tuple[float, float]]] = {"one after the other": [], "side by side": []}
    with ThreadPoolExecutor(options.threads) as pool:
        for _ in range(options.repeat):
            for name, run in (("one after the other", map), ("side by side", pool.map)):
                wall, cpu = time.monotonic(), time.process_time()
                assert list(run(search, work)) == wanted
                times[name].append((time.monotonic() - wall, time.process_time() - cpu))
    for name, runs in times.items():
        wall, cpu = min(runs)
        print(f"{name:20} {wall:6.2f} s, {cpu:6.2f} CPU s")
    single, both = (min(runs)[0] for runs in times.values())
    print(f"{options.threads} threads: {single / both:.2f} × the throughput of one (load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
