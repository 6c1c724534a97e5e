"""Aligned texts as files: CTM, TextGrid, JSON, subtitles, lhotse supervisions.

words.ctm phones.ctm        all utterances, sorted by recording and time
NAME.TextGrid               one per recording; NAME.json, NAME.srt, NAME.vtt alike, NAME.txt with a line an utterance;
                            NAME may lie in folders of its own, as the audio does
supervisions.jsonl.gz       lhotse supervisions with word and phone alignments
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path, write_gzip
from hybrid.base.errors import HybridError, quote
from hybrid.base.names import file_stem
from hybrid.formats.praat import write_textgrid
from hybrid.timing.ctm import TimedLabel, ctm_header, ctm_lines
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.subtitles import SubtitleConfig, captions, format_srt, format_vtt
from hybrid.timing.textgrid import textgrid_of
from hybrid.timing.timed_text import TimedText, joined

__all__ = ["FORMATS", "format_files", "json_record", "supervision_record", "write_formats"]

FORMATS = ("ctm", "textgrid", "textgrid-short", "json", "srt", "vtt", "txt", "lhotse")
_OF_ALL = {"ctm": ("words.ctm", "phones.ctm"), "lhotse": ("supervisions.jsonl.gz",)}
_SHARED = {name for names in _OF_ALL.values() for name in names}


def format_files(places: Iterable[str], formats: Sequence[str]) -> list[str]:
    """Returns the names of the files that `write_formats` writes for recordings at these places."""
    found = {name for kind in formats for name in _OF_ALL.get(kind, ())}
    endings = {"TextGrid" if kind.startswith("textgrid") else kind for kind in formats if kind not in _OF_ALL}
    return sorted(found | {f"{place}.{ending}" for place in places for ending in endings})


def write_formats(
    texts: Iterable[TimedText],
    folder: Path,
    formats: Sequence[str],
    lengths: Mapping[str, float] | None = None,
    subtitles: SubtitleConfig | None = None,
    times: FrameTimes | None = None,
    facts: Mapping[str, Any] | None = None,
    places: Mapping[str, str] | None = None,
    taken: Collection[str] = (),
) -> dict[str, str]:
    """Writes aligned texts in each format asked for; a recording whose files cannot be written stops no other.

    Args:
      texts: any order; those of one recording go into one file where a format has a file per recording.
      formats: of FORMATS.
      lengths: recording → seconds, for TextGrids that cover the whole recording.
      times: whose convention of boundaries is told where a format has a place for it (CTM, JSON, VTT).
      facts: what JSON tells of each recording besides, such as language models.
      places: recording → its NAME, with folders; by default `base.names.file_stem` of its id.
      taken: files that somebody else writes into the folder.

    Returns:
      Recording → why its files could not be written.

    Raises:
      HybridError: the files of all recordings, or those of none in particular, cannot be written.
      ValueError: an unknown format.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise ValueError(f"format '{quote(unknown[0])}' is none of {', '.join(FORMATS)}")
    ordered = sorted(texts, key=lambda text: (text.recording, text.start, text.utterance))
    folder = Path(folder)
    if "ctm" in formats:
        _write_ctms(ordered, folder, times)
    if "lhotse" in formats:
        with write_gzip(folder / "supervisions.jsonl.gz") as stream:
            for text in ordered:
                stream.write((json.dumps(supervision_record(text), ensure_ascii=False) + "\n").encode())
    by_recording: dict[str, list[TimedText]] = {}
    for text in ordered:
        by_recording.setdefault(text.recording, []).append(text)
    failures: dict[str, str] = {}
    written = dict.fromkeys(taken, "")
    for recording, parts in by_recording.items():
        place = (places or {}).get(recording) or file_stem(recording)
        files = [name for name in format_files([place], formats) if name not in _SHARED]
        if clash := next((name for name in files if name in written), None):
            owner = f"that of recording '{quote(written[clash])}'" if written[clash] else "a file of the command itself"
            failures[recording] = f"its file {quote(clash)} would be {owner}. Rename one, or choose other formats."
            continue
        written |= dict.fromkeys(files, recording)
        try:
            _write_one(folder / place, parts, formats, (lengths or {}).get(recording), subtitles, times, facts or {})
        except HybridError as error:
            failures[recording] = str(error)
            if len(failures) == len(by_recording):
                raise
    return failures


