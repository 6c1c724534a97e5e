"""Text-only adaptation by book: each chapter of dev-clean with a model adapted to the book's other chapters.

    python scripts/bench/adapt_books.py --corpora shared/corpora --text data/lm_text/text.txt --lm data/tg.arpa.gz \
        --lattices exp/tri3b/decode_tg_dev-clean --words exp/tri3b/graph_tg/words.txt

Chapters of one book are told by CHAPTERS.TXT. Those of train-clean-100 count as well and are taken out of the text;
the background model is estimated without them, over the words of --lm, which made the lattices. Perplexity is over
the words that it knows; the lattices take the scores of either model. The last lines test the difference.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import kaldialign
import numpy as np

from hybrid.lattice.archive import read_compact_folder
from hybrid.lattice.compact import expand
from hybrid.lattice.paths import best_path
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from hybrid.score.significance import mapsswe
from lexicon.symbols import SymbolTable
from lm.adaptation.text_only import adapt_to_text
from lm.arpa import read_arpa
from lm.config import EstimateConfig, TextAdaptConfig
from lm.estimate import estimate
from lm.ngram import NgramModel

LEAST = 4  # sentences of the book's other chapters


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpora", "text", "lm", "lattices", "words"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--acoustic-scale", type=float, default=1 / 12)
    parser.add_argument("--out", type=Path, help="write the table here")
    return parser.parse_args()


def chapters(corpora: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Chapter → book, and book → title."""
    books, titles = {}, {}
    for line in (corpora / "LibriSpeech/CHAPTERS.TXT").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = [field.strip() for field in line.split("|")]
        if not line.startswith(";") and len(fields) >= 8:
            books[fields[0]], titles[fields[5]] = fields[5], fields[7]
    return books, titles


def transcripts(corpora: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Utterance, its words, and whether it is of dev-clean."""
    for file in sorted((corpora / "LibriSpeech/dev-clean").glob("*/*/*.trans.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, *words = line.split()
            yield name, words, True
    with open(corpora / "text/librispeech-train-clean-100.txt", encoding="utf-8") as stream:
        for line in stream:
            name, *words = line.split()
            yield name, words, False


def by_chapter(corpora: Path) -> tuple[dict[str, list[tuple[str, list[str]]]], set[str]]:
    """Chapter → its utterances and their words; and the chapters of dev-clean."""
    said: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    development = set()
    for name, words, dev in transcripts(corpora):
        chapter = name.split("-")[1]
        said[chapter].append((name, words))
        if dev:
            development.add(chapter)
    return said, development


def adapted(domain: list[list[str]], large: Path, background: NgramModel) -> NgramModel:
    """The model of some sentences, a large text and its model; see `hybrid lm adapt`."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "domain"
        text.write_text("".join(" ".join(words) + "\n" for words in domain), encoding="utf-8")
        config = TextAdaptConfig(held_out=LEAST, shares=(1 / 64, 1 / 16, 1 / 4), exponents=(0.5,))
        return adapt_to_text([text], [large], [background], config, EstimateConfig(prune=(0, 0, 1))).model


def log_probs(model: NgramModel, words: list[str], known: set[str]) -> tuple[float, int]:
    """log10 probability of the words of a sentence that `known` holds, and its end; how many these are."""
    automaton = model.automaton
    ids = [model.vocabulary.id(word) for word in words]
    scores, _ = automaton.score(np.array([*ids, 2], np.int32))
    counted = np.array([*(word in known for word in words), True])
    return float(scores[counted].sum()), int(counted.sum())


def main() -> None:
    """Writes the table to where it is wanted."""
    args = options()
    if args.out is None:
        compare(args)
        return
    with open(args.out, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Adapts to each book, and prints a row for each chapter."""
    searched, symbols = read_arpa(args.lm), SymbolTable.read(args.words)
    known = set(map(bytes.decode, searched.vocabulary.words[3:]))
    old = WordModel.of(searched, symbols)
    lattices = dict(read_compact_folder(args.lattices))
    books, titles = chapters(args.corpora)
    said, development = by_chapter(args.corpora)
    taken = {books[chapter] for chapter in development}
    apart = {" ".join(words) for chapter in said if books.get(chapter) in taken for _, words in said[chapter]}
    scratch = tempfile.TemporaryDirectory()
    large = Path(scratch.name) / "large"
    with open(args.text, encoding="utf-8") as lines, open(large, "w", encoding="utf-8") as kept:
        kept.writelines(line for line in lines if line.strip() not in apart)
    background, _ = estimate([large], EstimateConfig(prune=(0, 0, 1)), known)
    general = WordModel.of(background, symbols)
    sums, missing, triples, pairs = np.zeros(5), 0, {}, []
    print("| book, chapter | of the book | OOV | perplexity | adapted | WER | adapted |\n|---|---|---|---|---|---|---|")
    for chapter in sorted(development, key=lambda c: (books[c], c)):
        others = [c for c in said if c != chapter and books.get(c) == books[chapter]]
        domain = [words for other in others for _, words in said[other]]
        if len(domain) < LEAST:
            continue
        begin = time.process_time()
        model = adapted(domain, large, background)
        row, new = np.zeros(5), WordModel.of(model, symbols)
        outside = 0
        for name, words in said[chapter]:
            before, count = log_probs(background, words, known)
            after, _ = log_probs(model, words, known)
            pairs.append((before - after) / count)
            heard = []
            for lattice in (swap_ngram(lattices[name], old, general), swap_ngram(lattices[name], old, new)):
                path = best_path(expand(lattice), args.acoustic_scale)
                heard.append([symbols.symbol(int(i)) for i in path.word_ids] if path else [])
            errors = [kaldialign.edit_distance(words, found)["total"] for found in heard]
            row += before, after, count, errors[0], errors[1]
            outside += sum(word not in known for word in words)
            triples[name] = (words, heard[0], heard[1])
        sums, missing = sums + row, missing + outside
        total = sum(len(words) for _, words in said[chapter])
        show(f"{titles[books[chapter]]}, {chapter}", f"{len(domain)} sentences", outside, row, total)
        print(f"<!-- {time.process_time() - begin:.0f} s of CPU -->", flush=True)
    everything = sum(len(words) for words, _, _ in triples.values())
    show("all", "", missing, sums, everything)
    signs = sum(pair < 0 for pair in pairs)
    mean, deviation = float(np.mean(pairs)), float(np.std(pairs, ddof=1))
    paired = mean / deviation * math.sqrt(len(pairs))
    print(f"perplexity lower in {signs} of {len(pairs)} sentences, paired t {paired:.1f}")
    print(f"MAPSSWE of the words: {mapsswe(triples)}")


def show(name: str, text: str, outside: int, row: np.ndarray, words: int) -> None:
    """Prints a row of the table."""
    before, after = (10 ** (-row[i] / row[2]) for i in (0, 1))
    wer = [f"{100 * row[i] / words:.2f}" for i in (3, 4)]
    print(
        f"| {name} | {text} | {100 * outside / words:.1f} % | {before:.0f} | {after:.0f} | {wer[0]} | {wer[1]} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
