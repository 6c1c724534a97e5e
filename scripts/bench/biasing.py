#!/usr/bin/env python3
"""Measures biasing of lattices with a list of phrases for each utterance: errors on the rare words (B-WER) and on the
others (U-WER), as Le et al. (2021) count them, for several boosts; CPU seconds of making the lists and of biasing.

    .venv/bin/python scripts/bench/biasing.py fg.lat.gz --words graph/words.txt --acoustic-scale 1.0 \
        --lists dev-clean.biasing_100.tsv [--boost 1 --boost 2] [--half 0]

The table has an utterance, its text, its rare words and its list (both JSON). An inserted word counts as rare if the
list has it. `--half 0` and `1` take every second utterance, to choose a boost on one half and report the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

GAP = "*"


def errors(text: list[str], said: list[str], rare: set[str], listed: set[str]) -> list[int]:
    """Returns errors and words of the text: on rare words, on the others."""
    from kaldialign import align

    counts = [0, 0, 0, 0]
    for wanted, found in align(text, said, GAP):
        of_rare = found in listed if wanted == GAP else wanted in rare
        counts[0 if of_rare else 2] += wanted != found
        counts[1 if of_rare else 3] += wanted != GAP
    return counts


def main() -> None:
    """Parses the options and prints a line for each boost."""
    from hybrid.lattice.algebra.lattice_biasing import biased
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.compact import expand
    from hybrid.lattice.paths import best_path
    from lexicon.symbols import SymbolTable
    from lm.biasing.bias_list import BiasList, WordFinder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lattices", type=Path)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--acoustic-scale", type=float, default=0.1)
    parser.add_argument("--boost", type=float, action="append")
    parser.add_argument("--half", type=int, choices=[0, 1])
    parser.add_argument("--out", type=Path, help="write the lines here")
    options = parser.parse_args()
    words = SymbolTable.read(options.words)
    finder = WordFinder(words)
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text, *map(json.loads, lists)) for name, text, *lists in rows}
    boosts = [0.0, *(options.boost or [1.0, 2.0, 3.0])]
    totals, making, biasing = {boost: [0, 0, 0, 0] for boost in boosts}, 0.0, 0.0
    outside = 0
    for number, (name, compact) in enumerate(read_compact_folder(options.lattices)):
        if name not in table or options.half not in (None, number % 2):
            continue
        text, rare, listed = table[name]
        outside += sum(word in rare and word.upper() not in words for word in text.split())
        for boost in boosts:
            begin = time.process_time()
            automaton = BiasList.of([(phrase, boost, "") for phrase in listed], finder).automaton()
            middle = time.process_time()
            lattice = biased(compact, automaton)
            making, biasing = making + middle - begin, biasing + time.process_time() - middle
            path = best_path(expand(lattice), options.acoustic_scale)
            said = [words.symbol(word).lower() for word in ([] if path is None else path.word_ids.tolist())]
            said = [word for word in said if word[0] not in "<!["]
            for k, count in enumerate(errors(text.split(), said, set(rare), set(listed))):
                totals[boost][k] += count
    told = [
        f"boost {boost:g}: B-WER {100 * bad / of:.2f} ({bad} / {of}), U-WER {100 * other_bad / other_of:.2f} "
        f"({other_bad} / {other_of}), WER {100 * (bad + other_bad) / (of + other_of):.2f}"
        for boost, (bad, of, other_bad, other_of) in totals.items()
    ]
    told += [f"{outside} rare words are not in {options.words.name}; lists {making:.2f}, biasing {biasing:.2f} CPU s"]
    if options.out is None:
        print("\n".join(told))
    else:
        options.out.write_text("".join(f"{line}\n" for line in told), encoding="utf-8")


if __name__ == "__main__":
    main()
