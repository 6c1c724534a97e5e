#!/usr/bin/env python3
"""Measures neural rescoring beside the search that made the lattices: CPU seconds of both, in turns.

    .venv/bin/python scripts/bench/neural_rescoring.py --model exp/chain --graph exp/chain/graph_tg \
        --feats exp/hires/dev --lattices exp/chain/fg.dev.gz --lm exp/lstm_lm --old-lm data/fg.arpa.gz --utterances 30

Scores of the acoustic model, and what is loaded, are counted for neither.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from pathlib import Path

import torch

from hybrid.decode.sources import FeatureFolder
from hybrid.graph.decoding import DecodingGraph
from hybrid.lattice.archive import read_compact_folder
from hybrid.model.folder import load_model
from hybrid.rescore.histories import NeuralHistories
from hybrid.rescore.ngram_swap import WordModel
from hybrid.rescore.second_pass import SecondPassConfig, second_pass
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from lexicon.symbols import SymbolTable
from lm.neural.folder import load_neural_lm


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--graph", type=Path, required=True, help="graph folder")
    parser.add_argument("--feats", type=Path, required=True, help="feature store")
    parser.add_argument("--lattices", type=Path, required=True, help="determinised lattices of these utterances")
    parser.add_argument("--lm", type=Path, required=True, help="neural model")
    parser.add_argument("--old-lm", type=Path, required=True, help="ARPA whose exact scores the lattices hold")
    parser.add_argument("--utterances", type=int, default=30, help="the first ones of the lattices")
    parser.add_argument("--methods", default="arcs,compose,nbest", help="of rescoring")
    parser.add_argument("--compose", default="8:4", help="beam and order of compose: BEAM:ORDER, several with commas")
    parser.add_argument("--beam", type=float, default=15.0)
    parser.add_argument("--lattice-beam", type=float, default=8.0)
    parser.add_argument("--max-active", type=int, default=7000)
    return parser.parse_args()


def main() -> None:
    """Prints a line of each."""
    options = parse_options()
    torch.set_num_threads(1)
    model, graph = load_model(options.model), DecodingGraph.load(options.graph)
    config = SearchConfig(options.beam, options.lattice_beam, options.max_active,
                          acoustic_scale=model.acoustic_model.acoustic_scale)  # fmt: skip
    searcher = make_searcher("native", graph.fst, model.transition_model, config)
    table = SymbolTable.read(options.graph / "words.txt")
    lm, old = load_neural_lm(options.lm), WordModel.read(options.old_lm, table)
    chosen = dict(itertools.islice(read_compact_folder(options.lattices), options.utterances))
    source = FeatureFolder(str(options.feats))
    speech = [utterance for utterance in source.utterances()[0] if utterance.id in chosen]
    scores = {u.id: matrix for u, matrix in zip(speech, source.scores(model, speech)) if not isinstance(matrix, str)}
    names = list(scores)
    seconds = sum(len(matrix) for matrix in scores.values()) * model.frame_shift

    def search(some: list[str]) -> None:
        for name in some:
            searcher.search([scores[name]])

    def rescore(settings: SecondPassConfig, some: list[str]) -> None:
        lattices = [(name, chosen[name]) for name in some]
        histories = lambda: NeuralHistories(lm, table, torch.device("cpu"))  # noqa: E731
        list(second_pass(lattices, histories, config.acoustic_scale or 1.0, settings, old))

    settings = {m: SecondPassConfig(m) for m in options.methods.split(",") if m != "compose"}
    if "compose" in options.methods:
        pairs = (pair.split(":") for pair in options.compose.split(","))
        settings |= {f"compose {b}:{n}": SecondPassConfig("compose", beam=float(b), order=int(n)) for b, n in pairs}
    work = {"search": search} | {name: functools.partial(rescore, one) for name, one in settings.items()}
    for run in work.values():
        run(names[:1])  # compiles
    spent = dict.fromkeys(work, 0.0)
    for begin in range(0, len(names), 16):
        for name, run in work.items():
            start = time.process_time()
            run(names[begin : begin + 16])
            spent[name] += time.process_time() - start
    for name, used in spent.items():
        share = used / spent["search"]
        print(f"{name}: {used:.2f} CPU s, real-time factor {used / seconds:.4f}, {share:.3f} of the search")


if __name__ == "__main__":
    main()
