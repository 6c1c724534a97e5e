"""Manifests: `cuts.jsonl.gz`, one lhotse MonoCut a line, and what the rest of the package reads from them.

A line is read without lhotse where it is plain (one file, no transforms), since that is fast; anything else that
lhotse can express is loaded by lhotse itself.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import write_gzip
from hybrid.base.errors import InputError

__all__ = ["Utterance", "is_plain", "load_samples", "parse_cut", "raw_lines", "read_cuts", "read_texts", "write_cuts"]


@dataclass(frozen=True)
class Utterance:
    """One cut: a stretch of one channel of a recording, its speaker and its words.

    Attributes:
      id: unique, without white space.
      start, duration: seconds in the recording.
      rate: samples per second that the cut yields.
      text: words with single spaces between them; None where the cut has no transcript.
      record: the line of the manifest as lhotse understands it.
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

    @property
    def words(self) -> list[str]:
        """The transcript's words; empty without one."""
        return (self.text or "").split()

    @property
    def path(self) -> str:
        """The audio file, or an empty string where the audio is no plain file."""
        sources = self.record.get("recording", {}).get("sources", [])
        return str(sources[0].get("source", "")) if len(sources) == 1 and sources[0].get("type") == "file" else ""


def parse_cut(record: Any, place: object, line: int | None = None) -> Utterance:
    """Builds an Utterance from one manifest line.

    Raises:
      InputError: a field is missing or of the wrong kind.
    """
    try:
        supervisions = record.get("supervisions") or []
        texts = [s["text"] for s in supervisions if s.get("text") is not None]
        speakers = [str(s["speaker"]) for s in supervisions if s.get("speaker") is not None]
        channel = record.get("channel", 0)
        return Utterance(
            id=str(record["id"]),
            speaker=speakers[0] if speakers else str(record["id"]),
            text=" ".join(" ".join(texts).split()) if texts else None,
            start=float(record.get("start", 0.0)),
            duration=float(record["duration"]) if "duration" in record else _length(record),
            rate=int(record["recording"]["sampling_rate"]) if "recording" in record else 0,
            channel=int(channel[0] if isinstance(channel, list) else channel),
            recording_id=str(record.get("recording", {}).get("id", record["id"])),
            record=record,
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError.at(
            place, f"is no cut of a lhotse manifest ({type(error).__name__}: {error})", "Prepare the data again.", line
        ) from error


def _length(record: dict[str, Any]) -> float:
    return max(float(t.get("offset", 0.0)) + float(t["cut"]["duration"]) for t in record["tracks"])


def raw_lines(path: str | os.PathLike) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, bytes) of a manifest's lines that are not empty, through gzip where it is gzip.

    Raises:
      InputError: the file is missing or cut short.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "cuts.jsonl.gz"
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        raise InputError.at(path, "manifest is missing", "Make it with `hybrid data`.") from error
    except (EOFError, OSError, zlib.error) as error:
        raise InputError.at(path, f"cannot be read ({error})", "Prepare the data again.") from error


def read_cuts(path: str | os.PathLike) -> list[Utterance]:
    """Reads a manifest (`.jsonl` or `.jsonl.gz`, or a folder that holds `cuts.jsonl.gz`).

    Raises:
      InputError: not there, not a manifest, or two cuts of one id.
    """
    utterances: list[Utterance] = []
    seen: dict[str, int] = {}
    for number, line in raw_lines(path):
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InputError.at(path, "is not UTF-8 text", "Prepare the data again.", number) from error
        except ValueError as error:
            raise InputError.at(path, f"is not JSON ({error})", "Prepare the data again.", number) from error
        utterance = parse_cut(record, path, number)
        if utterance.id in seen:
            raise InputError.at(
                path,
                f"utterance id '{utterance.id}' stands already in line {seen[utterance.id]}",
                "Run `hybrid data check --out-dir` to drop or list duplicates.",
                number,
            )
        seen[utterance.id] = number
        utterances.append(utterance)
    return utterances


def read_texts(path: str | os.PathLike) -> dict[str, list[str]]:
    """Returns utterance id → words, in the order of the manifest."""
    return {utterance.id: utterance.words for utterance in read_cuts(path)}


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
        and len(sources) == 1
        and sources[0].get("type") == "file"
        and not recording.get("transforms")
        and not record.get("transforms")
    )


def load_samples(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Reads the samples of a cut.

    Returns:
      float32 [N] in [-1, 1], and the rate.

    Raises:
      InputError: the audio is missing, damaged, cut short or not as the manifest says.
    """
    from hybrid.data.audio import read_audio

    if not is_plain(utterance.record):
        return _load_by_lhotse(utterance)
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


def _load_by_lhotse(utterance: Utterance) -> tuple[np.ndarray, int]:
    from lhotse.serialization import deserialize_item

    try:
        cut = deserialize_item(json.loads(json.dumps(utterance.record)))
        samples = np.asarray(cut.load_audio(), np.float32)
        if samples.ndim == 2:
            samples = samples[0] if len(samples) == 1 else samples.mean(axis=0)
    except InputError:
        raise
    except Exception as error:  # lhotse raises many kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError.at(f"cut '{utterance.id}'", f"lhotse cannot load it ({reason})", "Mend the cut.") from error
    return np.ascontiguousarray(samples), int(cut.sampling_rate)
