"""Text-only adaptation by book: each chapter of dev-clean with a model adapted to the book's other chapters.

    python scripts/bench/adapt_books.py --texts data/books --before data/books.arpa.gz --after data/books_lm \\
        --model exp/chain --graph exp/chain/hcl_books --scores exp/chain/scores_dev-clean.ark

Texts as `egs/librispeech/local/book_texts.py` writes them, the models of `hybrid lm adapt` as CHAPTER.arpa.gz, a graph
compiled with --lookahead, which takes either model, and a lexicon that has the books' words. Perplexity is over the
words that the model before knows. The last lines test the difference of both.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import kaldialign
import numpy as np

from hybrid.base.reading import text_lines
from hybrid.data.utterance import Utterance
from hybrid.decode.graph_lm import with_lm
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.formats.kaldi_io import read_matrices
from hybrid.score.edits import score_utterances
from hybrid.score.significance import BootstrapConfig, mapsswe, paired_bootstrap
from hybrid.search.config import SearchConfig
from lm.arpa import read_arpa
from lm.ngram import NgramModel

Said = dict[str, list[str]]  # utterance → its words


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("texts", "before", "after", "model", "graph", "scores"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--max-active", type=int, default=7000)
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--acoustic-scale", type=float, help="of the search; default: the model's")
    parser.add_argument("--out", type=Path, help="write the table here")
    return parser.parse_args()


@dataclass
class Row:
    """Sums of a chapter, or of all: `log10` probabilities and `errors` before and after, over `tokens` and `words`."""

    learnt: int = 0
    words: int = 0
    tokens: int = 0
    outside: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    log10: np.ndarray = field(default_factory=lambda: np.zeros(2))
    errors: np.ndarray = field(default_factory=lambda: np.zeros(2, int))

    def add(self, other: Row) -> None:
        """Adds another one to this."""
        for name in ("learnt", "words", "tokens", "outside", "log10", "errors"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def show(self, name: str) -> None:
        """Prints a row of the table."""
        perplexity = 10 ** (-self.log10 / self.tokens)
        shares = [f"{100 * value / self.words:.2f}" for value in (*self.outside, *self.errors)]
        print(
            f"| {name} | {self.learnt} | {self.words} | {shares[0]} | {shares[1]} | {perplexity[0]:.0f} | "
            f"{perplexity[1]:.0f} | {shares[2]} | {shares[3]} |",
            flush=True,
        )


def spoken(path: Path) -> Said:
    """The utterances of a chapter and their words."""
    return {name: words for name, *words in (line.split() for _, line in text_lines(path))}


def words_of(model: NgramModel) -> set[str]:
    """The words that a model knows."""
    return set(map(bytes.decode, model.vocabulary.words[3:]))


def log_probs(model: NgramModel, words: list[str], known: set[str]) -> tuple[float, int]:
    """log10 probability of the words of a sentence that `known` holds, and its end; how many these are."""
    ids = np.array([*(model.vocabulary.id(word) for word in words), 2], np.int32)
    counted = np.array([*(word in known for word in words), True])
    return float(model.automaton.score(ids)[0][counted].sum()), int(counted.sum())


def heard(system: System, scores: dict[str, np.ndarray], names: list[str]) -> Iterator[list[str]]:
    """The words that are recognised in each utterance."""
    for found in system.recognise([Utterance(name) for name in names], [scores[name] for name in names]):
        yield found.text.split()


def main() -> None:
    """Writes the table to where it is wanted."""
    args = options()
    if args.out is None:
        compare(args)
        return
    with open(args.out, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Recognises each chapter with both models, and prints a row for it."""
    search = SearchConfig(beam=args.beam, max_active=args.max_active, acoustic_scale=args.acoustic_scale)
    spec = SystemSpec(str(args.model), str(args.graph), search=search, lm=str(args.before), only_best=True)
    system, general = load_system(spec), read_arpa(args.before)
    known, scores = words_of(general), dict(read_matrices(args.scores))
    total, triples, pairs = Row(), {}, []
    print(
        "| book, chapter | words of the others | words | OOV, % | adapted | perplexity | adapted | WER, % | adapted |"
    )
    print("|---|" + "---:|" * 8)
    for _, line in text_lines(args.texts / "chapters.tsv"):
        chapter, title = line.split("\t")
        said, adapted = spoken(args.texts / f"said/{chapter}.txt"), args.after / f"{chapter}.arpa.gz"
        model, row = (
            read_arpa(adapted),
            Row(sum(len(x.split()) for _, x in text_lines(args.texts / f"other/{chapter}.txt"))),
        )
        vocabulary = words_of(model)
        found = zip(heard(system, scores, list(said)), heard(with_lm(system, adapted), scores, list(said)))
        for (name, words), both in zip(said.items(), found):
            (before, count), (after, _) = (log_probs(one, words, known) for one in (general, model))
            pairs.append((before - after) / count)
            missing = [sum(word not in those for word in words) for those in (known, vocabulary)]
            errors = [kaldialign.edit_distance(words, one)["total"] for one in both]
            row.add(Row(0, len(words), count, np.array(missing), np.array([before, after]), np.array(errors)))
            triples[name] = (words, *both)
        row.show(f"{title}, {chapter}")
        total.add(row)
    total.show("all")
    tell(pairs, triples)


def tell(pairs: list[float], triples: dict[str, tuple[list[str], list[str], list[str]]]) -> None:
    """Prints the paired tests: `pairs` of log10 probability a token, before less after; reference and both results."""
    lower, deviation = sum(pair < 0 for pair in pairs), float(np.std(pairs, ddof=1))
    paired = float(np.mean(pairs)) / deviation * math.sqrt(len(pairs))
    print(f"\nPerplexity is lower in {lower} of {len(pairs)} sentences, paired t {-paired:.1f}.")
    before, after = (
        score_utterances({name: (said, both[place]) for name, (said, *both) in triples.items()}) for place in (0, 1)
    )
    change, test = (
        paired_bootstrap(after, before, BootstrapConfig()),
        mapsswe({k: (r, b, a) for k, (r, a, b) in triples.items()}),
    )
    print(f"WER: {change.difference:+.2f} points [{change.low:+.2f}, {change.high:+.2f}], MAPSSWE over {test.segments} "
          f"segments, p = {test.p_value:.2g}.")  # fmt: skip


if __name__ == "__main__":
    main()