def _write_one(
    place: Path,
    parts: Sequence[TimedText],
    formats: Sequence[str],
    length: float | None,
    subtitles: SubtitleConfig | None,
    times: FrameTimes | None,
    facts: Mapping[str, Any],
) -> None:
    """Writes the files of one recording; `place` is their path without suffix."""

    def file(ending: str) -> Path:
        return place.with_name(f"{place.name}.{ending}")

    if "textgrid" in formats or "textgrid-short" in formats:
        write_textgrid(file("TextGrid"), textgrid_of(parts, length), short="textgrid-short" in formats)
    if "json" in formats:
        record = {
            "recording": parts[0].recording,
            "duration": round(max([*(part.end for part in parts), length or 0.0]), 4),
            **({"boundaries": times.convention} if times else {}),
            **facts,
            "utterances": [json_record(p) for p in parts],
        }
        _write(file("json"), json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    if "txt" in formats:
        lines = [" ".join(word.label for word in part.spoken) for part in parts]
        _write(file("txt"), "".join(f"{line}\n" for line in lines if line))
    if "srt" in formats:
        _write(file("srt"), format_srt(captions(joined(parts, length).words, subtitles)))
    if "vtt" in formats:
        whole = joined(parts, length)
        guessed = sorted({w.label for w in whole.spoken if w.guessed})
        notes = [f"boundaries: {times.convention}"] if times else []
        notes += [f"pronunciation guessed: {' '.join(guessed)}"] if guessed else []
        _write(file("vtt"), format_vtt(captions(whole.words, subtitles), notes))


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_ctms(texts: Sequence[TimedText], folder: Path, times: FrameTimes | None) -> None:
    words = ctm_header(times) if times else []
    phones = list(words)
    for text in texts:
        labels = [TimedLabel(w.label, w.start, w.duration, w.confidence) for w in text.spoken]
        words += ctm_lines(text.recording, labels)
        phones += ctm_lines(text.recording, text.phones)
    for name, lines in (("words.ctm", words), ("phones.ctm", phones)):
        _write(folder / name, "".join(f"{line}\n" for line in lines))


def json_record(text: TimedText) -> dict[str, Any]:
    """Returns plain values: times in seconds in the recording, confidences, and which words were guessed."""
    words = []
    for word in text.spoken:
        entry: dict[str, Any] = {"word": word.label, **_span(word.start, word.end), "phones": []}
        if word.confidence is not None:
            entry["confidence"] = round(word.confidence, 4)
        if word.guessed:
            entry["guessed"] = True
        for phone in word.phones:
            row: dict[str, Any] = {"phone": phone.label, **_span(phone.start, phone.end)}
            if phone.confidence is not None:
                row["confidence"] = round(phone.confidence, 4)
            entry["phones"].append(row)
        words.append(entry)
    record: dict[str, Any] = {"id": text.utterance, **_span(text.start, text.end)}
    if text.speaker:
        record["speaker"] = text.speaker
    confidence = text.confidence
    if confidence is not None:
        record["confidence"] = round(confidence, 4)
    record |= {"text": " ".join(word.label for word in text.spoken), "words": words}
    if text.rule is not None:
        record["rule"] = text.rule
    if text.slots is not None:
        record["slots"] = [slot.to_dict() for slot in text.slots]
    return record


def _span(start: float, end: float) -> dict[str, float]:
    return {"start": round(start, 4), "end": round(end, 4)}


def supervision_record(text: TimedText) -> dict[str, Any]:
    """Returns a lhotse supervision with its alignments; each item is [symbol, start, duration, score]."""
    words = [(w.label, w.start, w.duration, w.confidence) for w in text.spoken]
    phones = [(p.label, p.start, p.duration, p.confidence) for p in text.phones if p.label]
    alignment = {
        name: [[s, round(t, 4), round(d, 4), None if c is None else round(c, 4)] for s, t, d, c in rows]
        for name, rows in (("word", words), ("phone", phones))
    }
    guessed = sorted({w.label for w in text.spoken if w.guessed})
    return {
        "id": text.utterance,
        "recording_id": text.recording,
        "start": round(text.start, 4),
        "duration": round(text.duration, 4),
        "channel": 0,
        "text": " ".join(w.label for w in text.spoken),
        **({"speaker": text.speaker} if text.speaker else {}),
        **({"custom": {"guessed": guessed}} if guessed else {}),
        "alignment": alignment,
    }
