"""Writes what dev-clean's books say elsewhere: for each chapter the text of the book's other chapters.

    book_texts.py --corpora shared/corpora --text data/lm_text/text.txt --cmudict cmudict.dict --out-dir data/books

Chapters of one book are told by CHAPTERS.TXT; those that were read for train-clean-100 count as well. `large.txt` is
the text without all these books, `vocabulary.txt` those of its words that CMUdict has, `new_words.txt` what else the
other chapters say, `to_guess.txt` what of it CMUdict lacks. `other/CHAPTER.txt` has their sentences, `said/CHAPTER.txt`
what is to be recognised, with ids; chapters of whose book nothing else is known have no `other`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lm_text import vocabulary

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.reading import open_text, text_lines
from lexicon.cmudict import read_cmudict

LEAST = 4  # sentences of the other chapters
LONG = 8  # words in a row that two chapters do not share by chance: then both are one, read twice
Said = dict[str, list[tuple[str, list[str]]]]  # chapter → its utterances and their words


def books_of(corpora: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the book of each chapter, and the title of each book."""
    books, titles = {}, {}
    with open_text(corpora / "LibriSpeech/CHAPTERS.TXT", errors="replace") as stream:
        for line in stream:
            fields = [field.strip() for field in line.split("|")]
            if not line.startswith(";") and len(fields) >= 8:
                books[fields[0]], titles[fields[5]] = fields[5], fields[7]
    return books, titles


def transcripts(files: list[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yields each utterance and its words.

    Raises:
      InputError: an id that is not SPEAKER-CHAPTER-NUMBER.
    """
    for file in files:
        for number, line in text_lines(file):
            if not line.strip():
                continue
            name, *words = line.split()
            if name.count("-") < 2:
                found = f"utterance id '{quote(name)}' tells no chapter, wanted SPEAKER-CHAPTER-NUMBER"
                raise InputError.at(file, found, "Take LibriSpeech's own transcripts.", number)
            yield name, words


def by_chapter(files: list[Path]) -> Said:
    """Returns the utterances of each chapter."""
    said: Said = defaultdict(list)
    for name, words in transcripts(files):
        said[name.split("-")[1]].append((name, words))
    return said


def stretches(utterances: list[tuple[str, list[str]]]) -> set[tuple[str, ...]]:
    """Returns all that is said in a row of `LONG` words."""
    return {tuple(words[i : i + LONG]) for _, words in utterances for i in range(len(words) - LONG + 1)}


def others(chapter: str, books: dict[str, str], all_said: Said) -> list[list[str]]:
    """Returns the sentences of the book's other chapters, without those that hold a stretch of this one."""
    own, found = stretches(all_said[chapter]), []
    for other, utterances in all_said.items():
        if other != chapter and books.get(other) == books[chapter]:
            found += [words for name, words in utterances if not own & stretches([(name, words)])]
    return found


def write(path: Path, sentences: list[list[str]]) -> None:
    """Writes a sentence a line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")


def write_texts(folder: Path, corpora: Path, text: Path, known: set[str]) -> str:
    """Writes all files; returns what they hold."""
    development = by_chapter(sorted((corpora / "LibriSpeech/dev-clean").glob("*/*/*.trans.txt")))
    if not development:
        raise InputError.at(corpora / "LibriSpeech/dev-clean", "holds no transcripts", "Give --corpora.")
    training = by_chapter([corpora / "text/librispeech-train-clean-100.txt"])
    all_said: Said = training | development
    books, titles = books_of(corpora)
    for chapter in development:
        if chapter not in books:
            found = f"has no line for the chapter '{quote(chapter)}' of dev-clean"
            raise InputError.at(corpora / "LibriSpeech/CHAPTERS.TXT", found, "Take the list that came with the speech.")
    taken = {books[chapter] for chapter in development}
    apart = {" ".join(words) for chapter in all_said if books.get(chapter) in taken for _, words in all_said[chapter]}
    counts: Counter[str] = Counter()
    with open(folder / "large.txt", "w", encoding="utf-8") as kept:
        for _, line in text_lines(text):
            if line.strip() not in apart:
                kept.write(f"{line.strip()}\n")
                counts.update(line.split())
    words = vocabulary(counts, known)
    write(folder / "vocabulary.txt", [[word] for word in words])
    rows, new = [], set()
    for chapter in sorted(development, key=lambda c: (books[c], c)):
        domain = others(chapter, books, all_said)
        write(folder / f"said/{chapter}.txt", [[name, *words] for name, words in development[chapter]])
        rows.append(f"{chapter}\t{titles[books[chapter]]}\n")
        if len(domain) >= LEAST:
            write(folder / f"other/{chapter}.txt", domain)
            new |= {word for sentence in domain for word in sentence}.difference(words)
    (folder / "chapters.tsv").write_text("".join(rows), encoding="utf-8")
    write(folder / "new_words.txt", [[word] for word in sorted(new)])
    write(folder / "to_guess.txt", [[word] for word in sorted(new - known)])
    return f"{len(rows)} chapters; {len(words)} words, {len(new)} more in their books; {counts.total()} words of text"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the text of each chapter's book without the chapter.")
    for name in ("corpora", "text", "cmudict", "out-dir"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    with atomic_folder(options.out_dir, "book-texts") as folder:
        print(write_texts(folder, options.corpora, options.text, set(read_cmudict(options.cmudict))))
        write_meta(folder, "book-texts", inputs={"text": options.text, "cmudict": options.cmudict})


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"book_texts.py: {error}")
