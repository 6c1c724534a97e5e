"""Decoding of a set: fixed blocks on any executor, resumed where it was killed, the same files for any number of jobs.

OUT/lat.<n>.gz       lattices of block n, determinised (Kaldi CompactLattice archive, gzip), or raw (Lattice archive)
OUT/transcript.txt   utterance, words
OUT/words.ctm        recording channel start duration word confidence
OUT/utterances.tsv   flags and scores of each utterance
OUT/failed.txt       utterance, reason
OUT/decode.json      totals; meta.json: what it cost and what it was made from, written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.disk import make_folder, writing
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import cpu_seconds, get_logger, log_totals, peak_memory_gb, progress
from hybrid.base.reading import read_bytes, whole_record
from hybrid.data.utterance import Utterance
from hybrid.decode.block import COSTS, PARTS, DecodeOptions, decode_block
from hybrid.decode.outputs import WRITTEN, DecodeTotals, merge, too_many, write_lines
from hybrid.decode.sources import ScoreSource
from hybrid.decode.system import SystemSpec

__all__ = ["DecodeOptions", "DecodeTotals", "decode_corpus"]

logger = get_logger(__name__)


@writes_into("lattices", "spec.model_dir", "spec.graph_dir", "source")
def decode_corpus(
    spec: SystemSpec,
    source: ScoreSource,
    out_dir: str | os.PathLike,
    options: DecodeOptions | None = None,
    executor: Executor | None = None,
) -> DecodeTotals:
    """Decodes every utterance of a source into a folder.

    A run that was killed goes on after its last finished block if it is started again with the same inputs.

    Raises:
      HybridError: nothing, or less than half, could be decoded.
    """
    options, out = options or DecodeOptions(), Path(out_dir)
    speech, failed = source.utterances()
    work = blocks(speech, options.block)
    _prepare(out, _fingerprint(spec, source, options, speech))
    costs = _Costs.begin(out / PARTS)
    shared = (spec, source, str(out), options)
    with progress("decoding", len(speech)) as state:
        for counts in map_in_order(decode_block, list(enumerate(work, 1)), executor, shared=shared):
            state.advance(counts["done"], counts["failed"])
            costs.note()
    totals = merge(out, len(work), failed, options)
    _finish(out, spec, source, options, totals, costs)
    return totals


@dataclass(frozen=True, eq=False)
class _Costs:
    """CPU time and memory of the attempts at one decoding, noted after each block: a kill loses no more than one.

    Attributes:
      file: of this attempt.
      earlier: what each of those before cost.
    """

    file: Path
    earlier: tuple[dict[str, float], ...]

    @classmethod
    def begin(cls, parts: Path) -> _Costs:
        files = sorted(parts.glob("attempt.*.json"))
        known = (whole_record(file, {"cpu_seconds": (int, float), "peak_memory_gb": (int, float)}) for file in files)
        return cls(parts / f"attempt.{len(files) + 1:04d}.json", tuple(one for one in known if one is not None))

    def total(self) -> dict[str, float]:
        """Returns the sum, this attempt included."""
        now = {"cpu_seconds": cpu_seconds(), "peak_memory_gb": peak_memory_gb()}
        return {
            "attempts": len(self.earlier) + 1,
            "cpu_seconds": round(now["cpu_seconds"] + sum(each["cpu_seconds"] for each in self.earlier), 2),
            "peak_memory_gb": round(max([now["peak_memory_gb"], *(e["peak_memory_gb"] for e in self.earlier)]), 3),
        }

    def note(self) -> None:
        """Keeps what this attempt has cost so far."""
        with atomic_path(self.file) as temporary:
            record = {"cpu_seconds": cpu_seconds(), "peak_memory_gb": peak_memory_gb()}
            temporary.write_text(json.dumps(record), encoding="utf-8")


def _fingerprint(spec: SystemSpec, source: ScoreSource, options: DecodeOptions, speech: Sequence[Utterance]) -> str:
    digest = hashlib.sha256()
    for text in (repr(spec), repr(options), source.fingerprint()):
        digest.update(text.encode())
    for file in (Path(spec.model_dir) / "meta.json", Path(spec.graph_dir) / "meta.json", spec.calibration_file):
        if file is not None and file.exists():
            digest.update(read_bytes(file))
    digest.update("\n".join(item.id for item in speech).encode())
    return digest.hexdigest()


def _prepare(out: Path, fingerprint: str) -> None:
    """Keeps the blocks of an unfinished run of the same work; what an older run made stands until this one is whole."""
    parts = out / PARTS
    mark = parts / "fingerprint"
    with writing(out):
        for stale in [*out.glob(".tmp*"), *parts.glob(".tmp*")]:  # of a run that was killed while it wrote
            stale.unlink()
        if mark.exists() and mark.read_bytes() == fingerprint.encode():
            return
        shutil.rmtree(parts, ignore_errors=True)
    make_folder(parts)
    with atomic_path(mark) as temporary:
        temporary.write_text(fingerprint, encoding="utf-8")


<<<<<<< HEAD
=======
def _decode_block(
    shared: tuple[SystemSpec, ScoreSource, str, DecodeOptions], item: tuple[int, Sequence[Utterance]]
) -> dict[str, int]:
    """Decodes one block and writes its lattices and then its part; a block with a part is finished."""
    spec, source, out, options = shared
    number, speech = item
    part = Path(out) / PARTS / f"{number}.json"
    lists, numbers = ("utterances", "failed", "ctm_header"), ("search_seconds", "score_seconds", "acoustic_scale")
    record = whole_record(part, {**dict.fromkeys(lists, list), **dict.fromkeys(numbers, (int, float)), "frames": dict})
    if record is not None:
        return {"done": len(record["utterances"]), "failed": len(record["failed"])}
    system = load_system(spec)
    failed: list[tuple[str, str]] = []
    utterances: list[dict[str, Any]] = []
    start, searching = time.thread_time(), 0.0
    with open_writer(part.with_name(f"lat.{number}.gz"), compact=options.compact) as writer:
        for items, scores in _batches(
            system, source.scores(system.model, speech, options.batch_frames), speech, failed
        ):
            begin = time.thread_time()
            found = system.recognise(items, scores)
            searching += time.thread_time() - begin
            for one in found:
                utterances.append(_record(system, one, options))
                if not one.result.empty:
                    writer.write(one.utterance, one.lattice)
    total = time.thread_time() - start
    record = {
        "acoustic_scale": system.config.scale,
        "score_seconds": total - searching,
        "search_seconds": searching,
        "ctm_header": ctm_header(system.times),
        "frames": {
            "frame_shift": round(system.model.frame_shift, 9),
            "subsampling_factor": system.model.acoustic_model.subsampling_factor,
            "boundaries": system.times.convention,
        },
        "failed": failed,
        "utterances": utterances,
    }
    with atomic_path(part) as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return {"done": len(utterances), "failed": len(failed)}


def _batches(
    system: System, found: Iterable[Any], speech: Sequence[Utterance], failed: list[tuple[str, str]]
) -> Iterator[tuple[list[Utterance], list[np.ndarray]]]:
    """Yields utterances with good scores, at most BATCH_SCORES numbers together; appends the others to `failed`."""
    items: list[Utterance] = []
    scores: list[np.ndarray] = []
    for item, one in zip(speech, found):
        if isinstance(one, str):
            failed.append((item.id, one))
            continue
        try:
            matrix = check_scores(one, system.searcher.num_pdfs)
        except HybridError as error:
            failed.append((item.id, str(error)))
            continue
        if not len(matrix):
            failed.append((item.id, "has no frames"))
            continue
        if items and sum(s.size for s in scores) + matrix.size > BATCH_SCORES:
            yield items, scores
            items, scores = [], []
        items.append(item)
        scores.append(matrix)
    if items:
        yield items, scores


def _record(system: System, one: Recognition, options: DecodeOptions) -> dict[str, Any]:
    result, path = one.result, one.path
    row = (one.utterance, result.num_frames, f"{one.duration:.3f}", result.status,
           "" if result.limited_frames is None else result.limited_frames, len(result.attempts),
           f"{result.attempts[-1].beam:g}", f"{path.graph_score:.6g}" if path else "",
           f"{path.acoustic_score:.7g}" if path else "", f"{result.lattice.depth:.3f}")  # fmt: skip
    lines = []
    if options.nbest and path is not None:
        scale = one.acoustic_scale
        for rank, other in enumerate(nbest(one.lattice, options.nbest, scale), 1):
            words = " ".join(system.words.symbol(w) for w in other.word_ids.tolist())
            lines.append(f"{one.utterance} {rank} {other.graph_score:.6g} {other.acoustic_score:.7g} {words}".rstrip())
    return {
        "row": [str(x) for x in row],
        "text": one.text,
        "seconds": one.duration,
        "words": ctm_lines(one.recording, one.words),
        "phones": ctm_lines(one.recording, one.phones) if options.phones else [],
        "nbest": lines,
        "start": [one.recording, one.words[0].start if one.words else 0.0],
    }


def _merge(out: Path, count: int, failed: list[tuple[str, str]], options: DecodeOptions) -> DecodeTotals:
    """Puts the parts together in the order of the blocks."""
    records: list[dict[str, Any]] = []
    header: list[str] = []
    frames: dict[str, Any] = {"frame_shift": 0.0, "subsampling_factor": 0, "boundaries": ""}
    failed, search, score, scale = list(failed), 0.0, 0.0, 0.0
    for number in range(1, count + 1):
        part = read_json(out / PARTS / f"{number}.json")
        failed += [tuple(pair) for pair in part["failed"]]
        search, score = search + part["search_seconds"], score + part["score_seconds"]
        records, scale = records + part["utterances"], part["acoustic_scale"]
        header, frames = part["ctm_header"], part["frames"]
    empty = [r["row"][0] for r in records if r["row"][3] == "empty"]
    failed += [(name, "the search found no path; look at its scores, or widen the beam") for name in empty]
    done = len(records) - len(empty)
    _keep_older(out, failed, done)
    _replace_lattices(out, count)
    by_time = sorted(records, key=lambda r: (r["start"][0], r["start"][1]))
    _write(out / "transcript.txt", [f"{r['row'][0]} {r['text']}".rstrip() for r in records])
    _write(out / "words.ctm", header + [line for r in by_time for line in r["words"]])
    _write(out / "utterances.tsv", ["\t".join(TABLE), *("\t".join(r["row"]) for r in records)])
    write_failed(out / "failed.txt", sorted(failed))
    if options.phones:
        _write(out / "phones.ctm", header + [line for r in by_time for line in r["phones"]])
    if options.nbest:
        _write(out / "nbest.txt", [line for r in records for line in r["nbest"]])
    return DecodeTotals(
        done=done,
        failed=len(failed),
        partial=sum(r["row"][3] == "partial" for r in records),
        empty=len(empty),
        limited=sum(r["row"][4] not in ("", "0") for r in records),
        retried=sum(r["row"][5] != "1" for r in records),
        audio_seconds=sum(r["seconds"] for r in records),
        search_seconds=search,
        score_seconds=score,
        acoustic_scale=scale,
        **frames,
    )


def _too_many(failed: int, done: int) -> bool:
    return done == 0 or failed > done


def _keep_older(out: Path, failed: list[tuple[str, str]], done: int) -> None:
    """Raises where too much failed and finished results of an earlier run stand, which are worth more."""
    if not _too_many(len(failed), done) or not (out / "meta.json").exists():
        return
    write_failed(out / FAILED_NOW, sorted(failed))
    shutil.rmtree(out / PARTS, ignore_errors=True)
    raise HybridError(
        f"{out / FAILED_NOW}: {len(failed)} of {done + len(failed)} utterances could not be decoded; the earlier "
        "results stand. The reasons stand there, one a line."
    )


def _replace_lattices(out: Path, count: int) -> None:
    """Removes what an older run made and puts the lattices into its place; killed here, the next run goes on here."""
    remove_mark(out)
    names = {f"lat.{number}.gz" for number in range(1, count + 1)}
    with writing(out):
        for name in ("decode.json", "phones.ctm", "nbest.txt", FAILED_NOW):
            (out / name).unlink(missing_ok=True)
        for file in out.glob("lat.*.gz"):
            if file.name not in names:
                file.unlink()
        for name in names:
            if (out / PARTS / name).exists():
                os.replace(out / PARTS / name, out / name)
        sync_folder(out)


def _write(path: Path, lines: Sequence[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


>>>>>>> 5691d8a (A search graph is laid out once and mapped; threads over utterances in hybrid decode)
def _finish(
    out: Path, spec: SystemSpec, source: ScoreSource, options: DecodeOptions, totals: DecodeTotals, spent: _Costs
) -> None:
    """Writes the totals, logs them, and raises where nothing or too much failed."""
    facts: dict[str, Any] = config_to_dict(totals)
    seconds = totals.audio_seconds or 1.0
    costs = {name: round(facts.pop(name), 3) for name in COSTS}
    costs["search_rtf"] = round(totals.search_seconds / seconds, 5)
    costs["rtf"] = round((totals.search_seconds + totals.read_seconds + totals.score_seconds) / seconds, 5)
    costs |= spent.total()
    log_totals(logger, totals.done, totals.failed, totals.audio_seconds)
    logger.info(
        "search: real-time factor %.4f; %d partial, %d empty, %d limited by max-active, %d searched again",
        costs["search_rtf"], totals.partial, totals.empty, totals.limited, totals.retried,
    )  # fmt: skip
    if too_many(totals.failed, totals.done):
        shutil.rmtree(out / PARTS, ignore_errors=True)  # tried anew by the next run: what was wrong may be mended then
        raise HybridError(
            f"{out / 'failed.txt'}: {totals.failed} of {totals.done + totals.failed} utterances could not be decoded. "
            "The reasons stand there, one a line."
        )
    write_lines(out / "decode.json", [json.dumps(facts, indent=1)])
    settings = {"spec": config_to_dict(spec), "options": config_to_dict(options), "source": source.fingerprint()}
    inputs: dict[str, Any] = {"calibration": file} if (file := spec.calibration_file) else {}
    for name, folder in (("model", spec.model_dir), ("graph", spec.graph_dir)):
        if (Path(folder) / "meta.json").exists():
            inputs[name] = Path(folder) / "meta.json"
    inputs["words"] = Path(spec.graph_dir) / "words.txt"
    inputs |= {name: Path(spec.model_dir) / name for name in ("tree", "topo")} | source.inputs()
    files = [file.name for file in out.iterdir() if file.name in WRITTEN or file.match("lat.*.gz")]
    write_meta(out, "lattices", settings, inputs, facts | costs, files)
    shutil.rmtree(out / PARTS, ignore_errors=True)
