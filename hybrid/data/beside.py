"""Texts beside audio: NAME.txt or NAME.lab, or NAME.TextGrid with a tier a speaker and an interval an utterance."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.base.names import mended_name
from hybrid.data.sets import split_lines
from hybrid.data.utterance import Utterance
from hybrid.formats.praat import read_textgrid

__all__ = ["Spoken", "beside", "spoken_beside", "spoken_items", "whole_text"]

SUFFIXES = (".txt", ".TXT", ".lab", ".LAB", ".TextGrid", ".textgrid", ".TEXTGRID")
MADE = ("words", "phones")  # how tiers of alignments are called


@dataclass(frozen=True)
class Spoken:
    """What is said in a stretch of a recording.

    Attributes:
      start, duration: seconds; duration None reaches to the end.
      speaker: as a tier is called; empty where none is told.
    """

    text: str
    start: float = 0.0
    duration: float | None = None
    speaker: str = ""


def beside(audio: Path) -> list[Path]:
    """Returns the files of text beside an audio file; the first is the one that counts."""
    found: list[Path] = []
    for suffix in SUFFIXES:
        file = audio.with_suffix(suffix)
        if file.is_file() and not any(file.samefile(other) for other in found):
            found.append(file)
    return found


def spoken_beside(audio: Path) -> list[Spoken] | None:
    """Returns what is said in an audio file, as the text beside it tells; None where there is none.

    Raises:
      InputError: text that is not UTF-8, a damaged TextGrid, or one that tells an alignment instead of utterances.
    """
    files = beside(audio)
    if not files:
        return None
    if files[0].suffix.lower() != ".textgrid":
        return [Spoken(whole_text(files[0]))]
    return _of_textgrid(files[0])


def _of_textgrid(path: Path) -> list[Spoken]:
    grid = read_textgrid(path)
    made = [tier.name for tier in grid.tiers if tier.name.split(" - ")[-1] in MADE]
    if made:
        found = f"has the tier '{quote(made[0])}' of an alignment, wanted a tier a speaker, an interval an utterance"
        raise InputError.at(path, found, "Remove such tiers.")
    return [
        Spoken(interval.label, interval.start, interval.end - interval.start, tier.name)
        for tier in grid.tiers
        for interval in tier.intervals
        if interval.label.strip()
    ]


def spoken_items(item: Utterance, spoken: Sequence[Spoken]) -> list[Utterance]:
    """Returns the utterances of a recording.

    Args:
      item: the recording as one utterance, whose speaker is that of texts that name none.
      spoken: none gives one utterance with an empty text.
    """
    if not spoken or (len(spoken) == 1 and spoken[0].duration is None):
        return [replace(item, text=spoken[0].text if spoken else "")]
    items = []
    for one in spoken:
        speaker = mended_name(one.speaker).replace("/", "_") or item.speaker
        name = f"{item.id}-{speaker}-{round(one.start * 1000):08d}"
        told = replace(item, id=name, speaker=speaker, text=one.text, recording_id=item.recording)
        items.append(replace(told, start=max(one.start, 0.0), duration=one.duration))
    return items


def whole_text(path: str | os.PathLike) -> str:
    """Returns the lines of a text file as one.

    Raises:
      InputError: it is not UTF-8.
    """
    good, bad = split_lines(path)
    if bad:
        raise InputError(bad[0][1])
    return " ".join(line for _, line in good)
