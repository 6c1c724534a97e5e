"""One block of a decoding: its utterances scored and searched; each is read and stored while the next is searched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.jobs import one_behind
from hybrid.base.ranges import COUNT, Range, check_fields
from hybrid.base.reading import whole_record
from hybrid.data.utterance import Utterance
from hybrid.decode.bias_watch import PlainSearches
from hybrid.decode.raised_phrases import bias_record
from hybrid.decode.recognition import Recognition
from hybrid.decode.scoring import BATCH_FRAMES, NothingSaid
from hybrid.decode.sources import ScoreSource
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.lattice.archive import LatticeWriter, open_writer
from hybrid.search.batch import as_array
from hybrid.search.protocol import SearchResult
from hybrid.timing.ctm import ctm_header, ctm_lines
from hybrid.timing.slot import Slot
from hybrid.timing.timed_text import TimedText
from hybrid.written.form import WrittenForm

__all__ = ["PARTS", "TABLE", "DecodeOptions", "decode_block"]

PARTS = ".parts"
BATCH_SCORES = 1 << 24  # scores of one batch: 64 MB
TABLE = ("utterance", "frames", "seconds", "status", "limited_frames", "searches", "beam", "graph_score",
         "acoustic_score", "depth", "confidence", "rejected")  # fmt: skip
WORDS = "words.txt"  # of a graph whose slots hold words that it lacks
SLOT_TABLE = ("utterance", "name", "value", "text", "list", "start", "end", "confidence")
COSTS = ("search_seconds", "read_seconds", "score_seconds")


@dataclass(frozen=True)
class DecodeOptions:
    """What is written besides lattices, transcript and word times."""

    nbest: int = field(default=0, metadata={"help": "Write this many best word sequences of each to nbest.txt."})
    phones: bool = field(default=False, metadata={"help": "Write phones with times to phones.ctm."})
    formats: tuple[str, ...] = ()  # of `timing.formats.FORMATS`, written to recordings/
    written: WrittenForm | None = None  # also written.txt and written.ctm; the formats hold it
    batch_frames: int = field(
        default=BATCH_FRAMES, metadata={"help": "Frames scored together at most, padding counted."}
    )
    why: bool = False  # what became of each phrase that is raised, in why.jsonl
    block: int = field(default=32, metadata={"help": "Utterances per piece of work and per lattice archive."})

    def __post_init__(self) -> None:
        check_fields(self, nbest=Range(0, 100000), batch_frames=COUNT, block=COUNT)


def decode_block(
    shared: tuple[SystemSpec, ScoreSource, str, DecodeOptions], item: tuple[int, Sequence[Utterance]]
) -> dict[str, int]:
    """Decodes one block and writes its lattices and then its part; a block with a part is finished.

    Args:
      shared: system, source, output folder and options.
      item: number of the block, from 1, and its utterances.

    Returns:
      How many were `done` and `failed`.
    """
    spec, source, out, options = shared
    number, speech = item
    part = Path(out) / PARTS / f"{number}.json"
    lists, numbers = ("utterances", "failed", "ctm_header"), (*COSTS, "acoustic_scale")
    record = whole_record(part, {**dict.fromkeys(lists, list), **dict.fromkeys(numbers, (int, float)), "frames": dict,
                                 "tells_slots": bool})  # fmt: skip
    if record is not None:
        return {"done": len(record["utterances"]), "failed": len(record["failed"])}
    system = load_system(spec)
    if system.graph is not None and len(system.words) > len(system.graph.words):
        system.words.write(part.with_name(WORDS))  # the same of every block
    failed: list[tuple[str, str]] = []
    silent: list[Utterance] = []
    utterances: list[dict[str, Any]] = []
    costs = dict.fromkeys(COSTS, 0.0)
    start = time.thread_time()
    with open_writer(part.with_name(f"lat.{number}.gz"), compact=not spec.raw) as writer:
        scores = source.scores(system.model, speech, options.batch_frames)
        searched = _searched(system, _batches(scores, speech, failed, silent), costs, failed)
        utterances += one_behind(partial(_stored, options, writer, costs, PlainSearches()), searched)
    if silent:
        utterances += (_silence(item, options) for item in silent)
        utterances.sort(key=lambda record: record["row"][0])
    costs["score_seconds"] = time.thread_time() - start - costs["search_seconds"]  # results are read in another thread
    record = {
        **costs,
        "acoustic_scale": system.config.scale,
        "ctm_header": ctm_header(system.times),
        "frames": {
            "frame_shift": round(system.model.frame_shift, 9),
            "subsampling_factor": system.model.acoustic_model.subsampling_factor,
            "boundaries": system.times.convention,
        },
        "boundary_lag": system.times.lag,
        "tells_slots": system.reader.tells_slots,
        "failed": failed,
        "utterances": utterances,
    }
    with atomic_path(part) as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return {"done": len(utterances), "failed": len(failed)}


def _searched(
    system: System, batches: Iterable[tuple[list[Utterance], list[np.ndarray]]], costs: dict[str, float],
    failed: list[tuple[str, str]],
) -> Iterator[tuple[System, Utterance, SearchResult, np.ndarray]]:  # fmt: skip
    """Yields utterances with what was found, the system that reads it, and scores; those that failed go to `failed`."""
    for items, scores in batches:
        results = system.searched(scores)
        for item, own in zip(items, scores):
            begin = time.thread_time()
            reader, result = next(results)
            costs["search_seconds"] += time.thread_time() - begin
            if result.failed:
                failed.append((item.id, result.error))
            else:
                yield reader, item, result, own


def _stored(
    options: DecodeOptions, writer: LatticeWriter, costs: dict[str, float], searches: PlainSearches,
    found: tuple[System, Utterance, SearchResult, np.ndarray],
) -> dict[str, Any]:  # fmt: skip
    """Reads and stores what was found in one utterance; the record of it."""
    begin = time.thread_time()
    system, item, result, scores = found
    one = system.read(item, result)
    if not one.result.empty and not system.spec.only_best:
        writer.write(one.utterance, one.lattice if system.spec.raw else one.compact)
    bias = bias_record(system, one, result, scores, options.why, searches)
    record = {**_record(one, options), "bias": bias}
    costs["read_seconds"] += time.thread_time() - begin
    return record


def _batches(
    found: Iterable[Any], speech: Sequence[Utterance], failed: list[tuple[str, str]], silent: list[Utterance]
) -> Iterator[tuple[list[Utterance], list[np.ndarray]]]:
    """Yields utterances with scores, at most BATCH_SCORES numbers together.

    Appends those in which nothing is said to `silent`, and the others to `failed`.
    """
    items: list[Utterance] = []
    scores: list[np.ndarray] = []
    for item, one in zip(speech, found):
        if isinstance(one, NothingSaid):
            silent.append(item)
            continue
        if isinstance(one, str):
            failed.append((item.id, one))
            continue
        matrix = as_array(one)
        if items and sum(s.size for s in scores) + matrix.size > BATCH_SCORES:
            yield items, scores
            items, scores = [], []
        items.append(item)
        scores.append(matrix)
    if items:
        yield items, scores


def _silence(item: Utterance, options: DecodeOptions) -> dict[str, Any]:
    """The record of an utterance in which nothing is said: no words, no lattice."""
    seconds = item.duration or 0.0
    row = [item.id, "0", f"{seconds:.3f}", "silence", "", "1", *[""] * (len(TABLE) - 6)]
    empty: dict[str, Any] = {"words": [], "phones": [], "nbest": [], "timed": {}, "written": "", "written_words": [],
                             "slots": [], "bias": {}}  # fmt: skip
    if options.formats:
        empty["timed"] = asdict(TimedText(item.id, item.recording, item.start, seconds, ()))
    return {"row": row, "text": "", "seconds": seconds, **empty, "start": [item.recording, item.start]}


def _slot_line(utterance: str, slot: Slot) -> str:
    """A line of slots.tsv."""
    sure = "" if slot.confidence is None else f"{slot.confidence:.4f}"
    texts = (" ".join(one.split()) for one in (slot.name, slot.value, slot.text, slot.slot))
    return "\t".join([utterance, *texts, f"{slot.start:.3f}", f"{slot.start + slot.duration:.3f}", sure])


def _record(one: Recognition, options: DecodeOptions) -> dict[str, Any]:
    result, path = one.result, one.path
    row = (one.utterance, result.num_frames, f"{one.duration:.3f}", result.status,
           "" if result.limited_frames is None else result.limited_frames, len(result.attempts),
           f"{result.attempts[-1].beam:g}", f"{path.graph_score:.6g}" if path else "",
           f"{path.acoustic_score:.7g}" if path else "", f"{one.depth:.3f}",
           f"{one.confidence:.4f}" if path else "", len(one.rejected))  # fmt: skip
    lines = []
    if options.nbest and path is not None:
        for rank, other in enumerate(one.nbest(options.nbest), 1):
            scores = f"{other.graph_score:.6g} {other.acoustic_score:.7g}"
            lines.append(f"{one.utterance} {rank} {scores} {other.text}".rstrip())
    written = one if options.written is None else one.written(options.written)
    return {
        "row": [str(x) for x in row],
        "text": one.text,
        "seconds": one.duration,
        "words": ctm_lines(one.recording, one.words),
        "phones": ctm_lines(one.recording, one.phones) if options.phones else [],
        "nbest": lines,
        "timed": asdict(written.timed) if options.formats else {},
        "slots": [_slot_line(one.utterance, slot) for slot in one.slots],
        "written": written.text if options.written else "",
        "written_words": ctm_lines(one.recording, written.words) if options.written else [],
        "start": [one.recording, one.words[0].start if one.words else 0.0],
    }
