#!/usr/bin/env python3
"""Measures a graph with filled slots beside the graph with the same words compiled into it: words, scores, CPU time.

    hybrid lm fst rare.arpa.gz --lang data/lang --out G.fst           # rare words of the text are $RARE
    hybrid graph compile … --grammar G.fst --class RARE=rare.txt --out-dir static
    hybrid graph compile … --grammar G.fst --slot RARE --out-dir open
    hybrid gmm scores --model exp/tri3b --feats exp/feats/dev --out scores.ark
    .venv/bin/python scripts/bench/slots.py --model exp/tri3b --static static --open open --fill RARE=rare.txt \\
        --scores scores.ark --utterances 200 --add 100

Prints the CPU seconds of filling the slot; how many best paths have the same words, how far their scores differ, the
CPU seconds of both searches and their ratio; and, where the graph takes new words, what adding `--add` of them takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from hybrid.decode.system import SystemSpec, load_system
from hybrid.formats.kaldi_io import read_matrices
from hybrid.lattice.paths import best_path
from hybrid.recogniser import Recogniser
from hybrid.search.config import SearchConfig


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--static", type=Path, required=True, help="graph with the list compiled into it")
    parser.add_argument("--open", type=Path, required=True, help="graph with the slot")
    parser.add_argument("--fill", required=True, metavar="SLOT=LIST")
    parser.add_argument("--scores", type=Path, required=True, help="Kaldi archive of log-likelihoods")
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--add", type=int, default=0, help="new words, where the open graph takes some")
    return parser.parse_args()


def spent(work: Callable[[], object]) -> tuple[float, object]:
    """Returns the CPU seconds of a call, and what it gave."""
    before = time.process_time()
    value = work()
    return time.process_time() - before, value


def add_words(recogniser: Recogniser, count: int) -> None:
    """Prints what it takes to add words one after the other."""
    known = iter(sorted(w for w in recogniser.system.graph.lexicon if w.isalpha()))
    seconds = []
    for number in range(count):
        pronunciation = recogniser.system.graph.lexicon[next(known)][0]
        seconds.append(spent(lambda n=number, p=pronunciation: recogniser.add_word(f"NEW{n}", [p]))[0])
    print(
        f"a new word: median {1e3 * np.median(seconds):.1f} ms, 95th percentile {1e3 * np.percentile(seconds, 95):.1f}"
    )


def main() -> None:
    """Searches the same scores in both graphs, in turns."""
    options = parse_options()
    slot, _, file = options.fill.partition("=")
    search = SearchConfig(beam=options.beam)
    static = Recogniser(load_system(SystemSpec(str(options.model), str(options.static), search=search)))
    filled = Recogniser(load_system(SystemSpec(str(options.model), str(options.open), search=search)))
    print(f"filling, first: {spent(lambda: filled.fill({slot: file}))[0]:.3f} CPU s")
    print(f"filling, again: {spent(lambda: filled.fill({slot: file}))[0]:.3f} CPU s")
    same, worst, count, totals = 0, 0.0, 0, np.zeros(2)
    for _, scores in islice(read_matrices(options.scores), options.utterances + 1):
        texts, values = [], []
        for number, system in enumerate((static.system, filled.system)):
            seconds, (result,) = spent(lambda s=system, x=scores: s.search([x]))
            path = best_path(result.lattice, system.config.scale)
            texts.append([] if path is None else [system.words.symbol(w) for w in path.word_ids.tolist()])
            values.append(0.0 if path is None else path.score(system.config.scale))
            totals[number] += seconds if count else 0.0  # the first one warms up
        count += 1
        same += texts[0] == texts[1]
        worst = max(worst, abs(values[0] - values[1]) / max(1.0, abs(values[0])))
    print(f"{same} of {count} best paths have the same words; scores differ by at most {worst:.1e}, relatively")
    print(f"search: static {totals[0]:.1f} CPU s, filled {totals[1]:.1f}, ratio {totals[1] / max(totals[0], 1e-9):.3f}")
    if options.add and filled.can_add():
        add_words(filled, options.add)


if __name__ == "__main__":
    main()
