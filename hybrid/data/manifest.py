"""Manifests: `cuts.jsonl.gz`, one lhotse cut a line, and what the rest of the package reads from them.

A line is read without lhotse where it is plain (one file, no transforms), since that is fast; anything else that
lhotse can express is loaded by lhotse itself, as far as `hybrid.data.trust` lets it through. A line without a usable
id, or with audio that is no file, stops the reading; any other fault is the cut's own (`Cut.fault`), which then
fails by name wherever its audio is wanted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import write_gzip
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import tell_changes
from hybrid.base.names import name_fault
from hybrid.base.reading import byte_lines, parse_json, require_followed
from hybrid.data.cut_faults import audio_fault, label_fault
from hybrid.data.trust import FILES_ONLY, Trust, load_by_lhotse, not_allowed, refusal
from lexicon.words.blanks import split_words

__all__ = ["CHECK", "Cut", "is_plain", "load_samples", "manifest_path", "parse_cut", "parse_line", "raw_lines",
           "read_cuts", "read_texts", "usable_cuts", "write_cuts"]  # fmt: skip

CHECK = "`hybrid data check --cuts SET --out-dir OUT` replaces or drops it."
AGAIN = "Prepare the data again."
LONGEST_LINE = 16 << 20  # bytes


@dataclass(frozen=True)
class Cut:
    """One cut: a stretch of one channel of a recording, its speaker and its words.

    Attributes:
      id: unique; see `hybrid.base.names`.
      start, duration: seconds in the recording.
      rate: samples per second that the cut yields.
      text: words with single spaces between them; None where the cut has no transcript.
      record: the line of the manifest as lhotse understands it; empty where the audio was not asked for.
      fault: why the cut cannot be used, as "has start inf, wanted seconds"; empty where it can.
      trust: what its audio may be besides files.
    """

    id: str
    speaker: str
    text: str | None
    start: float
    duration: float
    rate: int
    channel: int
    recording_id: str
    record: dict[str, Any] = field(repr=False, compare=False)
    fault: str = ""
    trust: Trust = field(default=FILES_ONLY, repr=False, compare=False)

    @property
    def words(self) -> list[str]:
        """The transcript's words; empty without one."""
        return split_words(self.text or "")

    @property
    def path(self) -> str:
        """The audio file, or an empty string where the audio is no plain file."""
        if self.fault or "tracks" in self.record:
            return ""
        sources = self.record.get("recording", {}).get("sources", [])
        return str(sources[0]["source"]) if len(sources) == 1 and sources[0].get("type") == "file" else ""

    def error(self) -> InputError:
        """The cut's fault as the error that a library raises."""
        return InputError.at(f"cut '{quote(self.id)}'", self.fault, CHECK)


def parse_cut(
    record: Any, place: object, line: int | None = None, trust: Trust = FILES_ONLY, audio: bool = True
) -> Cut:
    """Builds an Cut from one manifest line.

    Args:
      trust: what audio may be besides files.
      audio: False where only id, text and speaker are wanted; then nothing else is looked at or kept.

    Raises:
      InputError: no cut, no usable id, or audio that `trust` does not allow.
    """
    if not isinstance(record, dict) or "id" not in record:
        raise InputError.at(place, "is no cut of a lhotse manifest (no JSON object with an id)", AGAIN, line)
    name = record["id"]
    if name_fault(name):
        shown = f"utterance id '{quote(name)}'" if isinstance(name, str) else "utterance id"
        raise InputError.at(place, f"{shown} {name_fault(name)}", CHECK, line)
    found = refusal(record, trust) if audio else None
    if found is not None:
        raise not_allowed(found, f"cut '{quote(name)}'", place, line)
    fault = label_fault(record)
    labels = {"speaker": name, "text": None} if fault else _labels(record)
    if not audio:
        return Cut(**labels, **_times({}), id=name, recording_id=name, record={}, fault=fault)
    fault = fault or audio_fault(record)
    recording: dict[str, Any] = {} if fault else record.get("recording", {})
    return Cut(
        **labels, **_times({} if fault else record), id=name, recording_id=str(recording.get("id") or name),
        record=record, fault=fault, trust=trust,
    )  # fmt: skip


def _labels(record: dict[str, Any]) -> dict[str, Any]:
    supervisions = record.get("supervisions") or []
    texts = [s["text"] for s in supervisions if s.get("text") is not None]
    speakers = [s["speaker"] for s in supervisions if s.get("speaker") is not None]
    return {
        "text": " ".join(split_words(" ".join(texts))) if texts else None,
        "speaker": speakers[0] if speakers else record["id"],
    }


def _times(record: dict[str, Any]) -> dict[str, Any]:
    channel = record.get("channel", 0)
    return {
        "start": float(record.get("start", 0.0)),
        "duration": float(record["duration"]) if "duration" in record else _length(record),
        "rate": _rate(record),
        "channel": channel[0] if isinstance(channel, list) else channel,
    }


def _length(record: dict[str, Any]) -> float:
    return max([float(t.get("offset", 0.0)) + float(t["cut"]["duration"]) for t in record.get("tracks", [])] or [0.0])


def _rate(record: dict[str, Any]) -> int:
    for track in record.get("tracks", []):
        cut = track["cut"]
        return int(cut["sampling_rate"]) if "sampling_rate" in cut else _rate(cut)
    return int(record.get("recording", {}).get("sampling_rate", 0))


