"""A user's own audio as a set: files and folders of any format, text beside them or in one file.

Files that are one channel of the wanted rate in wav or flac are used where they lie; all others are converted once,
into 16-bit flac files in the set's folder. Each says in a comment what it was made from and how, so that another
recording or other settings make it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from hybrid.base.artifact import content_hash
from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError, quote
from hybrid.base.failures import write_failed
from hybrid.base.jobs import map_in_order, pool
from hybrid.base.log import get_logger, progress
from hybrid.base.names import mended_name
from hybrid.base.ranges import Range, check_fields
from hybrid.data.audio import MIX, audio_comment, in_range, probe_audio, read_audio, write_audio
from hybrid.data.beside import Spoken, spoken_beside, spoken_items
from hybrid.data.find_audio import SUFFIXES, find_audio, scan
from hybrid.data.named_texts import match_texts, read_named_texts
from hybrid.data.sets import write_set
from hybrid.data.survey import survey, tell_notes
from hybrid.data.utterance import Utterance
from lexicon.words.normaliser import Normaliser

__all__ = ["SUFFIXES", "OwnConfig", "find_audio", "prepare", "speaker_of"]

logger = get_logger(__name__)
IN_PLACE = ("WAV", "WAVEX", "FLAC", "RF64")
Segmenter = Callable[[str], Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class OwnConfig:
    """How own audio becomes a set.

    Attributes:
      channel: from 0, or -1 for the mean of all channels.
      speakers: `folder` (the file's folder), `prefix` (its name up to the first - or _), `file` (each its own),
        or `one` (all the same).
    """

    rate: int = field(default=16000, metadata={"help": "wanted sampling rate, Hz"})
    channel: int = field(default=-1, metadata={"help": "of files with several, from 0; -1: the mean of all"})
    speakers: Literal["folder", "prefix", "file", "one"] = field(
        default="folder", metadata={"help": "who speaks: the file's folder, its name up to - or _, itself, or one"}
    )

    def __post_init__(self) -> None:
        check_fields(self, rate=Range(1000, 768_000), channel=Range(-1, 1023))
        if not 1000 <= self.rate <= 768_000:
            raise ValueError(f"rate is {self.rate} Hz, wanted 1000 to 768000 (speech: 8000 or 16000)")
        if self.channel < -1:
            raise ValueError(f"channel is {self.channel}, wanted -1 (mean) or a channel from 0")
        if self.speakers not in ("folder", "prefix", "file", "one"):
            raise ValueError(f"speakers is '{quote(self.speakers)}', wanted folder, prefix, file or one")


def speaker_of(name: str, path: Path, kind: str) -> str:
    """Returns the speaker of the utterance `name` in the file `path`.

    Args:
      kind: `folder` (the file's folder), `prefix` (of its name up to - or _), `file` (each its own) or `one`.
    """
    found = {
        "folder": mended_name(path.absolute().parent.name),
        "prefix": mended_name(path.stem.replace("_", "-").split("-")[0]),
        "file": name,
        "one": "speaker",
    }
    return found[kind] or name


@writes_into("data", "paths", "text")
def prepare(
    paths: Sequence[str | os.PathLike],
    out_dir: str | os.PathLike,
    config: OwnConfig,
    text: str | os.PathLike | None = None,
    segmenter: Segmenter | None = None,
    jobs: int = 1,
    normaliser: Normaliser | None = None,
) -> int:
    """Makes one set of own audio.

    Transcripts come from `text`, and then a file without one fails; or else from a `.txt`, `.lab` or `.TextGrid` file
    beside each audio file that has one; see `hybrid.data.beside`. What has no text can be decoded but not trained on.

    Args:
      segmenter: cuts a file into (start, duration) seconds; for audio without text.
      jobs: processes that convert.
      normaliser: makes words of the texts; by default upper case, without punctuation and tags.

    Returns:
      How many utterances.

    Raises:
      HybridError: nothing, or too much, was usable.
    """
    out = Path(out_dir)
    there = scan(paths)
    found = there.audio
    spoken_in, failed = _texts(found, text, normaliser := normaliser or Normaliser())
    failed += there.dead
    items: list[Utterance] = []
    notes: dict[str, list[str]] = {}
    with progress("converting", len(found), logger) as bar, pool(min(jobs, len(found))) as executor:
        convert = partial(_convert, folder=out / "audio", config=config)
        for (name, path), (usable, reason, noted) in zip(found, map_in_order(convert, found, executor)):
            if noted:
                notes[name] = noted
            if reason:
                failed.append((name, reason))
            else:
                try:
                    spoken = spoken_in(name, path)
                    items += _items(name, path, Path(usable), spoken, config, segmenter)
                except InputError as error:
                    failed.append((name, str(error)))
            bar.advance(int(not reason), int(bool(reason)))
    tell_notes(notes, logger)
    if there.others:
        logger.warning(
            "%d files are no audio and are left out (notes.txt), e.g. %s", len(there.others), there.others[0]
        )
        notes |= {quote(path, 300): ["is no audio; left out"] for path in there.others}
    normaliser.changes.log("transcripts")
    if silent := sum(item.text is None for item in items):
        logger.info("%d of %d utterances have no transcript", silent, len(items))
    settings = {"corpus": "own", "config": str(config), "text": str(normaliser.config)}
    count = write_set(items, out, "own audio", settings, failed, text is not None)
    write_failed(out / "notes.txt", {name: "; ".join(found) for name, found in notes.items()})
    return count


def _texts(
    found: Sequence[tuple[str, Path]], text: str | os.PathLike | None, normaliser: Normaliser
) -> tuple[Callable[[str, Path], list[Spoken] | None], list[tuple[str, str]]]:
    """Returns what tells the words of a file (raising InputError where it should have some), and lines of no use."""
    named, failed = read_named_texts(text) if text is not None else ({}, [])
    transcripts, unmatched = match_texts(found, named, text) if text is not None else ({}, {})

    def spoken_in(name: str, path: Path) -> list[Spoken] | None:
        """What is said in a file, in words; None where nothing tells."""
        if name in unmatched:
            raise InputError(unmatched[name])
        spoken = [Spoken(transcripts[name])] if text is not None else spoken_beside(path)
        if spoken is None:
            return None
        return [replace(one, text=" ".join(normaliser.words(one.text, path))) for one in spoken]

    return spoken_in, failed


def _items(
    name: str, path: Path, usable: Path, spoken: Sequence[Spoken] | None, config: OwnConfig,
    segmenter: Segmenter | None,
) -> Iterator[Utterance]:  # fmt: skip
    speaker = speaker_of(name, path, config.speakers)
    if spoken is not None or segmenter is None:
        whole = Utterance(name, usable, speaker)
        yield from spoken_items(whole, spoken) if spoken is not None else [whole]
        return
    segments = segmenter(str(usable))
    if not segments:
        raise InputError.at(path, "holds no speech", "Leave it out, or loosen the voice activity detector.")
    for start, duration in segments:
        yield Utterance(f"{name}-{round(start * 100):07d}", usable, speaker, None, start, duration, recording_id=name)


def _convert(item: tuple[str, Path], folder: Path, config: OwnConfig) -> tuple[str, str, list[str]]:
    """Returns a usable file for one audio file, why there is none, and what was noted."""
    name, path = item
    try:
        info = probe_audio(path)
        channel = config.channel if info.channels > 1 else 0
        notes = survey(path, info, channel, config.rate)
        if info.rate == config.rate and info.channels == 1 and info.kind in IN_PLACE:
            return str(path), "", notes
        if info.channels > 1 and channel == MIX:
            notes.append(f"has {info.channels} channels: their mean is used (--channel)")
        target = folder / f"{name}.flac"
        made_from = hashlib.sha256(json.dumps([content_hash(path), config.rate, channel]).encode()).hexdigest()
        samples, scaled = in_range(read_audio(path, config.rate, channel)[0])
        notes += [scaled] if scaled else []
        if audio_comment(target) != made_from:
            write_audio(target, samples, config.rate, "FLAC", made_from)
        return str(target), "", notes
    except InputError as error:
        return "", str(error), []
