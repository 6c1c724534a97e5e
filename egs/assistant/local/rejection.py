"""Counts false rejections and false acceptances of a grammar; the setting is chosen on one half of the test.

    rejection.py --grammar data/inside.gram --asked data/text/test --out exp/rejection.tsv 0.9=exp/chain/garbage_0.9 …

Each folder is what `hybrid decode` wrote with a graph of the grammar and so much `--garbage`. An utterance without
words is rejected. Odd utterances choose, even ones are told, and the other way round: of the settings with at most 2 %
false rejections the one with the fewest false acceptances, the most lenient of equal ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError
from hybrid.score.transcripts import read_table
from lm.grammar.automaton import automaton_of
from lm.grammar.load import read_grammar
from lm.grammar.parse import stop_of

BAR = 0.02  # of false rejections
Counts = tuple[int, int, int, int]


def count(names: Sequence[str], inside: Set[str], rejected: Set[str]) -> Counts:
    """Returns false rejections, sentences inside, false acceptances, sentences outside."""
    own = inside & set(names)
    other = set(names) - inside
    return len(own & rejected), len(own), len(other - rejected), len(other)


def choose(names: Sequence[str], inside: Set[str], rejected: Mapping[str, Set[str]]) -> str:
    """Returns the setting for some utterances; the most lenient, the first, if all reject too much."""
    found = {label: count(names, inside, some) for label, some in rejected.items()}
    allowed = [label for label, (false, own, _, _) in found.items() if false <= BAR * own]
    return min(allowed, key=lambda label: found[label][2], default=next(iter(found)))


def row_of(label: str, utterances: str, counts: Counts) -> str:
    """Returns a line of the table."""
    false, own, accepted, other = counts
    shares = f"{100 * false / max(own, 1):.1f}", f"{100 * accepted / max(other, 1):.1f}"
    return "\t".join([label, utterances, str(false), str(own), shares[0], str(accepted), str(other), shares[1]]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts false rejections and false acceptances.")
    for name in ("grammar", "asked", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("decoded", nargs="+", metavar="GARBAGE=FOLDER")
    options = parser.parse_args()
    asked, rejected = read_table(options.asked), {}
    words = {name: [word.lower() for word in some] for name, some in asked.items()}
    automaton = automaton_of(read_grammar(options.grammar, None))
    inside = {name for name, some in words.items() if stop_of(automaton, some) is None}
    for label, _, folder in (pair.partition("=") for pair in options.decoded):
        heard = read_table(Path(folder) / "transcript.txt")
        rejected[label] = {name for name in asked if not heard.get(name)}
    names = sorted(asked)
    rows = ["garbage\tutterances\tfalse rejections\tinside\t%\tfalse acceptances\toutside\t%\n"]
    rows += [row_of(label, "all", count(names, inside, some)) for label, some in rejected.items()]
    total = (0, 0, 0, 0)
    for chosen_on, told_on, label in ((names[::2], names[1::2], "even"), (names[1::2], names[::2], "odd")):
        best = choose(chosen_on, inside, rejected)
        counts = count(told_on, inside, rejected[best])
        rows.append(row_of(best, f"{label}, chosen on the others", counts))
        total = tuple(a + b for a, b in zip(total, counts))  # type: ignore[assignment]
    rows.append(row_of("chosen", "both halves", total))
    with atomic_path(options.out) as temporary:
        temporary.write_text("".join(rows), encoding="utf-8")
    print("".join(rows), end="")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"rejection.py: {error}")
