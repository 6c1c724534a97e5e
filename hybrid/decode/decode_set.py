"""Decoding of a set: fixed blocks on any executor, resumed where it was killed, the same files for any number of jobs.

OUT/lat.<n>.gz       lattices of block n, determinised (Kaldi CompactLattice archive, gzip), or raw (Lattice archive)
OUT/transcript.txt   utterance, words
OUT/words.ctm        recording channel start duration word confidence
OUT/written.txt      utterance, written form, and its times in written.ctm, where that was asked for
OUT/words.txt        what word ids mean, where slots were filled with words that the graph lacks
OUT/slots.tsv        what tags of a grammar and slots of the graph say, where it has some
OUT/utterances.tsv   flags and scores of each utterance
OUT/why.jsonl        what became of each phrase that was raised, where that was asked for
OUT/failed.txt       utterance, reason
OUT/recordings/      files of other formats
OUT/decode.log       settings, versions, what was told on the way
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

from hybrid.base.artifact import atomic_path, content_hash, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.disk import make_folder, writing
from hybrid.base.doors import writes_into
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import cpu_seconds, get_logger, log_file, log_settings, log_totals, peak_memory_gb, progress
from hybrid.base.reading import read_bytes, whole_record
from hybrid.data.utterance import Utterance
from hybrid.decode.block import COSTS, PARTS, WORDS, DecodeOptions, decode_block
from hybrid.decode.outputs import RECORDINGS, WRITTEN, DecodeTotals, TooManyFailedError, merge, too_many, write_lines
from hybrid.decode.sources import ScoreSource
from hybrid.decode.system import SystemSpec

__all__ = ["DecodeOptions", "DecodeTotals", "TooManyFailedError", "decode_corpus"]

logger = get_logger(__name__)
LOG = "decode.log"


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
      TooManyFailedError: nothing, or less than half, could be decoded.
    """
    options, out = options or DecodeOptions(), Path(out_dir)
    speech, failed = source.utterances()
    work = blocks(speech, options.block)
    goes_on = _prepare(out, _fingerprint(spec, source, options, speech))
    costs = _Costs.begin(out / PARTS)
    shared = (spec, source, str(out), options)
    with log_file(out / LOG, goes_on):
        log_settings(logger, "decode", {**config_to_dict(spec), **config_to_dict(options), **spec.language_models})
        with progress("decoding", len(speech)) as state:
            for counts in map_in_order(decode_block, list(enumerate(work, 1)), executor, shared=shared):
                state.advance(counts["done"], counts["failed"])
                costs.note()
        totals = merge(out, len(work), failed, options, spec.language_models)
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
    if spec.second_pass is not None:
        digest.update("".join(content_hash(path) for path in spec.second_pass.inputs().values()).encode())
    lists = [Path(path) for path in (*(path for _, path in spec.slots), spec.g2p, spec.lm, spec.bias) if path]
    for file in (Path(spec.model_dir) / "meta.json", Path(spec.graph_dir) / "meta.json", spec.calibration_file, *lists):
        if file is not None and file.exists():
            digest.update(read_bytes(file))
    digest.update("\n".join(item.id for item in speech).encode())
    return digest.hexdigest()


def _prepare(out: Path, fingerprint: str) -> bool:
    """Keeps the blocks of an unfinished run of the same work; what an older run made stands until this one is whole.

    Returns:
      Whether an unfinished run is gone on with.
    """
    parts = out / PARTS
    mark = parts / "fingerprint"
    with writing(out):
        for stale in [*out.glob(".tmp*"), *parts.glob(".tmp*")]:  # of a run that was killed while it wrote
            stale.unlink()
        if mark.exists() and mark.read_bytes() == fingerprint.encode():
            return True
        shutil.rmtree(parts, ignore_errors=True)
    make_folder(parts)
    with atomic_path(mark) as temporary:
        temporary.write_text(fingerprint, encoding="utf-8")
    return False


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
        raise TooManyFailedError.of(out / "failed.txt", totals.failed, totals.done)
    facts |= spec.language_models
    write_lines(out / "decode.json", [json.dumps(facts, indent=1)])
    settings = {"spec": config_to_dict(spec), "options": config_to_dict(options), "source": source.fingerprint()}
    inputs: dict[str, Any] = {"calibration": file} if (file := spec.calibration_file) else {}
    for name, folder in (("model", spec.model_dir), ("graph", spec.graph_dir)):
        if (Path(folder) / "meta.json").exists():
            inputs[name] = Path(folder) / "meta.json"
    filled = out / WORDS  # what the ids of the lattices mean, where slots hold words that the graph lacks
    inputs["words"] = filled if filled.exists() else Path(spec.graph_dir) / "words.txt"
    inputs |= {name: Path(spec.model_dir) / name for name in ("tree", "topo")} | source.inputs()
    inputs |= {f"list {name}": Path(path) for name, path in spec.slots}
    if spec.bias is not None:
        inputs["bias"] = Path(spec.bias)
    if spec.lm is not None:
        inputs["lm"] = Path(spec.lm)
    if spec.second_pass is not None:
        inputs |= spec.second_pass.inputs()
    files = [file.name for file in out.iterdir() if file.name in WRITTEN or file.match("lat.*.gz")]
    files += [f"{RECORDINGS}/{file.name}" for file in (out / RECORDINGS).glob("*")]
    write_meta(out, "lattices", settings, inputs, facts | costs, files)
    shutil.rmtree(out / PARTS, ignore_errors=True)
