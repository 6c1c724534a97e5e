"""Items to align: files and folders with text beside them, a file of transcripts, or a manifest of cuts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.data.manifest import read_cuts
from hybrid.data.own import find_audio, normalise_text, read_named_texts, speaker_of
from hybrid.data.sets import split_lines
from hybrid.data.trust import NotAllowedError
from hybrid.data.utterance import Utterance
from lexicon.lang_dir import LangDir

__all__ = ["in_spelling_of", "items_of_cuts", "items_of_files", "read_pronunciations"]

TEXT_SUFFIXES = (".txt", ".lab")


def items_of_files(
    paths: Sequence[str | os.PathLike],
    text: str | os.PathLike | None = None,
    speakers: str = "folder",
    channel: int = 0,
    normalise: bool = True,
) -> tuple[list[Utterance], dict[str, str]]:
    """Finds audio files and their texts.

    Args:
      paths: files, or folders that are searched with all below them.
      text: lines `name text`; or, for a single audio file, its text alone. None: NAME.txt or NAME.lab beside each file.
      speakers: `folder`, `prefix` (of the name up to - or _), `file` or `one`.
      channel: from 0; -1 for the mean of all.
      normalise: upper case, without punctuation.

    Returns:
      The items, and utterance → reason of the files that have no usable text.

    Raises:
      InputError: no audio, or a text file that is not there.
    """
    found = find_audio(paths)
    texts, failures = _transcripts(found, text)
    items: list[Utterance] = []
    for name, path in found:
        if any(item.id == name for item in items):
            failures[name] = f"{path}: two files are called '{quote(name)}'. Rename one."
            continue
        try:
            spoken = _text_of(name, path, texts)
        except InputError as error:
            failures[name] = str(error)
            continue
        words = normalise_text(spoken) if normalise else spoken
        items.append(Utterance(name, path, speaker_of(name, path, speakers), words, channel=channel))
    return items, failures


def _transcripts(
    found: Sequence[tuple[str, Path]], text: str | os.PathLike | None
) -> tuple[dict[str, str] | None, dict[str, str]]:
    if text is None:
        return None, {}
    if len(found) == 1:
        name, path = found[0]
        good, bad = split_lines(text)
        if bad:
            raise InputError(bad[0][1])
        lines = [line for _, line in good]
        first = lines[0].split(None, 1) if lines else []
        if len(lines) == 1 and len(first) == 2 and first[0] in (name, path.name, path.stem):
            lines = [first[1]]
        return {name: " ".join(lines)}, {}
    texts, failed = read_named_texts(text)
    return texts, dict(failed)


def _text_of(name: str, path: Path, texts: dict[str, str] | None) -> str:
    if texts is not None:
        for key in (name, path.name, path.stem, str(path)):
            if key in texts:
                return texts[key]
        raise InputError.at(path, "has no line in the file of transcripts", "Add one, or leave it out.")
    for suffix in TEXT_SUFFIXES:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            good, bad = split_lines(beside)
            if bad:
                raise InputError(bad[0][1])
            return " ".join(line for _, line in good)
    raise InputError.at(path, f"has no text beside it ({path.stem}.txt or .lab)", "Write one, or give --text.")


def in_spelling_of(lang: LangDir, items: Sequence[Utterance]) -> list[Utterance]:
    """Puts normalised words into lower case where the lang folder has them so, and only so."""

    def spelt(word: str) -> str:
        return word.lower() if word not in lang.words and word.lower() in lang.words else word

    table = {word: spelt(word) for word in {word for item in items for word in item.words}}
    return [replace(item, text=" ".join(table[word] for word in item.words)) for item in items]


def items_of_cuts(path: str | os.PathLike) -> tuple[list[Utterance], dict[str, str]]:
    """Takes the utterances of a manifest (hybrid data …); those without a plain audio file or text fail."""
    items, failures = [], {}
    try:
        cuts = read_cuts(path)
    except NotAllowedError as error:
        raise NotAllowedError.at(
            path, error.found, "Alignment takes plain audio files only: write the audio into files.", error.line
        ) from error
    for cut in cuts:
        if cut.fault:
            failures[cut.id] = str(cut.error())
        elif not cut.path:
            failures[cut.id] = f"{path}: the audio is no plain file"
        elif not cut.words:
            failures[cut.id] = "empty text"
        else:
            items.append(
                Utterance(
                    cut.id, cut.path, cut.speaker, cut.text, cut.start, cut.duration, cut.channel, cut.recording_id
                )
            )
    return items, failures


def read_pronunciations(path: str | os.PathLike) -> dict[str, list[list[str]]]:
    """Reads `word phone phone …` lines, phones without position marks; a word may have several lines.

    Raises:
      InputError: a word without phones, or a file that cannot be read.
    """
    good, bad = split_lines(path)
    if bad:
        raise InputError(bad[0][1])
    found: dict[str, list[list[str]]] = {}
    for number, line in good:
        word, *phones = line.split()
        if not phones:
            raise InputError.at(path, f"word '{quote(word)}' has no phones", "Wanted 'WORD PHONE PHONE …'.", number)
        found.setdefault(word, []).append(phones)
    return found
