#!/usr/bin/env python3
"""Measures native searches in threads of one process beside the same searches in as many processes.

    .venv/bin/python scripts/bench/threads.py                             a made-up graph of a million states
    .venv/bin/python scripts/bench/threads.py --model exp/mono --graph exp/mono/graph --feats feats/dev

Each thread, or forked process, searches the scores of its own utterance (made-up ones without --feats) through the one
graph, alone, then all side by side in threads, then in processes, in turns. The results are compared: they must be the
same. On a busy machine nobody gets two processors whole: what the load takes from threads it takes from processes too,
and processes have no lock in common. So the figure is the wall time of the processes by that of the threads, median of
the rounds; two threads have 1.7 times the throughput of one where it is 0.85 or more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hybrid.feats.store import FeatureStore
from hybrid.formats.openfst import FstArrays
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import load_model
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.graph import SearchGraph
from hybrid.search.layout import load_search_graph


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=400, help="of each search")
    parser.add_argument("--states", type=int, default=10**6, help="of the made-up graph")
    parser.add_argument("--model", type=Path, help="model folder, with --graph")
    parser.add_argument("--graph", type=Path, help="graph folder")
    parser.add_argument("--feats", type=Path, help="feature store to take utterances from")
    parser.add_argument("--chunk", type=int, default=0, help="frames searched at a time; 0: all")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
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
    return load_search_graph(DecodingGraph.load(options.graph), model)


def make_scores(options: argparse.Namespace, num_pdfs: int) -> list[np.ndarray]:
    """Returns the scores of each thread's utterance, float32 [frame][pdf_id]."""
    if options.feats is None:
        rng = np.random.default_rng(2)
        return [rng.normal(-60, 15, (options.frames, num_pdfs)).astype(np.float32) for _ in range(options.threads)]
    model, store = load_model(options.model).unadapted, FeatureStore.open(options.feats)
    longest = sorted(store.ids, key=store.duration)[-options.threads :]
    return [model.scores(model.pipeline.features(store, name))[: options.frames] for name in longest]


class Processes:
    """Forked processes, each with a piece of work of its own that it does when it is told to."""

    def __init__(self, work: Callable[[np.ndarray], float], items: list[np.ndarray]) -> None:
        context = multiprocessing.get_context("fork")
        self.pipes = []
        for item in items:
            ours, theirs = context.Pipe()
            context.Process(target=self._serve, args=(theirs, work, item), daemon=True).start()
            self.pipes.append(ours)

    @staticmethod
    def _serve(pipe, work, item) -> None:  # type: ignore[no-untyped-def]
        while pipe.recv():
            pipe.send(work(item))

    def __call__(self) -> Iterator[float]:
        for pipe in self.pipes:
            pipe.send(True)
        return (pipe.recv() for pipe in self.pipes)


def main() -> None:
    """Runs the benchmark."""
    options = parse_options()
    graph = load_graph(options)
    searcher = NativeSearcher(graph, SearchConfig(acoustic_scale=1 / 12, beam=13.0, max_active=7000))
    scores = make_scores(options, graph.num_pdfs)

    def search(scores: np.ndarray) -> float:
        stream = searcher.open()
        step = options.chunk or len(scores)
        for begin in range(0, len(scores), step):
            stream.advance(scores[begin : begin + step])
        return float(stream.finish().lattice.graph_scores.sum())

    wanted = [search(each) for each in scores]
    processes = Processes(search, scores)
    times: dict[str, list[float]] = {"alone": [], "threads": [], "processes": []}
    with ThreadPoolExecutor(options.threads) as pool:
        ways = {
            "alone": lambda: [search(scores[0])],
            "threads": lambda: pool.map(search, scores),
            "processes": processes,
        }
        for _ in range(options.repeat + 1):
            for name, run in ways.items():
                start = time.monotonic()
                assert list(run()) == wanted[: 1 if name == "alone" else None]
                times[name].append(time.monotonic() - start)
    times = {name: runs[1:] for name, runs in times.items()}  # the first round wakes everybody up
    for name, runs in times.items():
        print(f"{name:10} {statistics.median(runs):7.3f} s, {min(runs):7.3f} to {max(runs):7.3f}")
    ratios = [a / b for a, b in zip(times["processes"], times["threads"])]
    gain = options.threads * statistics.median(times["alone"]) / statistics.median(times["threads"])
    print(f"{options.threads} threads have {gain:.2f} × the throughput of one,")
    print(f"{options.threads} threads have {statistics.median(ratios):.2f} × the throughput of {options.threads} "
          f"processes; best of all rounds {min(times['processes']) / min(times['threads']):.2f}; "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
