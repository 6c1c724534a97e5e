"""The files of a decoding: its blocks put together, in the place of what an older run made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path
from hybrid.base.disk import make_folder, remove_mark, sync_folder, writing
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger
from hybrid.base.output import FAILED_NOW
from hybrid.base.reading import read_json
from hybrid.decode.block import COSTS, PARTS, SLOT_TABLE, TABLE, WORDS, DecodeOptions
from hybrid.lattice.algebra.lattice_biasing import BiasShare
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.formats import write_formats
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.slot import Slot
from hybrid.timing.timed_text import TimedText, TimedWord

__all__ = ["RECORDINGS", "WRITTEN", "DecodeTotals", "TooManyFailedError", "merge", "too_many", "write_lines"]

RECORDINGS = "recordings"  # files of the formats asked for
WHY = "why.jsonl"
MAYBE = (
    "decode.json",
    "phones.ctm",
    "nbest.txt",
    "written.txt",
    "written.ctm",
    "slots.tsv",
    WHY,
    WORDS,
)  # not always there
WRITTEN = (*MAYBE, "transcript.txt", "words.ctm", "utterances.tsv", "failed.txt")


logger = get_logger(__name__)


class TooManyFailedError(HybridError):
    """Nothing, or less than half, could be decoded.

    Attributes:
      path: the list of what failed.
      failed, done: utterances that were not decoded, and those that were.
    """

    path = Path()
    failed = done = 0

    @classmethod
    def of(cls, path: Path, failed: int, done: int, more: str = "") -> TooManyFailedError:
        """Names the list, which stands already."""
        error = cls(
            f"{path}: {failed} of {done + failed} utterances could not be decoded{more}. "
            "The reasons stand there, one a line."
        )
        error.path, error.failed, error.done = path, failed, done
        return error


@dataclass(frozen=True)
class DecodeTotals:
    """Totals of a run.

    Attributes:
      search_seconds, read_seconds, score_seconds: CPU time of the search; of determinisation, confidences and archives,
        beside it; of features and scores.
      acoustic_scale: of the search; lattices are unscaled.
      frame_shift: seconds per frame of the lattices. subsampling_factor: frames of features in each of them.
      boundaries: when their frames begin (`FrameTimes.convention`).
    """

    done: int
    failed: int
    partial: int
    empty: int
    limited: int
    retried: int
    audio_seconds: float
    search_seconds: float
    read_seconds: float
    score_seconds: float
    acoustic_scale: float
    frame_shift: float
    subsampling_factor: int
    boundaries: str


def merge(
    out: Path, count: int, failed: list[tuple[str, str]], options: DecodeOptions, models: Mapping[str, str]
) -> DecodeTotals:
    """Puts the parts of blocks 1 … `count` together, in their order, and writes the files of the folder.

    Args:
      failed: (id, reason) of what is not in any block.
      models: names of the language models.

    Raises:
      TooManyFailedError: too much failed, and finished results of an earlier run stand.
    """
    records: list[dict[str, Any]] = []
    header: list[str] = []
    frames: dict[str, Any] = {"frame_shift": 0.0, "subsampling_factor": 0, "boundaries": ""}
    costs: dict[str, Any] = dict.fromkeys(COSTS, 0.0)
    failed, scale, lag, tells_slots = list(failed), 0.0, 0.0, False
    for number in range(1, count + 1):
        part = read_json(out / PARTS / f"{number}.json")
        failed += [tuple(pair) for pair in part["failed"]]
        costs = {name: seconds + part[name] for name, seconds in costs.items()}
        records, scale = records + part["utterances"], part["acoustic_scale"]
        header, frames, lag = part["ctm_header"], part["frames"], part["boundary_lag"]
        tells_slots = part["tells_slots"]
    empty = [r["row"][0] for r in records if r["row"][3] == "empty"]
    failed += [(name, "the search found no path; look at its scores, or widen the beam") for name in empty]
    done = len(records) - len(empty)
    _keep_older(out, failed, done)
    _replace_lattices(out, count)
    if options.formats:
        times = FrameTimes(frames["frame_shift"] or 0.01, lag)
        failed += _write_recordings(out / RECORDINGS, records, options.formats, times, models)
    by_time = sorted(records, key=lambda r: (r["start"][0], r["start"][1]))
    write_lines(out / "transcript.txt", [f"{r['row'][0]} {r['text']}".rstrip() for r in records])
    write_lines(out / "words.ctm", header + [line for r in by_time for line in r["words"]])
    write_lines(out / "utterances.tsv", ["\t".join(TABLE), *("\t".join(r["row"]) for r in records)])
    write_failed(out / "failed.txt", sorted(failed))
    if options.phones:
        write_lines(out / "phones.ctm", header + [line for r in by_time for line in r["phones"]])
    if options.written is not None:
        write_lines(out / "written.txt", [f"{r['row'][0]} {r['written']}".rstrip() for r in records])
        write_lines(out / "written.ctm", header + [line for r in by_time for line in r["written_words"]])
    if tells_slots:
        write_lines(out / "slots.tsv", ["\t".join(SLOT_TABLE), *(line for r in records for line in r["slots"])])
    _tell_bias(out, records, options.why)
    if options.nbest:
        write_lines(out / "nbest.txt", [line for r in records for line in r["nbest"]])
    return DecodeTotals(
        done=done,
        failed=len(failed),
        partial=sum(r["row"][3] == "partial" for r in records),
        empty=len(empty),
        limited=sum(r["row"][4] not in ("", "0") for r in records),
        retried=sum(r["row"][5] != "1" for r in records),
        audio_seconds=sum(r["seconds"] for r in records),
        acoustic_scale=scale,
        **costs,
        **frames,
    )


def _tell_bias(out: Path, records: Sequence[dict[str, Any]], why: bool) -> None:
    """Tells how many words the phrases wrote that were raised, and writes what became of each."""
    told = [record["bias"] for record in records if record["bias"]]
    share = BiasShare(sum(one["words"] for one in told), sum(one["written"] for one in told))
    if told:
        logger.info("--bias: %s", share.summary())
    if share.warning():
        logger.warning("--bias: %s", share.warning())
    if why:
        write_lines(out / WHY, [one["why"] for one in told])


def _write_recordings(
    folder: Path,
    records: Sequence[dict[str, Any]],
    formats: Sequence[str],
    times: FrameTimes,
    models: Mapping[str, str],
) -> list[tuple[str, str]]:
    """Writes the formats asked for; returns the recordings whose files cannot be written, with the reason."""
    make_folder(folder)
    texts = []
    for record in (r["timed"] for r in records):
        words = [
            TimedWord(**{**word, "phones": tuple(TimedLabel(**phone) for phone in word["phones"])})
            for word in record["words"]
        ]
        slots = None if record["slots"] is None else tuple(Slot(**slot) for slot in record["slots"])
        texts.append(TimedText(**{**record, "words": tuple(words), "slots": slots}))
    return list(write_formats(texts, folder, formats, times=times, facts=models).items())


def too_many(failed: int, done: int) -> bool:
    """Whether nothing was decoded, or less than half."""
    return done == 0 or failed > done


def _keep_older(out: Path, failed: list[tuple[str, str]], done: int) -> None:
    """Raises where too much failed and finished results of an earlier run stand, which are worth more."""
    if not too_many(len(failed), done) or not (out / "meta.json").exists():
        return
    write_failed(out / FAILED_NOW, sorted(failed))
    shutil.rmtree(out / PARTS, ignore_errors=True)
    raise TooManyFailedError.of(out / FAILED_NOW, len(failed), done, "; the earlier results stand")


def _replace_lattices(out: Path, count: int) -> None:
    """Removes what an older run made and puts the lattices into its place; killed here, the next run goes on here."""
    remove_mark(out)
    names = {f"lat.{number}.gz" for number in range(1, count + 1)}
    with writing(out):
        for name in (*MAYBE, FAILED_NOW):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / RECORDINGS, ignore_errors=True)
        for file in out.glob("lat.*.gz"):
            if file.name not in names:
                file.unlink()
        for name in names:
            if (out / PARTS / name).exists():
                os.replace(out / PARTS / name, out / name)
        if (out / PARTS / WORDS).exists():
            shutil.copyfile(out / PARTS / WORDS, out / WORDS)
        sync_folder(out)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Writes a text file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
