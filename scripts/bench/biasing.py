#!/usr/bin/env python3
"""Measures biasing of lattices with a list of phrases for each utterance: errors on the rare words (B-WER) and on the
others (U-WER), as Le et al. (2021) count them, for several boosts; CPU seconds of making the lists and of biasing.

    .venv/bin/python scripts/bench/biasing.py fg.lat.gz --words graph/words.txt --acoustic-scale 1.0 \
        --lists dev-clean.biasing_100.tsv [--boost 1 --boost 2]

The table has an utterance, its text, its rare words and its list (both JSON). An inserted word counts as rare if the
list has it. Every second utterance makes a half: the boost of lowest WER on one half is reported on the other.
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


def rates(counts: list[int]) -> str:
    """Returns B-WER, U-WER and WER of what `errors` counted, in words."""
    bad, of, other_bad, other_of = counts
    return (f"B-WER {100 * bad / of:.2f} ({bad} / {of}), U-WER {100 * other_bad / other_of:.2f} ({other_bad} / "
            f"{other_of}), WER {100 * (bad + other_bad) / (of + other_of):.2f}")  # fmt: skip


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
    parser.add_argument("--out", type=Path, help="write the lines here")
    options = parser.parse_args()
    words = SymbolTable.read(options.words)
    finder = WordFinder(words)
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text, *map(json.loads, lists)) for name, text, *lists in rows}
    boosts = [0.0, *(options.boost or [1.0, 2.0, 3.0])]
    halves, making, biasing = [{boost: [0, 0, 0, 0] for boost in boosts} for _ in range(2)], 0.0, 0.0
    outside = 0
    for number, (name, compact) in enumerate(read_compact_folder(options.lattices)):
        if name not in table:
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
                halves[number % 2][boost][k] += count
    both = {boost: [a + b for a, b in zip(halves[0][boost], halves[1][boost])] for boost in boosts}
    told = [f"boost {boost:g}: {rates(counts)}" for boost, counts in both.items()]
    crossed, plain = [0, 0, 0, 0], both[0.0]
    for half, other in (halves, halves[::-1]):
        best = min(boosts, key=lambda boost: half[boost][0] + half[boost][2])
        told.append(f"chosen on one half {best:g}, on the other: {rates(other[0.0])} -> {rates(other[best])}")
        crossed = [a + b for a, b in zip(crossed, other[best])]
    less, more = 1 - crossed[0] / max(plain[0], 1), 100 * (crossed[2] - plain[2]) / max(plain[3], 1)
    told.append(f"both: {rates(plain)} -> {rates(crossed)}; B-WER {100 * less:.1f} % lower, U-WER {more:+.2f}")
    told += [f"{outside} rare words are not in {options.words.name}; lists {making:.2f}, biasing {biasing:.2f} CPU s"]
    if options.out is None:
        print("\n".join(told))
    else:
        options.out.write_text("".join(f"{line}\n" for line in told), encoding="utf-8")


if __name__ == "__main__":
    main()
