"""Items to align: files and folders with text beside them, a file of transcripts, or a manifest of cuts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.data.beside import Spoken, spoken_beside, spoken_items, whole_text
from hybrid.data.manifest import read_cuts
from hybrid.data.named_texts import match_texts, read_named_texts
from hybrid.data.own import find_audio, speaker_of
from hybrid.data.trust import NotAllowedError
from hybrid.data.utterance import Utterance
from lexicon.words.normaliser import Normaliser

__all__ = ["items_of_cuts", "items_of_files"]


def items_of_files(
    paths: Sequence[str | os.PathLike],
    text: str | os.PathLike | None = None,
    speakers: str = "folder",
    channel: int = -1,
    normaliser: Normaliser | None = None,
    whole: str | os.PathLike | None = None,
) -> tuple[list[Utterance], dict[str, str]]:
    """Finds audio files and their texts.

    Args:
      paths: files, or folders that are searched with all below them.
      text: lines `name text`. None: NAME.txt, NAME.lab or NAME.TextGrid beside each file (`hybrid.data.beside`).
      speakers: `folder`, `prefix` (of the name up to - or _), `file` or `one`; a TextGrid names its own.
      channel: from 0; -1 for the mean of all.
      normaliser: makes words of the texts; by default upper case, without punctuation.
      whole: instead of `text`: a file that is the text of the one audio file.

    Returns:
      The items, and utterance → reason of the files that have no usable text.

    Raises:
      InputError: no audio, several files for one whole text, or a text file that is not there.
    """
    normaliser = normaliser or Normaliser()
    found = find_audio(paths)
    if whole is not None and len(found) > 1:
        raise InputError.at(whole, f"is the text of one file, and there are {len(found)}", "Give --text with names.")
    texts, failures = _transcripts(found, text)
    items: dict[str, Utterance] = {}
    seen: set[str] = set()
    for name, path in found:
        if name in failures:
            continue
        if name in seen:
            failures[name] = f"{path}: two files are called '{quote(name)}'. Rename one."
            continue
        seen.add(name)
        try:
            if whole is not None or text is not None:
                spoken = [Spoken(whole_text(whole) if whole is not None else texts[name])]
            else:
                spoken = _beside(path)
            spoken = [replace(one, text=" ".join(normaliser.words(one.text, path))) for one in spoken]
        except InputError as error:
            failures[name] = str(error)
            continue
        for item in spoken_items(Utterance(name, path, speaker_of(name, path, speakers), channel=channel), spoken):
            if item.id in items:
                failures[item.id] = f"{path}: two utterances are called '{quote(item.id)}'. Rename a tier or a file."
            items.setdefault(item.id, item)
    normaliser.changes.log("texts")
    return [item for name, item in items.items() if name not in failures], failures


def _transcripts(
    found: Sequence[tuple[str, Path]], text: str | os.PathLike | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns id → text of a table, and why files have none."""
    if text is None:
        return {}, {}
    named, failed = read_named_texts(text)
    texts, failures = match_texts(found, named, text)
    if not texts and len(found) == 1:
        place, name, file = text, quote(found[0][0]), quote(found[0][1].name)
        cure = f"If the whole file is the text of {file}, give --whole-text."
        raise InputError.at(place, f"no line names {name}", cure)
    return texts, failures | dict(failed)


def _beside(path: Path) -> list[Spoken]:
    found = spoken_beside(path)
    if found is None:
        name = quote(path.stem)
        raise InputError.at(
            path, f"has no text beside it ({name}.txt, .lab or .TextGrid)", "Write one, or give --text."
        )
    return found


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
