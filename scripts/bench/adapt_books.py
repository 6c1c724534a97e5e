"""Text-only adaptation by book: chapters of dev-clean with what else is known of them, their book and what was heard.

    python scripts/bench/adapt_books.py --texts data/books --before data/books.arpa.gz --after data/books_lm \\
        --model exp/chain --graph exp/chain/hcl_books --scores exp/chain/scores_dev-clean.ark

Four ways: the model before; for chapters of whose book there is more, `hybrid lm adapt` to the book's other chapters
(CHAPTER.arpa.gz in --after); the model before, in a second pass scaled to what the first one heard in the chapter's
other utterances (`hybrid rescore heard`); and both. Texts as `egs/librispeech/local/book_texts.py` writes them, a graph
compiled with --lookahead, which takes either model, and a lexicon that has the books' words. Perplexity is over the
words that the model before knows. The last lines test the differences to the first way.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import kaldialign
import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.reading import text_lines
from hybrid.data.utterance import Utterance
from hybrid.decode.graph_lm import with_lm
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.formats.kaldi_io import read_matrices
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.rescore.heard_words import HeardModels, HeardWords, adapt_to_heard
from hybrid.rescore.ngram_swap import WordModel
from hybrid.score.edits import score_utterances
from hybrid.score.significance import BootstrapConfig, mapsswe, paired_bootstrap
from hybrid.search.config import SearchConfig
from lm.arpa import read_arpa
from lm.ngram import BackoffAutomaton, NgramModel

Said = dict[str, list[str]]  # utterance → its words
Lattices = list[tuple[str, CompactLattice]]
WAYS = ("as it is", "others", "heard", "both")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("texts", "before", "after", "model", "graph", "scores"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--max-active", type=int, default=7000)
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--lattice-beam", type=float, default=8.0)
    parser.add_argument("--acoustic-scale", type=float, help="of the search; default: the model's")
    parser.add_argument("--out", type=Path, help="write the table here")
    return parser.parse_args()


@dataclass
class Row:
    """Sums of a chapter, or of all: `log10` probabilities and `errors` of each way, over `tokens` and `words`."""

    learnt: int = 0
    words: int = 0
    tokens: int = 0
    outside: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    log10: np.ndarray = field(default_factory=lambda: np.zeros(len(WAYS)))
    errors: np.ndarray = field(default_factory=lambda: np.zeros(len(WAYS), int))

    def add(self, other: Row) -> None:
        """Adds another one to this."""
        for name in ("learnt", "words", "tokens", "outside", "log10", "errors"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def show(self, name: str) -> None:
        """Prints a row of the table."""
        shares = [f"{100 * value / self.words:.2f}" for value in (*self.outside, *self.errors)]
        perplexities = [f"{value:.0f}" for value in 10 ** (-self.log10 / self.tokens)]
        cells = [name, str(self.learnt), str(self.words), *shares[:2], *perplexities, *shares[2:]]
        print(f"| {' | '.join(cells)} |", flush=True)


def spoken(path: Path) -> Said:
    """The utterances of a chapter and their words."""
    return {name: words for name, *words in (line.split() for _, line in text_lines(path))}


def words_of(model: NgramModel) -> set[str]:
    """The words that a model knows."""
    return set(map(bytes.decode, model.vocabulary.words[3:]))


def log_probs(model: NgramModel, automaton: BackoffAutomaton, words: list[str], known: set[str]) -> tuple[float, int]:
    """log10 probability of the words of a sentence that `known` holds, and its end; how many these are.

    Args:
      automaton: of the model, or of one that is scaled.
    """
    ids = np.array([*(model.vocabulary.id(word) for word in words), 2], np.int32)
    counted = np.array([*(word in known for word in words), True])
    return float(automaton.score(ids)[0][counted].sum()), int(counted.sum())


def searched(system: System, scores: dict[str, np.ndarray], names: Said) -> Lattices:
    """The lattices of utterances.

    Raises:
      InputError: one has no scores.
    """
    if missing := [name for name in names if name not in scores]:
        raise InputError.at("scores", f"lack the utterance '{quote(missing[0])}'", "See failed.txt beside them.")
    found = system.recognise([Utterance(name) for name in names], [scores[name] for name in names])
    return [(one.utterance, one.compact) for one in found]


def best(system: System, lattices: Iterable[tuple[str, CompactLattice]]) -> Said:
    """The best words of lattices."""
    found = {}
    for name, compact in lattices:
        path = best_path(expand(compact), system.config.scale)
        found[name] = [] if path is None else [system.words.symbol(word, name) for word in path.word_ids.tolist()]
    return found


def heard(system: System, model: WordModel, lattices: Lattices) -> tuple[HeardModels, Said]:
    """The models of a second pass by what else was heard, and the words that it finds."""
    models = HeardModels(HeardWords(lattices, model, system.config.scale), model)
    return models, best(system, adapt_to_heard(lattices, models, model))


def main() -> None:
    """Writes the table to where it is wanted."""
    args = options()
    if args.out is None:
        compare(args)
        return
    with atomic_path(args.out) as temporary, open(temporary, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        compare(args)


@dataclass
class Chapter:
    """A chapter: what is said in it; the models before and adapted, and the same over the words of lattices."""

    said: Said
    models: tuple[NgramModel, NgramModel]
    over: tuple[WordModel, WordModel]

    def measure(self, systems: tuple[System, System], scores: dict[str, np.ndarray], known: set[str]) -> Measured:
        """Recognises it in each way."""
        lattices = [searched(systems[0], scores, self.said)]
        lattices.append(lattices[0] if systems[1] is systems[0] else searched(systems[1], scores, self.said))
        again = [heard(*each) for each in zip(systems, self.over, lattices)]
        words = [*(best(*each) for each in zip(systems, lattices)), *(found for _, found in again)]
        made = Measured(row=Row())
        vocabularies = known, words_of(self.models[1])
        for name, said in self.said.items():
            ways = [(model, model.automaton) for model in self.models]
            ways += [(model, models.of(name).automaton) for model, (models, _) in zip(self.models, again)]
            logs, counts = zip(*(log_probs(*way, said, known) for way in ways))
            outside = [sum(word not in those for word in said) for those in vocabularies]
            errors = [kaldialign.edit_distance(said, found[name])["total"] for found in words]
            made.row.add(Row(0, len(said), counts[0], np.array(outside), np.array(logs), np.array(errors)))
            made.logs.append(np.array(logs) / counts[0])
            made.words[name] = (said, *(found[name] for found in words))
        return made


@dataclass
class Measured:
    """Of some utterances: sums; log10 probability a token in each way; what was said, and heard in each way."""

    row: Row
    logs: list[np.ndarray] = field(default_factory=list)
    words: dict[str, tuple[list[str], ...]] = field(default_factory=dict)


def compare(args: argparse.Namespace) -> None:
    """Recognises each chapter in each way, and prints a row for it."""
    search = SearchConfig(
        beam=args.beam, lattice_beam=args.lattice_beam, max_active=args.max_active, acoustic_scale=args.acoustic_scale
    )
    system = load_system(SystemSpec(str(args.model), str(args.graph), search=search, lm=str(args.before)))
    general, scores = read_arpa(args.before), dict(read_matrices(args.scores))
    known, plain = words_of(general), WordModel.of(general, system.words, args.before)
    total = Measured(Row())
    print(f"| book, chapter | words of the others | words | OOV, % | adapted | perplexity{' | ' * len(WAYS)}WER, %"
          f"{' | ' * len(WAYS)}")  # fmt: skip
    print("|---|" + "---:|" * (4 + 2 * len(WAYS)))
    print(f"| | | | | | {' | '.join(2 * WAYS)} |")
    for _, line in text_lines(args.texts / "chapters.tsv"):
        chapter, title = line.split("\t")
        adapted, other = args.after / f"{chapter}.arpa.gz", args.texts / f"other/{chapter}.txt"
        model, systems, over, learnt = general, (system, system), (plain, plain), 0
        if other.exists():
            model, learnt = read_arpa(adapted), sum(len(text.split()) for _, text in text_lines(other))
            systems, over = (system, with_lm(system, adapted)), (plain, WordModel.of(model, system.words, adapted))
        found = Chapter(spoken(args.texts / f"said/{chapter}.txt"), (general, model), over).measure(
            systems, scores, known
        )
        found.row.learnt = learnt
        found.row.show(f"{title}, {chapter}")
        total.row.add(found.row)
        total.logs += found.logs
        total.words |= found.words
    total.row.show("all")
    for way in range(1, len(WAYS)):
        tell(total, way)


def tell(total: Measured, way: int) -> None:
    """Prints the paired tests of one way against the first."""
    pairs = np.array([logs[way] - logs[0] for logs in total.logs])
    paired = pairs.mean() / pairs.std(ddof=1) * math.sqrt(len(pairs))
    print(f"\n{WAYS[way]}: perplexity is lower in {int((pairs > 0).sum())} of {len(pairs)} sentences, "
          f"paired t {paired:.1f}.")  # fmt: skip
    before, after = (
        score_utterances({name: (said, found[one]) for name, (said, *found) in total.words.items()}) for one in (0, way)
    )
    change = paired_bootstrap(after, before, BootstrapConfig())
    test = mapsswe({name: (said, found[0], found[way]) for name, (said, *found) in total.words.items()})
    print(f"WER: {change.difference:+.2f} points [{change.low:+.2f}, {change.high:+.2f}], MAPSSWE over {test.segments} "
          f"segments, p = {test.p_value:.2g}.")  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"adapt_books.py: {error}")
