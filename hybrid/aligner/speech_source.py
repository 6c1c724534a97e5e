"""Items to align: files and folders with text beside them, a file of transcripts, or a manifest of cuts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.data.manifest import read_cuts
from hybrid.data.named_texts import match_texts, read_named_texts, text_beside, whole_text
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
      text: lines `name text`. None: NAME.txt or NAME.lab beside each file.
      speakers: `folder`, `prefix` (of the name up to - or _), `file` or `one`.
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
    items: list[Utterance] = []
    for name, path in found:
        if name in failures:
            continue
        if any(item.id == name for item in items):
            failures[name] = f"{path}: two files are called '{quote(name)}'. Rename one."
            continue
        try:
            spoken = whole_text(whole) if whole is not None else texts[name] if text is not None else _beside(path)
            words = " ".join(normaliser.words(spoken, path))
        except InputError as error:
            failures[name] = str(error)
            continue
        items.append(Utterance(name, path, speaker_of(name, path, speakers), words, channel=channel))
    normaliser.changes.log("texts")
    return items, failures


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


def _beside(path: Path) -> str:
    text = text_beside(path)
    if text is None:
        raise InputError.at(path, f"has no text beside it ({path.stem}.txt or .lab)", "Write one, or give --text.")
    return text


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
