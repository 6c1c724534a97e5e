"""Aligned texts as files: CTM, TextGrid, JSON, subtitles, lhotse supervisions.

words.ctm phones.ctm        all utterances, sorted by recording and time
NAME.TextGrid               one per recording; NAME.json, NAME.srt, NAME.vtt alike, NAME.txt with a line an utterance
supervisions.jsonl.gz       lhotse supervisions with word and phone alignments
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path, write_gzip
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.names import file_stem
from hybrid.timing.ctm import TimedLabel, ctm_header, ctm_lines
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.subtitles import SubtitleConfig, captions, format_srt, format_vtt
from hybrid.timing.textgrid import textgrid_of, write_textgrid
from hybrid.timing.timed_text import SAME, TimedText

__all__ = ["FORMATS", "format_files", "joined", "json_record", "supervision_record", "write_formats"]

FORMATS = ("ctm", "textgrid", "textgrid-short", "json", "srt", "vtt", "txt", "lhotse")
_OF_ALL = {"ctm": ("words.ctm", "phones.ctm"), "lhotse": ("supervisions.jsonl.gz",)}


def format_files(recordings: Iterable[str], formats: Sequence[str]) -> list[str]:
    """Returns the names of the files that `write_formats` writes for these recordings."""
    found = {name for kind in formats for name in _OF_ALL.get(kind, ())}
    endings = {"TextGrid" if kind.startswith("textgrid") else kind for kind in formats if kind not in _OF_ALL}
    return sorted(found | {f"{file_stem(recording)}.{ending}" for recording in recordings for ending in endings})


def write_formats(
    texts: Iterable[TimedText],
    folder: Path,
    formats: Sequence[str],
    lengths: Mapping[str, float] | None = None,
    subtitles: SubtitleConfig | None = None,
    times: FrameTimes | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Writes aligned texts in each format asked for; a recording whose files cannot be written stops no other.

    Args:
      texts: any order; those of one recording go into one file where a format has a file per recording.
      formats: of FORMATS.
      lengths: recording → seconds, for TextGrids that cover the whole recording.
      times: whose convention of boundaries is told where a format has a place for it (CTM, JSON, VTT).
      facts: what JSON tells of each recording besides, such as language models.

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
    written: dict[str, str] = {}
    for recording, parts in by_recording.items():
        other = written.setdefault(file_stem(recording), recording)
        if other != recording and set(formats) - {"ctm", "lhotse"}:
            failures[recording] = f"its files would be those of recording '{other}'"
            continue
        if set(formats) <= set(_OF_ALL):
            continue
        try:
            whole = joined(parts, (lengths or {}).get(recording))
            _write_one(folder, recording, whole, parts, formats, subtitles, times, facts or {})
        except HybridError as error:
            failures[recording] = str(error)
            if len(failures) == len(by_recording):
                raise
    return failures


def _write_one(
    folder: Path,
    recording: str,
    whole: TimedText,
    parts: Sequence[TimedText],
    formats: Sequence[str],
    subtitles: SubtitleConfig | None,
    times: FrameTimes | None,
    facts: Mapping[str, Any],
) -> None:
    name = file_stem(recording)
    if "textgrid" in formats or "textgrid-short" in formats:
        write_textgrid(folder / f"{name}.TextGrid", textgrid_of(whole), short="textgrid-short" in formats)
    if "json" in formats:
        record = {
            "recording": recording,
            "duration": round(whole.end, 4),
            **({"boundaries": times.convention} if times else {}),
            **facts,
            "utterances": [json_record(p) for p in parts],
        }
        _write(folder / f"{name}.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    if "srt" in formats:
        _write(folder / f"{name}.srt", format_srt(captions(whole.words, subtitles)))
    if "txt" in formats:
        lines = [" ".join(word.label for word in part.spoken) for part in parts]
        _write(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines if line))
    if "vtt" in formats:
        guessed = sorted({w.label for w in whole.spoken if w.guessed})
        notes = [f"boundaries: {times.convention}"] if times else []
        notes += [f"pronunciation guessed: {' '.join(guessed)}"] if guessed else []
        _write(folder / f"{name}.vtt", format_vtt(captions(whole.words, subtitles), notes))


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


def joined(texts: Sequence[TimedText], length: float | None = None) -> TimedText:
    """Joins the texts of one recording, in the order of time.

    Args:
      length: of the recording, seconds; by default the last text's end.

    Raises:
      InputError: two of them lie over each other.
    """
    ordered = sorted(texts, key=lambda text: text.start)
    for one, other in itertools.pairwise([text for text in ordered if text.words]):
        if other.words[0].start < one.words[-1].end - SAME:
            raise InputError.at(
                f"recording '{quote(one.recording)}'",
                f"utterances '{quote(one.utterance)}' and '{quote(other.utterance)}' lie over each other",
                "Mend the cuts, or choose --format ctm or lhotse.",
            )
    end = max([text.end for text in ordered] + [length or 0.0])
    words = tuple(word for text in ordered for word in text.words)
    name = ordered[0].recording
    return TimedText(name, name, 0.0, end, words, ordered[0].speaker if len({t.speaker for t in ordered}) == 1 else "")


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
    return {**record, "text": " ".join(word.label for word in text.spoken), "words": words}


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
