#!/usr/bin/env python3
"""Measures the filter of long lists: how many of the rare words that are said stay, and the CPU seconds an utterance.

    .venv/bin/python scripts/bench/phrase_filter.py exp/chain exp/chain/graph scores \
        --lists dev-clean.biasing_1000.tsv --cmudict cmudict.dict [--size 20000 --size 100000] [--count 100]

`scores` is a folder of UTT.npy (`scripts/bench/biasing_search.py --scores`). The list is the rare words of all
utterances and words of CMUdict up to its size; costs of confusions are even, or learnt from every second utterance, and
the others are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main() -> None:
    """Parses the options and prints a line for each size, count and kind of costs."""
    from hybrid.decode.nearest_phrases import heard_phones
    from hybrid.decode.system import SystemSpec, load_system
    from lm.biasing.phone_costs import PhoneCosts
    from lm.biasing.phrase_filter import PhraseFilter

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("graph")
    parser.add_argument("scores", type=Path)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--cmudict", type=Path, required=True)
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--count", type=int, action="append")
    parser.add_argument("--paths", type=int, default=20, help="best word sequences of the first search")
    options = parser.parse_args()
    spoken: dict[str, list[list[str]]] = {}
    for line in options.cmudict.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split("#")[0].split()
        spoken.setdefault(word.split("(")[0], []).append(phones)
    system = load_system(SystemSpec(options.model, options.graph, engine="native"))
    pairs, told, spent = [], [], 0.0
    for line in options.lists.read_text(encoding="utf-8").splitlines():
        name, text, rare, _ = line.split("\t")
        if not (options.scores / f"{name}.npy").exists():
            continue
        (found,) = system.searcher.search([np.load(options.scores / f"{name}.npy")])
        begin = time.process_time()
        heard = heard_phones(system, found, options.paths)
        spent += time.process_time() - begin
        if len(told) % 2 and all(word in spoken for word in text.split()):
            pairs.append(([phone for word in text.split() for phone in spoken[word][0]], heard[0]))
        told.append((heard, [word for word in json.loads(rare) if word in spoken]))
    print(f"{options.paths} word sequences: {spent / len(told):.3f} CPU s an utterance")
    phones = {phone for ways in spoken.values() for way in ways for phone in way}
    rares = sorted({word for _, some in told for word in some})
    rng = np.random.default_rng(1)
    for kind, costs in (("even", PhoneCosts.even(phones)), ("learnt", PhoneCosts.learnt(phones, pairs))):
        for size in options.size or [20_000, 100_000]:
            rest = sorted(set(spoken) - set(rares))
            words = [*rares, *rng.choice(rest, size - len(rares), replace=False)]
            begin = time.process_time()
            sounds = PhraseFilter.of([(word,) for word in words], spoken, costs)
            made, seconds, kept = time.process_time() - begin, 0.0, dict.fromkeys(options.count or [100, 300, 1000], 0)
            whole = 0
            sounds.distances(told[0][0][0][:2])
            for heard, some in told[::2]:
                begin = time.process_time()
                near = [words[number] for number in sounds.keep(heard, max(kept))]
                seconds += time.process_time() - begin
                whole += len(some)
                for count in kept:
                    kept[count] += len(set(some) & set(near[:count]))
            shares = ", ".join(f"{count} kept: {100 * n / whole:.1f} %" for count, n in kept.items())
            print(f"{kind} costs, {size} phrases: {shares} of {whole} rare words; made in {made:.2f} CPU s, "
                  f"{seconds / len(told[::2]):.3f} CPU s an utterance", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