def manifest_path(path: str | os.PathLike) -> Path:
    """Returns the manifest itself of a set: `path`, or `cuts.jsonl.gz` in it where it is a folder.

    Raises:
      InputError: a pipe or device.
    """
    path = Path(path)
    require_followed(path)
    path = path / "cuts.jsonl.gz" if path.is_dir() else path
    if path.exists() and not path.is_file():
        raise InputError.at(
            quote(path, 300),
            "is a pipe or device, and a manifest is read more than once",
            "Write it into a file first.",
        )
    return path


def raw_lines(path: str | os.PathLike) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, bytes) of a manifest's lines that are not empty, through gzip where it is gzip.

    A manifest that was edited since it was made is told in the log, and read.

    Raises:
      InputError: the file is missing, cut short, or has a line of more than 16 MiB.
    """
    path = manifest_path(path)
    if not path.exists():
        raise InputError.at(path, "manifest is missing", "Make it with `hybrid data`.")
    tell_changes(path)
    for number, line in byte_lines(path, LONGEST_LINE):
        if line.strip():
            yield number, line


def parse_line(data: bytes, place: object, line: int) -> Any:
    """Parses one line of a manifest, in which NaN and Infinity stand for no time.

    Raises:
      InputError: no UTF-8, no JSON, or nested too deep.
    """
    return parse_json(data, place, line, AGAIN)


def read_cuts(path: str | os.PathLike, trust: Trust = FILES_ONLY, audio: bool = True) -> list[Cut]:
    """Reads a manifest (`.jsonl` or `.jsonl.gz`, or a folder that holds `cuts.jsonl.gz`).

    Args:
      trust, audio: see `parse_cut`.

    Raises:
      InputError: not there, not a manifest, two cuts of one id, or see `parse_cut`.
    """
    utterances: list[Cut] = []
    seen: dict[str, int] = {}
    path = manifest_path(path)
    for number, line in raw_lines(path):
        utterance = parse_cut(parse_line(line, path, number), path, number, trust, audio)
        if utterance.id in seen:
            raise InputError.at(
                path,
                f"utterance id '{quote(utterance.id)}' stands already in line {seen[utterance.id]}",
                "Run `hybrid data check --out-dir` to drop or list duplicates.",
                number,
            )
        seen[utterance.id] = number
        utterances.append(utterance)
    return utterances


def usable_cuts(path: str | os.PathLike, trust: Trust = FILES_ONLY) -> tuple[list[Cut], list[tuple[str, str]]]:
    """Reads a manifest and sets aside the cuts that have a fault.

    Returns:
      The cuts that can be used, and (id, reason) of the others.
    """
    cuts = read_cuts(path, trust)
    return [cut for cut in cuts if not cut.fault], [(cut.id, str(cut.error())) for cut in cuts if cut.fault]


def read_texts(path: str | os.PathLike) -> dict[str, list[str]]:
    """Returns utterance id → words, in the order of the manifest."""
    return {utterance.id: utterance.words for utterance in read_cuts(path, audio=False)}


def write_cuts(path: str | os.PathLike, records: Iterable[dict[str, Any]]) -> int:
    """Writes manifest lines (dicts as lhotse's `to_dict` gives) as `.jsonl.gz`; returns how many."""
    count = 0
    with write_gzip(path) as stream:
        for record in records:
            stream.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
            count += 1
    return count


def is_plain(record: dict[str, Any]) -> bool:
    """Tells whether a manifest line is one channel of one file without transforms."""
    recording = record.get("recording", {})
    sources = recording.get("sources", [])
    return (
        record.get("type", "MonoCut") == "MonoCut"
        and "tracks" not in record
        and len(sources) == 1
        and sources[0].get("type") == "file"
        and not recording.get("transforms")
        and not record.get("transforms")
    )


def load_samples(utterance: Cut) -> tuple[np.ndarray, int]:
    """Reads the samples of a cut.

    Returns:
      float32 [N] in [-1, 1], and the rate.

    Raises:
      InputError: the audio is missing, damaged, cut short or not as the manifest says.
    """
    from hybrid.data.audio import read_audio

    if utterance.fault:
        raise utterance.error()
    if not is_plain(utterance.record):
        return load_by_lhotse(utterance.record, utterance.trust)
    recording = utterance.record["recording"]
    start = round(utterance.start * utterance.rate)
    count = min(round(utterance.duration * utterance.rate), int(recording["num_samples"]) - start)
    if count <= 0:
        raise InputError.at(
            utterance.path,
            f"segment {utterance.start:g} s + {utterance.duration:g} s is empty or past the recording's end",
            "Mend the segment's times.",
        )
    channels = recording["sources"][0].get("channels") or [0]
    if utterance.channel not in channels:
        raise InputError.at(
            utterance.path, f"cut wants channel {utterance.channel}, the recording has {channels}", "Choose a channel."
        )
    samples, rate = read_audio(utterance.path, channel=channels.index(utterance.channel), start=start, count=count)
    if rate != utterance.rate:
        raise InputError.at(
            utterance.path,
            f"has a rate of {rate} Hz, the manifest says {utterance.rate}",
            "Prepare the data again.",
        )
    return samples, rate
