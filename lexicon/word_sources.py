"""Texts to take words from: plain sentences, Kaldi's `text` (id first), or lhotse's cuts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.base.reading import parse_json
from lexicon.text import read_user_lines
from lexicon.words.blanks import cut_key
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser

__all__ = ["is_cuts", "read_utterances", "vocabulary_of"]


def is_cuts(path: str | os.PathLike) -> bool:
    """Tells by its name whether a file holds cuts, one JSON object a line."""
    return Path(path).name.removesuffix(".gz").endswith(".jsonl")


def read_utterances(
    path: str | os.PathLike, with_ids: bool = False, normaliser: Normaliser | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yields (utterance id, words) of a text.

    Args:
      path: `*.jsonl` or `*.jsonl.gz` holds lhotse cuts; anything else one sentence a line, gzip or not.
      with_ids: the first word of a line is its id. Without, the line number is.
      normaliser: makes words of the lines; None splits them at blanks only.

    Raises:
      InputError: missing, empty, not UTF-8, a line of cuts that is no JSON, or `<eps>` or `#0` in the text; the line is
        named.
    """
    normaliser = normaliser or Normaliser(TextConfig(normalise=False))
    cuts = is_cuts(path)
    for number, line in read_user_lines(path):
        if cuts:
            for name, text in _supervisions(path, number, line):
                yield name, normaliser.words(text, path, number)
        else:
            name, text = cut_key(line) if with_ids else (f"line {number}", line)
            yield name, normaliser.words(text, path, number)


def _supervisions(path: object, number: int, line: str) -> Iterator[tuple[str, str]]:
    cut = parse_json(line, path, number, "Make the manifest again.")
    try:
        supervisions = cut.get("supervisions") or []
        pairs = [(str(s.get("id") or cut.get("id")), str(s.get("text") or "")) for s in supervisions]
    except (AttributeError, TypeError) as error:
        message = f"is no cut ({type(error).__name__}); wanted a JSON object with supervisions"
        raise InputError.at(path, message, "Make the manifest again.", number) from error
    yield from pairs


def vocabulary_of(
    paths: Iterable[str | os.PathLike], with_ids: bool = False, normaliser: Normaliser | None = None
) -> list[str]:
    """Returns the words of texts, each once, in the order in which they first stand there."""
    words: dict[str, None] = {}
    for path in paths:
        for _, utterance in read_utterances(path, with_ids, normaliser):
            words.update(dict.fromkeys(utterance))
    return list(words)
