"""Checks of a manifest and its audio: every finding has a name, and either a repair or a failure of the utterance.

| name | what | what is done |
|---|---|---|
| bad-line | a line that is no UTF-8, no JSON or no cut | fails |
| duplicate-id | two cuts of one id | an exact copy is dropped, another cut fails |
| not-allowed | audio made by a shell command or fetched from a URL, unless the user allows it | fails; nothing is run |
| bad-cut | a field of the wrong kind or size (no num_samples, start NaN) | fails |
| bad-id, bad-speaker, bad-recording | an id with white space or control characters, a long one | replaced by `_`, cut |
| no-speaker | no speaker id | the utterance is its own speaker |
| empty-text | no words | fails (unless text is not needed) |
| bad-text | control characters or odd spaces | cleaned |
| zero-length, outside | a segment that is empty, or begins after the end | fails |
| beyond-end | a segment that ends after the recording | cut at the end |
| overlap | two segments of one channel share more than `max_overlap` seconds | the later one fails |
| missing, empty, unreadable, truncated, rate, channel | the audio file | fails |
| changed | the header is not what the manifest says | the manifest is corrected |
| other-rate | not the wanted rate | resampled when read |
| silent | every sample has the same value | fails |
"""

from __future__ import annotations

import copy
import os
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.jobs import blocks, map_in_order, pool
from hybrid.base.log import get_logger, progress
from hybrid.base.names import mended_name, name_fault
from hybrid.base.ranges import NATURAL, check_fields
from hybrid.data.audio import AudioError, probe_audio
from hybrid.data.manifest import Cut, is_plain, load_samples, manifest_path, parse_cut, parse_line, raw_lines
from hybrid.data.trust import FILES_ONLY, NotAllowedError, Trust, resampled
from lexicon.words.blanks import split_words
from lexicon.words.spelling import Spelling

__all__ = ["CheckConfig", "CheckReport", "Finding", "check_cuts"]

logger = get_logger(__name__)
BLOCK = 32


@dataclass(frozen=True)
class CheckConfig:
    """What is asked of a manifest.

    Attributes:
      rate: wanted sampling rate in Hz; 0 takes what comes.
      need_text: utterances without words fail.
      read_audio: read every sample, not just headers; only this finds a flac that is cut short.
      max_overlap: seconds that two segments may share.
    """

    rate: int = field(default=0, metadata={"help": "wanted sampling rate, Hz; 0 takes what comes"})
    need_text: bool = field(default=True, metadata={"help": "utterances without words fail"})
    read_audio: bool = field(default=True, metadata={"help": "read every sample, not just headers"})
    max_overlap: float = field(default=0.5, metadata={"help": "seconds that two segments of a channel may share"})

    def __post_init__(self) -> None:
        check_fields(self, rate=NATURAL, max_overlap=NATURAL)


@dataclass(frozen=True)
class Finding:
    """One thing found: the utterance (or line), the problem's name, details, and the repair ("" if it failed)."""

    utterance: str
    problem: str
    detail: str
    repair: str = ""


@dataclass(eq=False)
class CheckReport:
    """What the check found, what it leaves over.

    Attributes:
      records: manifest lines that may be used, repaired where need be, sorted by id.
      oov: word → count, of words that `words` lacks.
      num_words: running words in all.
    """

    total: int = 0
    findings: list[Finding] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    oov: Counter = field(default_factory=Counter)
    num_words: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(utterance, reason) of what cannot be used."""
        return [(f.utterance, f"{f.problem}: {f.detail}") for f in self.findings if not f.repair]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Problem → (failed, repaired)."""
        table: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for finding in self.findings:
            table[finding.problem][bool(finding.repair)] += 1
        return {name: (pair[0], pair[1]) for name, pair in sorted(table.items())}


