#!/usr/bin/env python3
"""Measures what a search takes in memory above Python with its imports, with threads and with processes side by side.

    .venv/bin/python scripts/bench/search_memory.py --model exp/tri2b --graph exp/tri2b/graph_tg \
        --feats exp/feats/dev-clean

Every process loads the graph and searches the same utterances. Peaks count pages of the mapped graph in each process;
the proportional share (PSS of Linux) counts a page that several have in common once among them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder of any kind")
    parser.add_argument("--graph", type=Path, required=True, help="graph folder")
    parser.add_argument("--feats", type=Path, required=True, help="features of a set")
    parser.add_argument("--utterances", type=int, default=6, help="the shortest ones")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def status(field: str) -> float:
    """Returns a line of this process's memory, in MB."""
    names = ("status", "smaps_rollup")
    lines = [line for name in names for line in Path(f"/proc/self/{name}").read_text().splitlines()]
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{field}:"))


def work(options: argparse.Namespace) -> None:
    """One process: searches, tells what it takes, and waits until all have told."""
    import numpy as np

    from hybrid.feats.store import FeatureStore
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.model.folder import load_model
    from hybrid.search.choose import make_searcher
    from hybrid.search.config import SearchConfig

    loaded, store = load_model(options.model), FeatureStore.open(options.feats).shortest(options.utterances)
    model = loaded.unadapted
    scores = [np.asarray(model.scores(model.pipeline.features(store, u))) for u in store.ids]
    config = SearchConfig(acoustic_scale=loaded.acoustic_model.acoustic_scale)
    tiny = _tiny_search(config, scores[0].shape[1])  # kernels are loaded, as imports are
    begin = {name: status(name) for name in ("VmRSS", "Pss")}
    searcher = make_searcher("native", DecodingGraph.load(options.graph), loaded.transition_model, config)

    def search(i: int) -> Any:
        return [searcher.search([each])[0].status for each in scores[i :: options.threads]]

    with ThreadPoolExecutor(options.threads) as pool:
        done = list(pool.map(search, range(options.threads)))
    print("ready", flush=True)
    sys.stdin.readline()
    found = {"peak": status("VmHWM") - begin["VmRSS"], "share": status("Pss") - begin["Pss"], "imports": begin["VmRSS"]}
    print(json.dumps(found | {"done": sum(map(len, done)), "tiny": tiny}), flush=True)
    sys.stdin.readline()


def _tiny_search(config: Any, num_pdfs: int) -> str:
    """Searches a graph of one state."""
    import numpy as np

    from hybrid.formats.openfst import FstArrays
    from hybrid.search.engines.native import NativeSearcher
    from hybrid.search.graph import SearchGraph

    one, none = np.ones(1, np.int32), np.zeros(1, np.int32)
    fst = FstArrays.from_arcs(0, none, one, none, none, np.zeros(1), np.zeros(1))
    graph = SearchGraph.from_fst(fst, np.array([-1, 0]), num_pdfs)
    return NativeSearcher(graph, config).search([np.zeros((60, num_pdfs), np.float32)])[0].status


def together(options: argparse.Namespace, processes: int, threads: int) -> list[dict]:
    """Runs processes side by side; returns what each tells while all are there."""
    given = [*sys.argv[1:], "--worker", "--threads", str(threads)]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; sys.argv[0] = "
               f"{__file__!r}; runpy.run_path({__file__!r}, run_name='__main__')", *given]  # fmt: skip
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    found = []
    for child in children:
        assert child.stdout and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin and child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        found.append(json.loads(child.stdout.readline()))
    for child in children:
        child.communicate("\n")
    return found


def main() -> None:
    """Measures and prints a table."""
    options = parse_options()
    if options.worker:
        work(options)
        return
    size = (options.graph / "HCLG.fst").stat().st_size / 1e6
    print(f"HCLG.fst has {size:.0f} MB; wanted at most {1.3 * size + 50:.0f} MB above Python with its imports\n")
    print("| processes | threads in each | imports, MB | highest peak above, MB | shares of all together, MB |")
    print("|---|---|---|---|---|")
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
        found = together(options, processes, threads)
        peak, share = max(each["peak"] for each in found), sum(each["share"] for each in found)
        print(f"| {processes} | {threads} | {found[0]['imports']:.0f} | {peak:.0f} | {share:.0f} |", flush=True)


if __name__ == "__main__":
    main()
