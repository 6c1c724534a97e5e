"""Kaldi's data folders: wav.scp, segments, utt2spk and text, read into a set and written from one.

Pipes in wav.scp (`sph2pipe … |`) are commands: they are run only where the user allows it, once, and their audio is
kept in the set's folder.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.base.names import mended_name
from hybrid.base.reading import require_followed, text_lines
from hybrid.data.audio import in_range, read_audio, write_audio
from hybrid.data.manifest import read_cuts
from hybrid.data.sets import write_set
from hybrid.data.trust import FILES_ONLY, NotAllowedError, Trust
from hybrid.data.utterance import Utterance

__all__ = ["KaldiData", "from_kaldi", "read_kaldi_data", "read_table", "to_kaldi"]

logger = get_logger(__name__)


def read_table(path: str | os.PathLike) -> dict[str, str]:
    """Reads `key value …` lines; the value may be empty.

    Raises:
      InputError: missing, not UTF-8, or a key that stands twice.
    """
    found: dict[str, str] = {}
    for number, line in text_lines(path):
        key, _, value = line.strip().partition(" ")
        if not key:
            continue
        if key in found:
            raise InputError.at(path, f"'{quote(key)}' stands in an earlier line too", "Remove one.", number)
        found[key] = value.strip()
    return found


@dataclass(frozen=True, eq=False)
class KaldiData:
    """What a data folder says.

    Attributes:
      recordings: of wav.scp, recording → file or command; empty without it.
      segments: utterance → (recording, start, end) in seconds; end None: of the recording. Without a file of that name
        each recording is an utterance.
      speakers, texts: of utterances; texts may lack some.
      failures: (utterance, reason) of lines that cannot be used.
    """

    path: Path
    recordings: dict[str, str]
    segments: dict[str, tuple[str, float, float | None]]
    speakers: dict[str, str]
    texts: dict[str, str]
    failures: list[tuple[str, str]] = field(default_factory=list)

    def speaker(self, utterance: str) -> str:
        """The speaker of an utterance; itself where none is named."""
        return self.speakers.get(utterance) or utterance


def read_kaldi_data(path: str | os.PathLike) -> KaldiData:
    """Reads the tables of a data folder.

    Raises:
      InputError: no such folder, a table that cannot be read, or none of utt2spk, segments, wav.scp and feats.scp.
    """
    folder = Path(path)
    require_followed(folder)
    names = ("wav.scp", "utt2spk", "text", "segments", "feats.scp")
    if not any((folder / name).is_file() for name in names):
        raise InputError.at(folder, "is no data folder of Kaldi's (no wav.scp, no feats.scp)", "Name its folder.")
    wav, speakers, texts, segments, feats = (
        read_table(folder / name) if (folder / name).is_file() else {} for name in names
    )
    failures: list[tuple[str, str]] = []
    cut: dict[str, tuple[str, float, float | None]] = {}
    for utterance, value in segments.items():
        try:
            recording, start, end = value.split()[:3]
            times = float(start), float(end)
            if not all(map(math.isfinite, times)):
                raise ValueError
            cut[utterance] = (recording, times[0], None if times[1] < 0 else times[1])
        except ValueError:
            failures.append((utterance, f"{folder / 'segments'}: '{quote(value)}' is no recording, start and end"))
    if not segments:
        cut = {name: (name, 0.0, None) for name in (wav or feats or speakers)}
    return KaldiData(folder, wav, cut, speakers, texts, failures)


@writes_into("data", "path")
def from_kaldi(path: str | os.PathLike, out_dir: str | os.PathLike, trust: Trust = FILES_ONLY) -> int:
    """Makes a set of a data folder with wav.scp; returns how many utterances it has.

    Args:
      trust: whether commands in wav.scp are run.

    Raises:
      InputError: see `read_kaldi_data`; or there is no wav.scp.
      HybridError: nothing, or too much, was usable.
    """
    data, out = read_kaldi_data(path), Path(out_dir)
    if not data.recordings:
        raise InputError.at(data.path, "has no wav.scp", "Features are read by `hybrid feats from-kaldi`.")
    failed, items = list(data.failures), list[Utterance]()
    files: dict[str, Path | InputError] = {}
    for utterance, (recording, start, end) in data.segments.items():
        try:
            if recording not in data.recordings:
                raise InputError.at(data.path / "segments", f"recording '{quote(recording)}' is not in wav.scp")
            if recording not in files:
                files[recording] = _audio(data, recording, out, trust)
            found = files[recording]
            if isinstance(found, InputError):
                raise found
            duration = None if end is None else end - start
            items.append(Utterance(utterance, found, data.speaker(utterance), data.texts.get(utterance), start,
                                   duration, recording_id=recording))  # fmt: skip
        except InputError as error:
            failed.append((utterance, str(error)))
    need_text = bool(data.texts)
    return write_set(items, out, "Kaldi's data", {"corpus": "kaldi"}, failed, need_text)


def _audio(data: KaldiData, recording: str, out: Path, trust: Trust) -> Path | InputError:
    """Returns a recording's file, or why there is none; the audio of a command is made into a file."""
    value, place = data.recordings[recording], data.path / "wav.scp"
    if not value:
        return InputError.at(place, f"'{quote(recording)}' has no file", "Mend the line.")
    if "://" in value.partition(" ")[0]:
        return InputError.at(place, f"'{quote(value)}' is a URL", "Fetch it, and name the file.")
    if not value.endswith("|"):
        return next((p for p in (Path(value), data.path / value) if os.path.isfile(p)), Path(value))
    if not trust.commands:
        found = f"'{quote(recording)}' is a shell command ({quote(value)}), which is not allowed"
        return NotAllowedError.at(place, found, "If you trust who made it: --allow-commands.")
    target = out / "audio" / f"{mended_name(recording)}.flac"
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "made.wav"
        with open(wav, "wb") as stream:
            done = subprocess.run(value[:-1], shell=True, stdout=stream, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            return InputError.at(place, f"'{quote(recording)}': its command failed ({done.returncode})", "Try it.")
        try:
            samples, rate = read_audio(wav)
        except InputError as error:
            return InputError.at(place, f"'{quote(recording)}': what its command gave {error.found}", "Try it.")
    write_audio(target, in_range(samples)[0], rate, "FLAC")
    return target


@writes_into("kaldi-data", "cuts")
def to_kaldi(cuts: str | os.PathLike, out_dir: str | os.PathLike, trust: Trust = FILES_ONLY) -> int:
    """Writes a set as a data folder: wav.scp, segments, text, utt2spk, spk2utt and utt2dur, sorted as Kaldi wants them.

    Audio that Kaldi does not read itself (flac, several channels) stands as a pipe of sox, which is written, not run.

    Returns:
      How many utterances.

    Raises:
      InputError: no manifest, or audio that is no plain file.
    """
    out = Path(out_dir)
    tables: dict[str, dict[str, str]] = {name: {} for name in ("wav.scp", "segments", "text", "utt2spk", "utt2dur")}
    speakers: dict[str, list[str]] = {}
    whole = True
    for cut in read_cuts(cuts, trust):
        if not cut.path:
            raise InputError.at(cuts, f"the audio of '{quote(cut.id)}' is no plain file", "Write it into a file.")
        channels = cut.record["recording"]["sources"][0].get("channels") or [0]
        recording = cut.recording_id if len(channels) == 1 else f"{cut.recording_id}-{cut.channel}"
        tables["wav.scp"][recording] = _source(cut.path, channels.index(cut.channel), len(channels))
        tables["segments"][cut.id] = f"{recording} {cut.start:.6f} {cut.start + cut.duration:.6f}"
        length = cut.record["recording"]["num_samples"] / cut.record["recording"]["sampling_rate"]
        whole &= recording == cut.id and cut.start == 0 and abs(cut.duration - length) < 1e-4
        tables["utt2spk"][cut.id], tables["utt2dur"][cut.id] = cut.speaker, f"{cut.duration:.6f}"
        speakers.setdefault(cut.speaker, []).append(cut.id)
        if cut.text is not None:
            tables["text"][cut.id] = cut.text
    if whole:
        del tables["segments"]
    tables["spk2utt"] = {speaker: " ".join(sorted(ids)) for speaker, ids in speakers.items()}
    odd = next((u for u, speaker in tables["utt2spk"].items() if not u.startswith(speaker)), "")
    if odd:
        logger.warning("'%s' does not begin with its speaker's name: Kaldi's sorting checks may complain", quote(odd))
    for name, table in tables.items():
        with atomic_path(out / name) as temporary:
            lines = sorted(f"{key} {value}".rstrip() + "\n" for key, value in table.items())
            temporary.write_text("".join(lines), encoding="utf-8")
    write_meta(out, "kaldi-data", {}, {}, {"utterances": len(tables["utt2spk"])}, list(tables))
    return len(tables["utt2spk"])


def _source(path: str, channel: int, channels: int) -> str:
    if path.lower().endswith(".wav") and channels == 1:
        return path
    quoted = "'" + path.replace("'", "'\\''") + "'"
    return f"sox {quoted} -t wav -" + (f" remix {channel + 1}" if channels > 1 else "") + " |"