def check_cuts(
    manifest: str | os.PathLike,
    config: CheckConfig,
    words: Collection[str] | None = None,
    jobs: int = 1,
    trust: Trust = FILES_ONLY,
) -> CheckReport:
    """Checks every line of a manifest and the audio behind it.

    Args:
      words: the vocabulary; transcripts' words outside it are counted.
      jobs: processes that read audio.
      trust: what the audio may be besides files.

    Raises:
      InputError: the manifest itself cannot be read.
    """
    report, manifest = CheckReport(), manifest_path(manifest)
    utterances = _parse(manifest, config, report, trust)
    utterances = _without_overlaps(utterances, config, report)
    with progress("checking audio", len(utterances), logger) as bar, pool(jobs) as executor:
        function = partial(_check_block, config=config)
        for part in map_in_order(function, blocks(utterances, BLOCK), executor):
            for record, findings in part:
                report.findings += findings
                failed = any(not finding.repair for finding in findings)
                if not failed:
                    report.records.append(record)
                    report.seconds += parse_cut(record, manifest, trust=trust).duration
                bar.advance(int(not failed), int(failed))
    spelling = Spelling(words) if words is not None else None
    for record in report.records:
        found = parse_cut(record, manifest, audio=False).words
        report.num_words += len(found)
        if spelling is not None:
            report.oov.update(word for word in found if spelling.find(word) is None)
    return report


def _parse(manifest: str | os.PathLike, config: CheckConfig, report: CheckReport, trust: Trust) -> list[Cut]:
    seen: dict[str, Any] = {}
    kept = []
    for number, raw in raw_lines(manifest):
        report.total += 1
        name = f"line-{number}"
        try:
            record = parse_line(raw, manifest, number)
            findings = _repair_ids(record) + _repair_text(record)
            utterance = parse_cut(record, manifest, number, trust)
        except NotAllowedError as error:
            report.findings.append(Finding(str(record["id"]), "not-allowed", str(error)))
            continue
        except InputError as error:
            report.findings.append(Finding(name, "bad-line", str(error)))
            continue
        if utterance.id in seen:
            same = seen[utterance.id] == record
            detail = f"{manifest}:{number}: the id stands already in an earlier line"
            report.findings.append(Finding(utterance.id, "duplicate-id", detail, "copy dropped" if same else ""))
            continue
        seen[utterance.id] = copy.deepcopy(record)
        report.findings += findings
        if utterance.fault:
            report.findings.append(Finding(utterance.id, "bad-cut", f"{manifest}:{number}: {utterance.fault}"))
        elif config.need_text and not utterance.words:
            report.findings.append(Finding(utterance.id, "empty-text", f"{manifest}:{number}: transcript has no words"))
        else:
            kept.append(utterance)
    return sorted(kept, key=lambda utterance: utterance.id)


def _supervisions(record: Any) -> list[dict[str, Any]]:
    found = record.get("supervisions") if isinstance(record, dict) else None
    return [s for s in found if isinstance(s, dict)] if isinstance(found, list) else []


def _repair_ids(record: Any) -> list[Finding]:
    """Mends the ids of one manifest line in place."""
    if not isinstance(record, dict) or not mended_name(record.get("id")):
        return []
    findings = []

    def mend(holder: dict[str, Any], key: str, what: str, problem: str) -> None:
        """Replaces a name at fault and notes what was done."""
        old, new = holder[key], mended_name(holder[key])
        if name_fault(old) and new:
            holder[key] = new
            detail = f"{what} {quote(repr(old))} {name_fault(old)}"
            findings.append(Finding(record["id"], problem, detail, "replaced by _"))

    first = record["id"]
    mend(record, "id", "id", "bad-id")
    recording = record.get("recording")
    if isinstance(recording, dict) and recording.get("id") == first:
        recording["id"] = record["id"]
    elif isinstance(recording, dict) and recording.get("id") is not None:
        mend(recording, "id", "recording id", "bad-recording")
    for supervision in _supervisions(record):
        speaker = supervision.get("speaker")
        if speaker is None or (isinstance(speaker, str) and not speaker.strip()):
            supervision["speaker"] = record["id"]
            findings.append(Finding(record["id"], "no-speaker", "no speaker id", "utterance is its own speaker"))
        else:
            mend(supervision, "speaker", "speaker", "bad-speaker")
    return findings


def _repair_text(record: Any) -> list[Finding]:
    """Mends the texts of one manifest line in place."""
    findings = []
    for supervision in _supervisions(record):
        text = supervision.get("text")
        if isinstance(text, str):
            clean = " ".join(split_words(text))
            if clean != text:
                supervision["text"] = clean
                findings.append(Finding(str(record.get("id")), "bad-text", f"text {text[:40]!r}", "spaces cleaned"))
    return findings


