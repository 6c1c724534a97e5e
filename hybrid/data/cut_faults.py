"""What is wrong with a cut that has a usable id: it fails by name, the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hybrid.base.errors import quote
from hybrid.base.names import name_fault

__all__ = ["MAX_SECONDS", "audio_fault", "label_fault"]

MAX_SECONDS = 24 * 3600  # of one cut; what is longer does not fit into memory as one utterance
MAX_START = 1e7  # seconds
LOWEST_RATE, HIGHEST_RATE = 1, 768_000  # Hz, of a manifest; a file's own rate is checked when it is read
MAX_CHANNEL = 1024


def label_fault(record: dict[str, Any]) -> str:
    """Says what hinders the use of a cut's text and speaker; empty where nothing does."""
    supervisions = record.get("supervisions")
    if supervisions is None:
        return ""
    if not isinstance(supervisions, list) or not all(isinstance(s, dict) for s in supervisions):
        return f"has supervisions {_shown(supervisions)}, wanted a list of objects"
    for supervision in supervisions:
        text, speaker = supervision.get("text"), supervision.get("speaker")
        if text is not None and not isinstance(text, str):
            return f"has text {_shown(text)}, wanted text"
        if speaker is not None and name_fault(speaker):
            return f"has speaker id {_shown(speaker)}, which {name_fault(speaker)}"
    return ""


def audio_fault(record: dict[str, Any]) -> str:
    """Says what hinders the reading of a cut's audio, as far as its fields tell; empty where nothing does."""
    return next(_faults(record, needs_duration="tracks" not in record), "")


def _shown(value: object) -> str:
    return quote(repr(value), 60)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _outside(value: object, low: float, high: float) -> bool:
    """Tells whether a value is no number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    return not low <= value <= high  # NaN lies nowhere; an integer may be too large for a float


def _faults(record: dict[str, Any], needs_duration: bool) -> Iterator[str]:
    if _outside(record.get("start", 0.0), -MAX_START, MAX_START):
        yield f"has start {_shown(record['start'])}, wanted seconds"
    if needs_duration and "duration" not in record:
        yield "has no duration"
    if _outside(record.get("duration", 0.0), -MAX_SECONDS, MAX_SECONDS):
        yield f"has duration {_shown(record['duration'])}, wanted seconds, at most {MAX_SECONDS}"
    yield from _channel_faults("channel", record.get("channel", 0))
    if "tracks" in record:
        yield from _track_faults(record["tracks"])
    elif not isinstance(record.get("recording"), dict):
        yield "has no recording"
    else:
        yield from _recording_faults(record["recording"])


def _channel_faults(name: str, channels: object) -> Iterator[str]:
    listed: list[Any] = channels if isinstance(channels, list) else [channels]
    if not listed or [c for c in listed if not _is_whole(c) or not 0 <= c <= MAX_CHANNEL]:
        yield f"has {name} {_shown(channels)}, wanted numbers from 0"


def _track_faults(tracks: object) -> Iterator[str]:
    if not isinstance(tracks, list) or not tracks:
        yield f"has tracks {_shown(tracks)}, wanted a list of cuts"
        return
    for track in tracks:
        if not isinstance(track, dict) or not isinstance(track.get("cut"), dict):
            yield "has a track without a cut"
            return
        if _outside(track.get("offset", 0.0), 0.0, MAX_SECONDS):
            yield f"has a track with offset {_shown(track['offset'])}, wanted seconds"
        if track.get("type") == "PaddingCut":
            yield from _padding_faults(track["cut"])
        else:
            yield from (f"has a track that {fault}" for fault in _faults(track["cut"], True))


def _padding_faults(padding: dict[str, Any]) -> Iterator[str]:
    if _outside(padding.get("duration"), 0.0, MAX_SECONDS):
        yield f"has padding of duration {_shown(padding.get('duration'))}, wanted seconds"
    if _outside(padding.get("sampling_rate"), LOWEST_RATE, HIGHEST_RATE):
        yield f"has padding of sampling_rate {_shown(padding.get('sampling_rate'))}, wanted Hz"
    if _outside(padding.get("num_samples") or 0, 0, MAX_SECONDS * HIGHEST_RATE):
        yield f"has padding of num_samples {_shown(padding.get('num_samples'))}"


def _recording_faults(recording: dict[str, Any]) -> Iterator[str]:
    name, rate, count = recording.get("id"), recording.get("sampling_rate"), recording.get("num_samples")
    if name is not None and name_fault(name):
        yield f"has recording id {_shown(name)}, which {name_fault(name)}"
    if _outside(rate, LOWEST_RATE, HIGHEST_RATE) or rate != int(rate):  # type: ignore[arg-type]
        yield f"has sampling_rate {_shown(rate)}, wanted Hz"
    if not _is_whole(count) or _outside(count, 1, 2**62):
        yield f"has num_samples {_shown(count)}, wanted a number of samples"
    sources = recording.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, dict) for source in sources):
        yield f"has sources {_shown(sources)}, wanted a list of files"
        return
    for source in sources:
        if not isinstance(source.get("source"), str) or not source["source"]:
            yield f"has a source {_shown(source.get('source'))}, wanted the path of a file"
        if source.get("channels") is not None and not isinstance(source["channels"], list):
            yield f"has channels {_shown(source['channels'])}, wanted a list"
        elif source.get("channels"):
            yield from _channel_faults("channels", source["channels"])
