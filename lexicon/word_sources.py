"""Texts to take words from: plain sentences, Kaldi's `text` (id first), or lhotse's cuts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.base.reading import parse_json
from lexicon.text import read_user_lines

__all__ = ["is_cuts", "read_utterances", "vocabulary_of"]


def is_cuts(path: str | os.PathLike) -> bool:
    """Tells by its name whether a file holds cuts, one JSON object a line."""
    return Path(path).name.removesuffix(".gz").endswith(".jsonl")


def read_utterances(path: str | os.PathLike, with_ids: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Yields (utterance id, words) of a text.

    Args:
      path: `*.jsonl` or `*.jsonl.gz` holds lhotse cuts; anything else one sentence a line, gzip or not.
      with_ids: the first word of a line is its id. Without, the line number is.

    Raises:
      InputError: missing, empty, not UTF-8, or a line of cuts that is no JSON; the line is named.
    """
    cuts = is_cuts(path)
    for number, line in read_user_lines(path):
        if cuts:
            yield from _supervisions(path, number, line)
        else:
            words = line.split()
            yield (words[0], words[1:]) if with_ids else (f"line {number}", words)


def _supervisions(path: object, number: int, line: str) -> Iterator[tuple[str, list[str]]]:
    cut = parse_json(line, path, number, "Make the manifest again.")
    try:
        supervisions = cut.get("supervisions") or []
        pairs = [(str(s.get("id") or cut.get("id")), str(s.get("text") or "")) for s in supervisions]
    except (AttributeError, TypeError) as error:
        message = f"is no cut ({type(error).__name__}); wanted a JSON object with supervisions"
        raise InputError.at(path, message, "Make the manifest again.", number) from error
    for name, text in pairs:
        yield name, text.split()


def vocabulary_of(paths: Iterable[str | os.PathLike], with_ids: bool = False) -> list[str]:
    """Returns the words of texts, each once, in the order in which they first stand there."""
    words: dict[str, None] = {}
    for path in paths:
        for _, utterance in read_utterances(path, with_ids):
            words.update(dict.fromkeys(utterance))
    return list(words)
