"""What the preparation of every corpus shares: cuts from files, sets on disk, failures listed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hybrid.base.artifact import write_meta
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, progress
from hybrid.base.names import name_fault
from hybrid.base.reading import read_bytes, require_followed
from hybrid.data.audio import AudioInfo, probe_audio
from hybrid.data.manifest import write_cuts
from hybrid.data.utterance import Utterance

__all__ = ["cut_record", "split_lines", "write_set"]

logger = get_logger(__name__)
MAX_FAILED = 0.5  # of a set; more than that means that something is wrong with the corpus, not with files


OVERSHOOT = 0.5  # seconds that a segment may end behind its recording, as tools that count in frames write them


def cut_record(item: Utterance, info: AudioInfo) -> dict[str, Any]:
    """Builds the manifest line (a lhotse MonoCut with one supervision) of an item.

    Raises:
      InputError: the segment is empty or lies outside the recording.
    """
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    if not 0 <= item.channel < info.channels:
        raise InputError.at(item.path, f"has {info.channels} channel(s), wanted channel {item.channel}", "Mend it.")
    duration = info.duration - item.start if item.duration is None else item.duration
    inside = 0 <= item.start < info.duration and item.start + duration <= info.duration + OVERSHOOT
    if not (duration > 0 and inside):  # so that NaN does not pass
        raise InputError.at(
            item.path,
            f"segment '{quote(item.id)}' from {item.start:g} s lasting {duration:g} s does not lie in "
            f"{info.duration:.3f} s",
            "Mend its times.",
        )
    duration = min(duration, info.duration - item.start)
    path = str(Path(item.path).absolute())
    name = item.recording
    recording = Recording(
        id=name,
        sources=[AudioSource(type="file", channels=list(range(info.channels)), source=path)],
        sampling_rate=info.rate,
        num_samples=info.num_samples,
        duration=info.duration,
    )
    supervision = SupervisionSegment(
        id=item.id,
        recording_id=name,
        start=0.0,
        duration=duration,
        channel=item.channel,
        text=item.text,
        language=item.language,
        speaker=item.speaker,
    )
    cut = MonoCut(
        id=item.id,
        start=item.start,
        duration=duration,
        channel=item.channel,
        supervisions=[supervision],
        recording=recording,
    )
    return cut.to_dict()


@writes_into("data", argument="folder")
def write_set(
    items: Iterable[Utterance],
    folder: Path,
    title: str,
    settings: Mapping[str, Any],
    failures: Sequence[tuple[str, str]] = (),
    need_text: bool = True,
) -> int:
    """Looks at each item's audio and writes `cuts.jsonl.gz`, `failed.txt` and `meta.json` of one set.

    Args:
      failures: (id, reason) of utterances that failed earlier.
      need_text: utterances with an empty transcript fail.

    Returns:
      How many utterances the set has.

    Raises:
      HybridError: nothing, or too much, was usable.
    """
    items = sorted(items, key=lambda item: item.id)
    failed = list(failures)
    records: list[dict[str, Any]] = []
    infos: dict[str | Path, AudioInfo] = {}
    last = ""
    with progress(f"{title}: audio headers", len(items), logger) as bar:
        for item in items:
            try:
                if item.id == last:
                    raise InputError.at(
                        item.path, f"utterance id '{quote(item.id)}' stands for two files", "Rename one."
                    )
                last = item.id
                for what, value in (
                    ("utterance", item.id),
                    ("speaker", item.speaker),
                    ("recording", item.recording_id),
                ):
                    if (value or what != "recording") and name_fault(value):
                        raise InputError.at(item.path, f"{what} id '{quote(value)}' {name_fault(value)}", "Rename it.")
                if need_text and not (item.text or "").split():
                    raise InputError.at(item.path, "has an empty transcript", "Write it, or leave the file out.")
                if item.path not in infos:
                    infos = {item.path: probe_audio(item.path)}
                records.append(cut_record(item, infos[item.path]))
                bar.advance()
            except InputError as error:
                failed.append((item.id, str(error)))
                bar.advance(0, 1)
    total = len(records) + len(failed)
    if not records or len(failed) > MAX_FAILED * total:
        first = f" First: {failed[0][1]}" if failed else ""
        raise HybridError(f"{title}: {len(failed)} of {total} utterances cannot be used.{first}")
    write_cuts(folder / "cuts.jsonl.gz", records)
    write_failed(folder / "failed.txt", failed)
    seconds = sum(record["duration"] for record in records)
    facts = {"utterances": len(records), "failed": len(failed), "seconds": round(seconds, 3)}
    write_meta(folder, "data", settings, facts=facts, files=["cuts.jsonl.gz", "failed.txt"])
    logger.info(
        "%s: %d utterances, %.1f min, %d failed%s", title, len(records), seconds / 60, len(failed),
        f" (see {folder / 'failed.txt'})" if failed else "",
    )  # fmt: skip
    return len(records)


def split_lines(path: str | os.PathLike) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Reads a text file line by line, so that a line in another encoding costs that line only.

    Returns:
      (line number, text) of the good lines that are not empty, and (line number, reason) of the bad ones.

    Raises:
      InputError: the file cannot be read.
    """
    good, bad = [], []
    raw = read_bytes(path)
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            bad.append((number, str(InputError.at(path, f"is not UTF-8 ({found})", "Convert it to UTF-8.", number))))
            continue
        if text:
            good.append((number, text))
    return good, bad


def require_folder(path: str | os.PathLike, what: str, cure: str) -> Path:
    """Returns the corpus folder, or says what was wanted and how to get it."""
    path = Path(path)
    require_followed(path)
    if not path.is_dir():
        raise InputError.at(path, f"no such folder; wanted {what}", cure)
    return path