def _without_overlaps(utterances: list[Cut], config: CheckConfig, report: CheckReport) -> list[Cut]:
    tracks: dict[tuple[str, int], list[Cut]] = defaultdict(list)
    for utterance in utterances:
        tracks[utterance.path or utterance.recording_id, utterance.channel].append(utterance)
    bad = set()
    for track in tracks.values():
        last: Cut | None = None
        for utterance in sorted(track, key=lambda u: (u.start, u.id)):
            shared = min(last.start + last.duration, utterance.start + utterance.duration) - utterance.start if last \
                else 0.0  # fmt: skip
            if last and shared > config.max_overlap:
                detail = f"shares {shared:.2f} s of {utterance.recording_id} with {last.id}"
                report.findings.append(Finding(utterance.id, "overlap", detail))
                bad.add(utterance.id)
            elif not last or utterance.start + utterance.duration > last.start + last.duration:
                last = utterance
    return [utterance for utterance in utterances if utterance.id not in bad]


def _check_block(utterances: list[Cut], config: CheckConfig) -> list[tuple[dict[str, Any], list[Finding]]]:
    return [_check_audio(utterance, config) for utterance in utterances]


def _check_audio(utterance: Cut, config: CheckConfig) -> tuple[dict[str, Any], list[Finding]]:
    """Checks the audio of one cut; returns its record, repaired, and what was found."""
    findings: list[Finding] = []
    record = utterance.record
    try:
        if utterance.duration <= 0:
            raise _named("zero-length", utterance, f"segment lasts {utterance.duration:g} s")
        if is_plain(record):
            record = _check_header(utterance, findings)
        rate = parse_cut(record, utterance.id, trust=utterance.trust).rate
        if config.rate and rate != config.rate:
            findings.append(
                Finding(utterance.id, "other-rate", f"{rate} Hz, wanted {config.rate}", "resampled when read")
            )
            record = resampled(record, config.rate, utterance.trust)
        if config.read_audio:
            samples, _ = load_samples(parse_cut(record, utterance.id, trust=utterance.trust))
            if not np.isfinite(samples.sum(dtype=np.float64)):
                raise _named("unreadable", utterance, "samples hold NaN or infinity")
            if samples.min() == samples.max():
                raise _named("silent", utterance, f"all {len(samples)} samples are {samples[0]:g}")
    except InputError as error:
        findings.append(Finding(utterance.id, getattr(error, "problem", "unreadable"), str(error)))
    return record, findings


def _named(problem: str, utterance: Cut, message: str) -> AudioError:
    error = AudioError(f"{utterance.path or utterance.id}: {message}.")
    error.problem = problem
    return error


def _check_header(utterance: Cut, findings: list[Finding]) -> dict[str, Any]:
    """Compares a plain cut with its file's header; returns the record, corrected where they differ."""
    info = probe_audio(utterance.path)
    record = copy.deepcopy(utterance.record)
    recording = record["recording"]
    channels = list(range(info.channels))
    said = (recording.get("sampling_rate"), recording.get("num_samples"), recording["sources"][0].get("channels"))
    found = (info.rate, info.num_samples, channels)
    if said != found:
        recording.update(
            sampling_rate=info.rate, num_samples=info.num_samples, duration=info.duration, channel_ids=channels
        )
        recording["sources"][0]["channels"] = channels
        detail = f"manifest says rate, samples, channels {said}; the file has {found}"
        findings.append(Finding(utterance.id, "changed", detail, "manifest corrected"))
        if info.num_samples / info.rate < 0.5 * (said[1] or 0) / (said[0] or 1):
            raise _named("truncated", utterance, f"is less than half as long as the manifest says: {detail}")
    if utterance.channel not in channels:
        raise _named("channel", utterance, f"has {info.channels} channel(s), wanted channel {utterance.channel}")
    if utterance.start < 0 or utterance.start >= info.duration:
        raise _named("outside", utterance, f"begins at {utterance.start:g} s, the file lasts {info.duration:g} s")
    if utterance.start + utterance.duration > info.duration + 0.5 / info.rate:
        record["duration"] = info.duration - utterance.start
        for supervision in record.get("supervisions") or []:
            length = supervision.get("duration")
            if isinstance(length, (int, float)) and not length <= record["duration"]:
                supervision["duration"] = record["duration"]
        over = utterance.start + utterance.duration - info.duration
        findings.append(Finding(utterance.id, "beyond-end", f"ends {over:.3f} s after the file", "cut at the end"))
    return record
