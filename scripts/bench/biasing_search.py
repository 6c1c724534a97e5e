#!/usr/bin/env python3
"""Measures phrases raised in the search, and the same in its lattices: errors on rare words (B-WER) and on the others
(U-WER), CPU seconds of searching with and without a list, of making each list and of opening a graph with it.

    .venv/bin/python scripts/bench/biasing_search.py exp/chain exp/chain/graph feats/dev-clean \
        --lists dev-clean.biasing_100.tsv --boost 4 [--boost 5] [--pairs] [--every 3] [--only 0]

The table has an utterance, its text, its rare words and its list (both JSON). `--pairs` makes phrases of two words of
the list's neighbours beside the words, so that the automaton has states. `--every N --only K` takes utterances K,
K + N, …
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main() -> None:
    """Parses the options and prints a line for each boost and pass."""
    from hybrid.decode.sources import FeatureFolder
    from hybrid.decode.system import SystemSpec, load_system
    from hybrid.lattice.algebra.lattice_biasing import biased
    from hybrid.lattice.determinize import determinize
    from hybrid.lattice.paths import best_path
    from hybrid.search.engines.native import NativeSearcher
    from hybrid.search.raised_graph import raised
    from lm.biasing.bias_list import BiasList, WordFinder
    from scripts.bench.biasing import errors

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "graph", "feats"):
        parser.add_argument(name)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--boost", type=float, action="append", required=True)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", type=int, default=0)
    parser.add_argument("--scores", type=Path, help="keep the scores here, for another run")
    options = parser.parse_args()
    system = load_system(SystemSpec(options.model, options.graph, engine="native"))
    config, words, graph = system.config, system.words, system.searcher.graph
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text, *map(json.loads, lists)) for name, text, *lists in rows}
    source = FeatureFolder(options.feats)
    speech = [item for item in source.utterances()[0] if item.id in table][options.only :: options.every]
    finder, totals = WordFinder(words), {}
    spent = dict.fromkeys(("plain", "search", "list", "open", "lattice"), 0.0)

    def count(key: object, path: object, text: str, rare: set, listed: set) -> None:
        ids = [] if path is None else path.word_ids.tolist()  # type: ignore[attr-defined]
        said = [word for word in (words.symbol(i).lower() for i in ids) if word[0] not in "<!["]
        for k, number in enumerate(errors(text.split(), said, rare, listed)):
            totals.setdefault(key, [0, 0, 0, 0])[k] += number

    for number, item in enumerate(speech):
        scores = _scores(system, source, item, options.scores)
        text, rare, listed = table[item.id]
        phrases = [*listed, *(f"{a} {b}" for a, b in zip(listed, listed[1:]) if options.pairs)]
        if not number:  # compile
            automaton = BiasList.of([(phrase, 1.0, "") for phrase in phrases], finder).automaton()
            NativeSearcher(raised(graph, automaton), config).search([scores[:50]])
            system.searcher.search([scores[:50]])
        clock = time.process_time
        begin = clock()
        (plain,) = system.searcher.search([scores])
        spent["plain"] += clock() - begin
        lattice = determinize(
            plain.lattice, config.lattice_beam, config.scale, phone_starts=system.model.transition_model.phone_starts
        ).lattice
        count("no list", best_path(plain.lattice, config.scale), text, set(rare), set(listed))
        for boost in options.boost:
            begin = clock()
            automaton = BiasList.of([(phrase, boost, "") for phrase in phrases], finder).automaton()
            made = clock()
            searcher = NativeSearcher(raised(graph, automaton), config)
            opened = clock()
            (found,) = searcher.search([scores])
            done = clock()
            second = biased(lattice, automaton)
            spent["lattice"] += clock() - done
            for name, seconds in (("list", made - begin), ("open", opened - made), ("search", done - opened)):
                spent[name] += seconds
            count(f"search, boost {boost:g}", best_path(found.lattice, config.scale), text, set(rare), set(listed))
            from hybrid.lattice.compact import expand

            count(f"lattice, boost {boost:g}", best_path(expand(second), config.scale), text, set(rare), set(listed))
    for key, (bad, of, other_bad, other_of) in totals.items():
        print(f"{key}: B-WER {100 * bad / of:.2f} ({bad} / {of}), U-WER {100 * other_bad / other_of:.2f} "
              f"({other_bad} / {other_of}), WER {100 * (bad + other_bad) / (of + other_of):.2f}")  # fmt: skip
    runs = len(options.boost)
    print(f"{len(speech)} utterances; CPU s of one run: search {spent['plain']:.2f}, with the list "
          f"{spent['search'] / runs:.2f} ({spent['search'] / runs / spent['plain']:.3f} x), making lists "
          f"{spent['list'] / runs:.2f}, opening graphs {spent['open'] / runs:.2f}, lattices "
          f"{spent['lattice'] / runs:.2f}")  # fmt: skip


def _scores(system, source, item, kept):  # type: ignore[no-untyped-def]
    import numpy as np

    file = None if kept is None else kept / f"{item.id}.npy"
    if file is not None and file.exists():
        return np.load(file)
    (scores,) = source.scores(system.model, [item], 100_000)
    if file is not None:
        kept.mkdir(parents=True, exist_ok=True)
        np.save(file, scores)
    return scores


if __name__ == "__main__":
    main()
