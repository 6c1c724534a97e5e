"""Transcripts of audio files: `name text` lines, matched by id, path, file name or stem."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.data.sets import split_lines
from lexicon.words.blanks import cut_key

__all__ = ["NamedText", "match_texts", "read_named_texts"]

logger = get_logger(__name__)
MOST_SHOWN = 50


@dataclass(frozen=True)
class NamedText:
    """A line of a table of transcripts."""

    text: str
    line: int


def read_named_texts(path: str | os.PathLike) -> tuple[dict[str, NamedText], list[tuple[str, str]]]:
    """Reads `name text` lines; the name ends at the first blank.

    Returns:
      name → text, and (name or `line-N`, reason) of lines that cannot be used.
    """
    texts: dict[str, NamedText] = {}
    good, bad = split_lines(path)
    failed = [(f"line-{number}", reason) for number, reason in bad]
    for number, line in good:
        name, text = cut_key(line)
        if name in texts:
            found = f"'{quote(name)}' stands in line {texts[name].line} too"
            failed.append((name, str(InputError.at(path, found, "Remove one.", number))))
            continue
        texts[name] = NamedText(text, number)
    return texts, failed


def match_texts(
    found: Sequence[tuple[str, Path]], texts: dict[str, NamedText], place: str | os.PathLike
) -> tuple[dict[str, str], dict[str, str]]:
    """Finds the line of each audio file: the one with its id, else its path, its file name, or its stem.

    Lines that no file takes are counted and listed in the log.

    Args:
      found: (id, file), from `find_audio`. texts: of the table at `place`.

    Returns:
      id → text; and id → reason of files whose only line names other files too, or that have none.
    """
    keys = {name: [name, str(path), path.name, path.stem] for name, path in found}
    takers: dict[str, list[str]] = {}
    for name, some in keys.items():
        if key := next((key for key in some if key in texts), None):
            takers.setdefault(key, []).append(name)
    matched, failures = dict[str, str](), dict[str, str]()
    key_of = {name: key for key, names in takers.items() for name in names}
    for name, path in found:
        if name not in key_of:
            failures[name] = str(InputError.at(path, f"has no line in {place}", "Add one, or leave it out."))
            continue
        line, sharers = texts[key_of[name]], takers[key_of[name]]
        if len(sharers) > 1:
            shown = ", ".join(map(quote, sharers[:3])) + (", …" if len(sharers) > 3 else "")
            problem = f"'{quote(key_of[name])}' names {len(sharers)} files ({shown})"
            failures[name] = str(InputError.at(place, problem, "Write these ids instead.", line.line))
        else:
            matched[name] = line.text
    unused = [(text.line, key) for key, text in texts.items() if key not in takers]
    if unused:
        shown = ", ".join(f"line {number} '{quote(key)}'" for number, key in unused[:MOST_SHOWN])
        more = ", …" if len(unused) > MOST_SHOWN else ""
        logger.warning("%s: %d of %d lines name no audio file: %s%s", place, len(unused), len(texts), shown, more)
    return matched, failures
