#!/usr/bin/env python3
"""Measures contextual spelling correction: errors on rare words (B-WER) and on the others (U-WER), by what may change.

    .venv/bin/python scripts/bench/correction.py exp/chain/decode_dev --graph exp/chain/graph --cmudict cmudict.dict \
        --lists dev-clean.biasing_100.tsv --acoustic-scale 1 [--below 0.7] [--farthest 0.2 --farthest 0.3] [--half 1]

Costs of confusions are learnt from every second utterance (`--half` takes the others), pronunciations are CMUdict's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def heard_words(folder: Path, words, scale: float):  # type: ignore[no-untyped-def]
    """Returns utterance → words of its best path, and their confidences."""
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.compact import expand
    from hybrid.lattice.mbr import mbr_decode
    from hybrid.lattice.paths import best_path

    heard = {}
    for name, compact in read_compact_folder(folder):
        path = best_path(expand(compact), scale)
        ids = [] if path is None else path.word_ids
        sure = mbr_decode(compact, scale, words=ids, fixed=True).confidences if len(ids) else []
        rows = [(words.symbol(int(i)).lower(), float(c)) for i, c in zip(ids, sure)]
        heard[name] = [row for row in rows if row[0][0] not in "<!["]
    return heard


def main() -> None:
    """Parses the options and prints a line for each setting."""
    from hybrid.graph.decoding import DecodingGraph
    from lm.biasing.correction import Corrector, corrected
    from lm.biasing.correction_config import CorrectionConfig
    from lm.biasing.phone_costs import PhoneCosts
    from lm.biasing.phrase_filter import PhraseFilter
    from scripts.bench.biasing import errors

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lattices", type=Path)
    for name in ("graph", "cmudict", "lists"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--acoustic-scale", type=float, default=1.0)
    parser.add_argument("--below", type=float, action="append")
    parser.add_argument("--farthest", type=float, action="append")
    parser.add_argument("--half", type=int, choices=[0, 1], default=1)
    options = parser.parse_args()
    spoken: dict[str, list[list[str]]] = {}
    for line in options.cmudict.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split("#")[0].split()
        spoken.setdefault(word.split("(")[0], []).append(phones)
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text.split(), *map(json.loads, lists)) for name, text, *lists in rows}
    heard = heard_words(options.lattices, DecodingGraph.load(options.graph).words, options.acoustic_scale)
    names = [name for name in heard if name in table]
    said = {name: [word for word, _ in heard[name]] for name in names}
    phones = {phone for ways in spoken.values() for way in ways for phone in way}
    pairs = [
        tuple([phone for word in some for phone in spoken[word][0]] for some in (table[name][0], said[name]))
        for name in names[1 - options.half :: 2]
        if all(word in spoken for word in (*table[name][0], *said[name]))
    ]
    for kind, costs in (("even", PhoneCosts.even(phones)), ("learnt", PhoneCosts.learnt(phones, pairs))):
        for below in options.below or [0.0, 0.7, 0.9]:
            for farthest in options.farthest or [0.2, 0.3]:
                counts, changes, begin = [0, 0, 0, 0], 0, time.process_time()
                for name in names[options.half :: 2]:
                    text, rare, listed = table[name]
                    sounds = PhraseFilter.of([(word,) for word in listed], spoken, costs)
                    corrector = Corrector(listed, sounds, spoken, CorrectionConfig(below, farthest))
                    found = corrector(said[name], [sure for _, sure in heard[name]])
                    changes += len(found)
                    now = corrected(said[name], found)
                    counts = [a + b for a, b in zip(counts, errors(text, now, set(rare), set(listed)))]
                bad, of, other_bad, other_of = counts
                print(f"{kind} costs, below {below:g}, farthest {farthest:g}: {changes} changes; B-WER "
                      f"{100 * bad / of:.2f} ({bad} / {of}), U-WER {100 * other_bad / other_of:.2f} ({other_bad} / "
                      f"{other_of}), WER {100 * (bad + other_bad) / (of + other_of):.2f}; "
                      f"{time.process_time() - begin:.1f} CPU s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
