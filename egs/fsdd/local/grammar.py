"""Writes a grammar of words of equal chance as G.fst: `loop` any number of them, `single` exactly one.

grammar.py --kind loop --words data/lang/words.txt --out data/lang/G_loop.fst ZERO ONE …
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from hybrid.base.artifact import write_meta
from hybrid.base.errors import HybridError, InputError
from hybrid.formats.openfst import FstArrays, write_fst
from lexicon.symbols import SymbolTable


def grammar(word_ids: list[int], kind: str) -> FstArrays:
    """Builds the acceptor; costs are negative logs of chances that sum to one in each state.

    Args:
      word_ids: each once.
      kind: "loop" (each of the words, or the end, has the same chance) or "single".
    """
    count, loop = len(word_ids), kind == "loop"
    cost = math.log(count + 1) if loop else math.log(count)
    labels = np.array(sorted(word_ids), np.int32)
    return FstArrays(
        start=0,
        row_splits=np.array([0, count] if loop else [0, count, count], np.int64),
        ilabels=labels,
        olabels=labels,
        next_states=np.full(count, 0 if loop else 1, np.int32),
        costs=np.full(count, cost, np.float32),
        final_costs=np.array([cost] if loop else [np.inf, 0.0], np.float32),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a grammar of words of equal chance as G.fst.")
    parser.add_argument("--kind", choices=["loop", "single"], required=True)
    parser.add_argument("--words", type=Path, required=True, help="words.txt")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("vocabulary", nargs="+")
    options = parser.parse_args()
    table = SymbolTable.read(options.words)
    for word in options.vocabulary:
        if word not in table:
            raise InputError.at(options.words, f"has no word '{word}'", "Add it to the lexicon.")
    write_fst(options.out, grammar([table[word] for word in options.vocabulary], options.kind))
    write_meta(options.out, "G", {"kind": options.kind}, {"words": options.words})


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"grammar.py: {error}")
