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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hybrid.decode.sources import FeatureFolder  # noqa: E402
from hybrid.decode.system import SystemSpec, load_system  # noqa: E402
from hybrid.lattice.algebra.lattice_biasing import biased  # noqa: E402
from hybrid.lattice.compact import expand  # noqa: E402
from hybrid.lattice.determinize import determinize  # noqa: E402
from hybrid.lattice.paths import best_path  # noqa: E402
from hybrid.search.engines.native import NativeSearcher  # noqa: E402
from hybrid.search.raised_graph import raised  # noqa: E402
from lexicon.symbols import SymbolTable  # noqa: E402
from lm.biasing.bias_list import BiasList, WordFinder  # noqa: E402
from scripts.bench.biasing import errors  # noqa: E402


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "graph", "feats"):
        parser.add_argument(name)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--boost", type=float, action="append", required=True)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", type=int, default=0)
    parser.add_argument("--scores", type=Path, help="keep the scores here, for another run")
    return parser.parse_args()


class Tally:
    """Errors by way of searching, and CPU seconds by step."""

    def __init__(self, words: SymbolTable) -> None:
        self.words, self.errors = words, {}
        self.spent = dict.fromkeys(("plain", "search", "list", "open", "lattice"), 0.0)

    def count(self, key: str, path: Any, text: str, rare: set[str], listed: set[str]) -> None:
        """Counts the errors of a best path on rare words and on others."""
        ids = [] if path is None else path.word_ids.tolist()
        said = [word for word in (self.words.symbol(i).lower() for i in ids) if word[0] not in "<!["]
        for k, number in enumerate(errors(text.split(), said, rare, listed)):
            self.errors.setdefault(key, [0, 0, 0, 0])[k] += number

    def timed(self, step: str, work: Callable[[], Any]) -> Any:
        """Returns what some work gives; its seconds belong to a step."""
        begin = time.process_time()
        result = work()
        self.spent[step] += time.process_time() - begin
        return result

    def tell(self, utterances: int, runs: int) -> None:
        """Prints what was counted."""
        for key, (bad, of, other_bad, other_of) in self.errors.items():
            print(f"{key}: B-WER {100 * bad / of:.2f} ({bad} / {of}), U-WER {100 * other_bad / other_of:.2f} "
                  f"({other_bad} / {other_of}), WER {100 * (bad + other_bad) / (of + other_of):.2f}")  # fmt: skip
        each = {step: seconds / runs for step, seconds in self.spent.items()}
        plain = self.spent["plain"]
        print(f"{utterances} utterances; CPU s of one run: search {plain:.2f}, with the list {each['search']:.2f} "
              f"({each['search'] / plain:.3f} x), making lists {each['list']:.2f}, opening graphs {each['open']:.2f}, "
              f"lattices {each['lattice']:.2f}")  # fmt: skip


def main() -> None:
    """See the module."""
    options = parse_options()
    system = load_system(SystemSpec(options.model, options.graph, engine="native"))
    config, graph, starts = system.config, system.searcher.graph, system.model.transition_model.phone_starts
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text, *map(json.loads, lists)) for name, text, *lists in rows}
    source = FeatureFolder(options.feats)
    speech = [item for item in source.utterances()[0] if item.id in table][options.only :: options.every]
    finder, tally = WordFinder(system.words), Tally(system.words)
    for number, item in enumerate(speech):
        scores = utterance_scores(system, source, item, options.scores)
        text, rare, listed = table[item.id]
        phrases = [*listed, *(f"{a} {b}" for a, b in zip(listed, listed[1:]) if options.pairs)]
        if not number:  # compile
            automaton = _automaton([(phrase, 1.0, "") for phrase in phrases], finder)
            NativeSearcher(raised(graph, automaton), config).search([scores[:50]])
            system.searcher.search([scores[:50]])
        (plain,) = tally.timed("plain", partial(system.searcher.search, [scores]))
        lattice = determinize(plain.lattice, config.lattice_beam, config.scale, phone_starts=starts).lattice
        known = text, set(rare), set(listed)
        tally.count("no list", best_path(plain.lattice, config.scale), *known)
        for boost in options.boost:
            boosted = [(phrase, boost, "") for phrase in phrases]
            automaton = tally.timed("list", partial(_automaton, boosted, finder))
            searcher = tally.timed("open", partial(_raised, graph, automaton, config))
            (found,) = tally.timed("search", partial(searcher.search, [scores]))
            second = tally.timed("lattice", partial(biased, lattice, automaton))
            tally.count(f"search, boost {boost:g}", best_path(found.lattice, config.scale), *known)
            tally.count(f"lattice, boost {boost:g}", best_path(expand(second), config.scale), *known)
    tally.tell(len(speech), len(options.boost))


def _automaton(boosted: list[tuple[str, float, str]], finder: WordFinder) -> Any:
    return BiasList.of(boosted, finder).automaton()


def _raised(graph: Any, automaton: Any, config: Any) -> NativeSearcher:
    return NativeSearcher(raised(graph, automaton), config)


def utterance_scores(system: Any, source: FeatureFolder, item: Any, kept: Path | None) -> Any:
    """Returns the scores of an utterance, float32 [frame][pdf_id], and keeps them in a folder, or finds them there."""
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
