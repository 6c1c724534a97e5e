#!/usr/bin/env python3
"""Measures lists of phrases with words that the graph lacks: errors on rare words (B-WER; beside them those on rare
words outside the vocabulary) and on the others (U-WER), without a list, with the words that are known, and with the
others in the graph's place for new words, spoken as a G2P model guesses them.

    .venv/bin/python scripts/bench/biasing_new_words.py exp/chain exp/chain/graph_open feats/dev-clean \
        --lists dev-clean.biasing_100.tsv --g2p g2p.arpa.gz --boost 6 --every 2 --only 1 --count 80

The graph is one of `--open`. The table has an utterance, its text, its rare words and its list (both JSON). Utterances
K, K + N, … are taken (`--every N --only K`), at most `--count`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import hybrid.decode.raised_phrases as phrases  # noqa: E402
from hybrid.decode.sources import FeatureFolder  # noqa: E402
from hybrid.decode.system import System, SystemSpec, load_system  # noqa: E402
from hybrid.lattice.paths import best_path  # noqa: E402
from lm.g2p.guesser import g2p_guesser  # noqa: E402
from scripts.bench.biasing import errors  # noqa: E402
from scripts.bench.biasing_search import utterance_scores  # noqa: E402


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "graph", "feats"):
        parser.add_argument(name)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--g2p", type=Path, required=True)
    parser.add_argument("--boost", type=float, action="append", required=True)
    parser.add_argument("--probability", type=float, default=phrases.NEW_PROBABILITY, help="of a new word")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--scores", type=Path, help="keep the scores here, for another run")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    phrases.NEW_PROBABILITY = options.probability
    plain = load_system(SystemSpec(options.model, options.graph, engine="native"))
    guessing = replace(plain, guess=g2p_guesser(options.g2p))
    rows = [line.split("\t") for line in options.lists.read_text(encoding="utf-8").splitlines()]
    table = {name: (text, *map(json.loads, lists)) for name, text, *lists in rows}
    source = FeatureFolder(options.feats)
    speech = [item for item in source.utterances()[0] if item.id in table]
    speech = speech[options.only :: options.every][: options.count]
    tally: dict[str, Counter[str]] = {}
    for item in speech:
        scores = utterance_scores(plain, source, item, options.scores)
        text, rare, listed = table[item.id]
        for boost in (0.0, *options.boost):
            for name, system in (("known words", plain), ("and new words", guessing))[: 2 if boost else 1]:
                key = f"{name}, boost {boost:g}" if boost else "no list"
                lines = [(word, boost, "") for word in listed] if boost else []
                count(tally.setdefault(key, Counter()), plain, system, lines, scores, text, set(rare), set(listed))
    for key, counts in tally.items():
        shares = (f"{kind} {100 * counts[kind] / max(of := counts[kind + ' of'], 1):.2f} ({counts[kind]} / {of})"
                  for kind in ("B-WER", "outside", "U-WER", "WER"))  # fmt: skip
        print(f"{key}: {', '.join(shares)}; CPU ms an utterance: list {counts['list'] / len(speech):.0f}, "
              f"search {counts['search'] / len(speech):.0f}")  # fmt: skip


def count(
    counts: Counter[str], plain: System, system: System, lines: Sequence[tuple[str, float, str]], scores: object,
    text: str, rare: set[str], listed: set[str],
) -> None:  # fmt: skip
    """Counts what is wrong in an utterance with a list, and the CPU milliseconds of opening it and of searching."""
    begin = time.process_time()
    raised = phrases.with_phrases(system, lines) if lines else system
    opened = time.process_time()
    (result,) = raised.search([scores])
    counts["search"] += 1000 * (time.process_time() - opened)
    counts["list"] += 1000 * (opened - begin)
    path = best_path(result.lattice, raised.config.scale)
    ids = [] if path is None else path.word_ids.tolist()
    said = [word for word in (raised.words.symbol(i).lower() for i in ids) if word[0] not in "<!["]
    outside = {word for word in rare if word.upper() not in plain.words}
    bad, of, other_bad, other_of = errors(text.split(), said, rare, listed)
    out_bad, out_of, *_ = errors(text.split(), said, outside, outside)
    rates = {"B-WER": (bad, of), "outside": (out_bad, out_of), "U-WER": (other_bad, other_of),
             "WER": (bad + other_bad, of + other_of)}  # fmt: skip
    counts.update({kind: wrong for kind, (wrong, _) in rates.items()})
    counts.update({f"{kind} of": words for kind, (_, words) in rates.items()})


if __name__ == "__main__":
    main()
