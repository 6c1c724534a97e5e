"""Writes the text of the language model and its vocabulary, from transcripts and from prose.

    lm_text.py --source SHARED/text --cmudict SHARED/cmudict/cmudict.dict --out-dir exp/lm

A source is a folder (its `*.txt` files are transcripts with utterance ids, those in `books/` prose), or a text file of
one sentence a line, gzip or not. Prose is cut into sentences at . ! ? ; : and blank lines, MR. MRS. DR. are spelt out,
and what is left has upper-case letters and apostrophes only. The vocabulary holds the words that CMUdict knows, the
most frequent first.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import HybridError, InputError
from hybrid.base.reading import open_text, text_lines
from lexicon.cmudict import read_cmudict

TITLES = ((re.compile(r"\bMr\."), "MISTER"), (re.compile(r"\bMrs\."), "MISSUS"), (re.compile(r"\bDr\."), "DOCTOR"))
SENTENCE_END = re.compile(r"""(?<=[.!?;:])["\u201d']*\s+|\n\s*\n""")
NO_LETTER = re.compile(r"[^A-Z' ]")
KEEP_APOSTROPHE = ("'TIS", "'TWAS")


def sentences_of_prose(text: str) -> Iterator[list[str]]:
    """Yields the words of each sentence of running text."""
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    for title, spelt in TITLES:
        text = title.sub(spelt, text)
    for sentence in SENTENCE_END.split(text):
        words = NO_LETTER.sub(" ", sentence.upper().replace("\n", " ")).split()
        words = [word if word in KEEP_APOSTROPHE else word.strip("'") for word in words]
        words = [word for word in words if word]
        if words:
            yield words


def sentences_of_transcripts(path: Path) -> Iterator[list[str]]:
    """Yields the words of each `utterance-id word word …` line."""
    for _, line in text_lines(path):
        yield line.split()[1:]


def sentences_of_lines(path: Path) -> Iterator[list[str]]:
    """Yields the words of each line, normalised as prose is; bytes that are no UTF-8 are dropped."""
    with open_text(path, errors="ignore") as stream:
        for line in stream:
            yield from sentences_of_prose(line)


def sentences_of(source: Path) -> Iterator[list[str]]:
    """Yields the sentences of a source, transcripts first.

    Raises:
      InputError: nothing there.
    """
    if source.is_file():
        yield from sentences_of_lines(source)
        return
    transcripts, books = sorted(source.glob("*.txt")), sorted(source.glob("books/*.txt"))
    if not transcripts and not books:
        raise InputError.at(source, "holds no *.txt and no books/*.txt", "Give a text file, or a folder of them.")
    for path in transcripts:
        yield from sentences_of_transcripts(path)
    for path in books:
        with open_text(path, errors="ignore") as stream:
            yield from sentences_of_prose(stream.read())


def vocabulary(counts: Counter[str], known: Iterable[str]) -> list[str]:
    """Returns the words that are known, the most frequent first, equals in the order in which they were met."""
    dictionary = set(known)
    return [word for word, _ in counts.most_common() if word in dictionary]


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the text of the language model and its vocabulary.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--cmudict", type=Path, required=True)
    parser.add_argument("--out-dir", type=Path, required=True)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with atomic_folder(options.out_dir, "lm-text") as folder:
        with open(folder / "text.txt", "w", encoding="utf-8") as out:
            for words in sentences_of(options.source):
                out.write(" ".join(words) + "\n")
                counts.update(words)
        chosen = vocabulary(counts, read_cmudict(options.cmudict))
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in chosen), encoding="utf-8")
        total = sum(counts.values())
        facts = {"words": total, "types": len(counts), "vocabulary": len(chosen)}
        write_meta(folder, "lm-text", inputs={"source": options.source, "cmudict": options.cmudict}, facts=facts)
    covered = sum(counts[word] for word in chosen) / max(total, 1)
    print(f"{total} words of {len(counts)} types; {len(chosen)} in CMUdict cover {100 * covered:.2f} %")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"lm_text.py: {error}")
