#!/usr/bin/env python3
"""Looks whether all engines make the same lattices of real utterances, in whatever batch, order, threads and chunks.

    .venv/bin/python scripts/bench/same_lattices.py --model exp/chain --graph exp/chain/graph_tg --feats exp/dev-clean

Each way of searching is held against `native`, one utterance after the other: status, frames limited by max-active,
states, and of all arcs frames, labels and scores. Prints a table; the exit status is 1 where a lattice differs. The
readable engine takes the first --reference utterances only, since it needs some ten seconds for each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hybrid.feats.store import FeatureStore
from hybrid.graph.decoding import DecodingGraph
from hybrid.lattice.lattice import Lattice
from hybrid.model.folder import load_model
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.protocol import Searcher, SearchResult

TOLERANCE = 1e-5
Search = Callable[[Sequence[np.ndarray]], "list[SearchResult]"]


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder of any kind")
    parser.add_argument("--graph", type=Path, required=True, help="graph folder")
    parser.add_argument("--feats", type=Path, required=True, help="features of any set")
    parser.add_argument("--utterances", type=int, default=100, help="the shortest ones")
    parser.add_argument("--reference", type=int, default=5, help="of them, by the readable engine")
    parser.add_argument("--batch", type=int, default=20, help="utterances that torch searches side by side")
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--lattice-beam", type=float, default=6.0)
    parser.add_argument("--max-active", type=int, default=7000)
    parser.add_argument("--device", default="cpu", help="of the engine torch")
    return parser.parse_args()


def in_batches(searcher: Searcher, size: int) -> Search:
    """Searches some utterances at a time, the last ones first."""

    def search(scores: Sequence[np.ndarray]) -> list[SearchResult]:
        back = scores[::-1]
        found = [searcher.search(back[i : i + size]) for i in range(0, len(back), size)]
        return [one for batch in found for one in batch][::-1]

    return search


def in_threads(searcher: Searcher, threads: int) -> Search:
    """Searches in threads that share the graph."""

    def search(scores: Sequence[np.ndarray]) -> list[SearchResult]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda one: searcher.search([one])[0], scores))

    return search


def in_chunks(searcher: Searcher, frames: int) -> Search:
    """Opens a stream for each utterance; all move together, until each has ended."""

    def search(scores: Sequence[np.ndarray]) -> list[SearchResult]:
        streams = [searcher.open() for _ in scores]
        for begin in range(0, max(map(len, scores)), frames):
            moving = [i for i, one in enumerate(scores) if len(one) > begin]
            searcher.advance([streams[i] for i in moving], [scores[i][begin : begin + frames] for i in moving])
        return [stream.finish() for stream in streams]

    return search


def arcs_of(lattice: Lattice) -> np.ndarray:
    """Returns frames, labels and scores of all arcs in an order of their own, float64 [arc][6]."""
    frames = lattice.state_frames
    columns = (frames[lattice.sources], frames[lattice.next_states], lattice.transition_ids, lattice.word_ids,
               lattice.graph_scores, lattice.acoustic_scores)  # fmt: skip
    return np.column_stack(columns)[np.lexsort(columns[::-1])].astype(np.float64)


def difference(one: SearchResult, two: SearchResult) -> float:
    """Returns the largest relative difference of two results' scores; inf where anything else differs."""
    facts = [(r.status, r.limited_frames, r.num_frames, r.lattice.num_states, r.lattice.num_arcs) for r in (one, two)]
    if facts[0] != facts[1]:
        return np.inf
    a, b = arcs_of(one.lattice), arcs_of(two.lattice)
    if not np.array_equal(a[:, :4], b[:, :4]):
        return np.inf
    return float((np.abs(a[:, 4:] - b[:, 4:]) / np.maximum(1.0, np.abs(a[:, 4:]))).max(initial=0.0))


def main() -> None:
    """Compares, and prints what was found."""
    options = parse_options()
    loaded, store = load_model(options.model), FeatureStore.open(options.feats).shortest(options.utterances)
    model, graph = loaded.unadapted, DecodingGraph.load(options.graph)
    scale = loaded.acoustic_model.acoustic_scale
    config = SearchConfig(options.beam, options.lattice_beam, options.max_active, acoustic_scale=scale)
    scores = [np.asarray(model.scores(model.pipeline.features(store, name))) for name in store.ids]
    native, torch, reference = (
        make_searcher(name, graph, loaded.transition_model, config, options.device if name == "torch" else "cpu")
        for name in ("native", "torch", "reference")
    )
    ways: dict[str, tuple[Search, int]] = {
        "native, two threads": (in_threads(native, 2), len(scores)),
        "native, chunks of 7 frames": (in_chunks(native, 7), len(scores)),
        f"torch, batches of {options.batch}, the last first": (in_batches(torch, options.batch), len(scores)),
        "torch, streams side by side in chunks of 10 frames": (in_chunks(torch, 10), min(options.batch, len(scores))),
        "reference": (reference.search, min(options.reference, len(scores))),
    }
    begin = time.process_time()
    wanted = native.search(scores)
    arcs, frames = sum(r.lattice.num_arcs for r in wanted), sum(map(len, scores))
    print(f"{len(scores)} utterances, {frames} frames, beam {options.beam:g}: {arcs} arcs by native, "
          f"{time.process_time() - begin:.1f} CPU s\n")  # fmt: skip
    print("| | utterances | same | largest difference of a score | CPU s |\n|---|---|---|---|---|", flush=True)
    good = True
    for name, (search, count) in ways.items():
        begin = time.process_time()
        found = [difference(one, two) for one, two in zip(wanted, search(scores[:count]))]
        same = sum(d <= TOLERANCE for d in found)
        good &= same == count == len(found)
        seconds = time.process_time() - begin
        print(f"| {name} | {count} | {same} | {max(found):.1e} | {seconds:.1f} |", flush=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
