"""Extraction of a whole set into a FeatureStore: by blocks, in processes, resumable.

A block is 32 utterances in the order of their ids. It is finished when its `.meta.json` is there; a killed extraction
leaves finished blocks and goes on with the rest. Blocks whose cuts, audio or settings have changed are made again. Of
an older store that is finished, they take the place when all are there; until then they lie in its `.next`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path, content_hash, read_meta, write_meta
from hybrid.base.config import config_to_dict, write_config
from hybrid.base.disk import make_folder, remove_mark, sync_folder, writing
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError
from hybrid.base.failures import write_failed
from hybrid.base.integrity import agrees
from hybrid.base.jobs import blocks, map_in_order, pool
from hybrid.base.log import get_logger, log_totals, progress
from hybrid.base.ranges import SHARE, check_fields
from hybrid.base.reading import read_json
from hybrid.data.manifest import Cut, load_samples, manifest_path, read_cuts
from hybrid.data.trust import FILES_ONLY, Trust, refusal, source_files
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.store import FeatureStore
from hybrid.formats.tensors import save_arrays

__all__ = ["BLOCK", "BlockRow", "ExtractConfig", "extract_features", "finish_store", "write_block"]

logger = get_logger(__name__)
BLOCK = 32
NEXT = ".next"  # folder in a finished store: blocks of the one that will take its place
BlockRow = tuple[str, str, str, np.ndarray | str, float]  # utterance, speaker, text, features or reason, seconds
Block = tuple[str, list[Cut], str]  # name, utterances, digest of what they are made from


@dataclass(frozen=True)
class ExtractConfig:
    """How a set is extracted.

    Attributes:
      resample: audio of another rate is resampled; otherwise the utterance fails.
      max_failed: fraction of utterances that may fail.
      trust: what audio may be besides files.
    """

    resample: bool = False
    max_failed: float = 0.1
    trust: Trust = FILES_ONLY

    def __post_init__(self) -> None:
        check_fields(self, max_failed=SHARE)


@writes_into("features", "cuts")
def extract_features(
    cuts: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: FeatureConfig,
    options: ExtractConfig | None = None,
    jobs: int = 1,
) -> FeatureStore:
    """Extracts the static features of every cut of a manifest.

    Args:
      cuts: manifest, or a folder with `cuts.jsonl.gz`.
      out_dir: the store's folder.
      jobs: processes; the result does not depend on it.

    Returns:
      The finished store.

    Raises:
      HybridError: nothing, or too much, could be extracted.
      InputError: no manifest, or a folder that is no store.
    """
    options = options or ExtractConfig()
    out = Path(out_dir)
    manifest = manifest_path(cuts)
    utterances = sorted(read_cuts(manifest, options.trust), key=lambda utterance: utterance.id)
    if not utterances:
        raise InputError.at(manifest, "holds no cuts", "Prepare the data again.")
    settings = {**config_to_dict(config), "resample": options.resample}
    source = content_hash(manifest)
    previous = read_meta(out)
    plan = [
        (f"{number:05d}", list(part), _digest(part, config, options))
        for number, part in enumerate(blocks(utterances, BLOCK))
    ]
    ahead = {block[0]: _finished(out / NEXT, block, config.dim) for block in plan}
    records = {block[0]: ahead[block[0]] or _finished(out, block, config.dim) for block in plan}
    _drop_others(out / NEXT, {name for name, record in ahead.items() if record is not None})
    same = previous.get("settings") == settings and previous.get("inputs", {}).get("cuts") == source
    if same and all(record is not None for record in records.values()):
        try:
            store = FeatureStore.open(out)
            logger.info("%s is finished already", out)
            return store
        except HybridError as error:  # index or statistics were damaged: they are put together again from the blocks
            logger.warning("%s", error)
    work = out / NEXT if previous else out
    finished = _run(plan, {k: v for k, v in records.items() if v is not None}, work, config, options, jobs)
    _refuse_too_many(finished, work, manifest, options, len(utterances))
    remove_mark(out)
    _take_over(out, [name for name, _, _ in plan])
    return finish_store(out, finished, config, settings, manifest, source)


def _digest(part: Sequence[Cut], config: FeatureConfig, options: ExtractConfig) -> str:
    """What a block is made from: its cuts, the settings, and the size and time of its audio files that can be read."""
    files: list[list[Any]] = []
    for utterance in part:
        if utterance.path:
            files.append(_state(utterance.path))
        else:
            files.append([_state(path) for path in source_files(utterance.record)])
    content = [[u.record for u in part], config_to_dict(config), options.resample, files]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _state(path: str) -> list[Any]:
    try:
        state = os.stat(path) if os.access(path, os.R_OK) else None
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return [path]
    return [path, state.st_size, state.st_mtime_ns] if state else []


def _finished(out: Path, block_of: Block, dim: int) -> dict[str, Any] | None:
    """Returns a block's record if it is finished, whole and made from the same things.

    Commands and URLs that failed may work today: their block is no finished one.
    """
    name, part, digest = block_of
    try:
        record = read_json(out / "blocks" / f"{name}.meta.json")
        if record["digest"] != digest or record["name"] != name:
            return None
        rows: list[list[Any]] = [
            [str(u), str(s), name, int(o), int(n), float(d), str(t)] for u, s, _, o, n, d, t in record["rows"]
        ]
        failed = [[str(u), str(reason)] for u, reason in record["failed"]]
        shapes = {np.array([a, b], np.float64).shape for count, a, b in record["stats"].values() if float(count) > 0}
        if failed and {u for u, _ in failed} & {u.id for u in part if refusal(u.record)}:
            return None
        block = out / "blocks" / f"{name}.f32"
        whole = block.stat().st_size == 4 * dim * sum(row[4] for row in rows)
        whole = whole and agrees(block, str(record["content"]), cached=True)
    except (InputError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
        return None
    whole = whole and rows == record["rows"] and failed == record["failed"] and isinstance(record["content"], str)
    return record if whole and shapes <= {(2, dim)} else None


def _run(
    plan: list[Block], records: dict[str, dict[str, Any]], out: Path, config: FeatureConfig, options: ExtractConfig,
    jobs: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Extracts the blocks of the plan that `records` lacks; returns the records of all, in order."""
    work = [block for block in plan if block[0] not in records]
    if records:
        logger.info("%s: %d of %d blocks were finished before", out, len(records), len(plan))
    make_folder(out / "blocks")
    total = sum(len(part) for _, part, _ in work)
    with progress("features", total, logger) as bar, pool(min(jobs, max(1, len(work)))) as executor:
        function = partial(_extract_block, out=out, config=config, options=options)
        for record in map_in_order(function, work, executor):
            records[record["name"]] = record
            bar.advance(len(record["rows"]), len(record["failed"]))
    return [records[name] for name, _, _ in plan]


def _take_over(out: Path, names: Sequence[str]) -> None:
    """Puts new blocks into the place of an older store's; killed here, the next run goes on."""
    with writing(out):
        for file in (out / NEXT / "blocks").glob("*"):
            os.replace(file, make_folder(out / "blocks") / file.name)
        _drop_others(out, set(names))
        sync_folder(out / "blocks")
    shutil.rmtree(out / NEXT, ignore_errors=True)


def _drop_others(folder: Path, names: set[str]) -> None:
    """Removes all files of blocks but those of these names."""
    wanted = {f"{name}{suffix}" for name in names for suffix in (".f32", ".meta.json")}
    for file in (folder / "blocks").glob("*"):
        if file.name not in wanted:
            with writing(file):
                file.unlink()


def _extract_block(item: Block, out: Path, config: FeatureConfig, options: ExtractConfig) -> dict[str, Any]:
    """Extracts one block and writes its two files."""
    from hybrid.feats.extract import FeatureExtractor

    name, part, digest = item
    extractor = FeatureExtractor(config)

    def rows() -> Iterator[BlockRow]:
        """Yields each utterance's features, or why there are none."""
        for utterance in part:
            found: tuple[np.ndarray | str, float]
            try:
                found = _features_of(utterance, extractor, options)
            except InputError as error:
                found = str(error), 0.0
            yield (utterance.id, utterance.speaker, utterance.text or "", *found)

    return write_block(out, name, digest, rows())


def write_block(out: Path, name: str, digest: str, items: Iterable[BlockRow]) -> dict[str, Any]:
    """Writes the two files of a block of a store.

    Args:
      out: the store's folder.
      name: of the block, five digits. digest: of what it is made from.
      items: utterance, speaker, text, features float32 [T][D] or why there are none, seconds.

    Returns:
      The block's record.
    """
    rows: list[list[Any]] = []
    failed: list[list[str]] = []
    stats: dict[str, CmvnStats] = {}
    offset, content = 0, hashlib.sha256()
    with atomic_path(out / "blocks" / f"{name}.f32") as temporary, open(temporary, "wb") as stream:
        for utterance, speaker, text, features, seconds in items:
            if isinstance(features, str):
                failed.append([utterance, features])
                continue
            data = np.ascontiguousarray(features, "<f4").tobytes()
            stream.write(data)
            content.update(data)
            own = CmvnStats.of(features)
            stats[speaker] = stats[speaker] + own if speaker in stats else own
            rows.append([utterance, speaker, name, offset, len(features), seconds, text])
            offset += len(features)
    sums = {s: [v.count, v.sums.tolist(), v.squares.tolist()] for s, v in stats.items()}
    record: dict[str, Any] = {"name": name, "digest": digest, "content": content.hexdigest(), "rows": rows}
    record |= {"failed": failed, "stats": sums}
    with atomic_path(out / "blocks" / f"{name}.meta.json") as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return record


def _features_of(utterance: Cut, extractor: Any, options: ExtractConfig) -> tuple[np.ndarray, float]:
    samples, rate = load_samples(utterance)
    seconds = len(samples) / rate
    wanted = extractor.config.sampling_rate
    if rate != wanted:
        if not options.resample:
            raise InputError.at(
                utterance.path or utterance.id, f"has a rate of {rate} Hz, the features want {wanted} Hz",
                "Use --resample, or repair the data with `hybrid data check --rate`.",
            )  # fmt: skip
        from hybrid.data.audio import resample

        samples, rate = resample(samples, rate, wanted), wanted
    features = extractor(samples, rate)
    if not len(features):
        raise InputError.at(
            utterance.path or utterance.id, f"{len(samples)} samples are shorter than one frame", "Leave it out."
        )
    if not np.isfinite(features.sum(dtype=np.float64)):
        raise InputError.at(utterance.path or utterance.id, "gives NaN in features", "Mend the audio.")
    return features, seconds


def _failed_of(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(str(name), str(reason)) for record in records for name, reason in record["failed"]]


def _refuse_too_many(
    records: list[dict[str, Any]], work: Path, manifest: Path, options: ExtractConfig, total: int
) -> None:
    failed = _failed_of(records)
    if len(failed) < total and len(failed) <= options.max_failed * total:
        return
    write_failed(work / "failed.txt", failed)
    raise HybridError(
        f"{manifest}: {len(failed)} of {total} utterances gave no features (allowed: {options.max_failed:.0%}, "
        f"--max-failed). First: {failed[0][1]} All: {work / 'failed.txt'}"
    )


def finish_store(
    out: Path, records: list[dict[str, Any]], config: FeatureConfig, settings: dict[str, Any], manifest: Path,
    source: str,
) -> FeatureStore:  # fmt: skip
    """Writes index, statistics and settings of a store whose blocks are there, and opens it.

    Args:
      records: of the blocks, see `write_block`.
      settings: for meta.json. manifest, source: what the store is made from, and its hash.
    """
    failed = _failed_of(records)
    rows = [row for record in records for row in record["rows"]]
    write_failed(out / "failed.txt", failed)
    with atomic_path(out / "index.tsv") as temporary:
        temporary.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    stats: dict[str, CmvnStats] = {}
    for record in records:
        for speaker, (count, sums, squares) in record["stats"].items():
            part = CmvnStats(count, np.array(sums), np.array(squares))
            stats[speaker] = stats[speaker] + part if speaker in stats else part
    names = sorted(stats)
    save_arrays(
        out / "cmvn.safetensors",
        {
            "speakers": np.frombuffer("\n".join(names).encode(), np.uint8),
            "counts": np.array([stats[name].count for name in names]),
            "sums": np.stack([stats[name].sums for name in names]),
            "squares": np.stack([stats[name].squares for name in names]),
        },
    )
    write_config(out / "config.yaml", config)
    seconds = sum(row[5] for row in rows)
    parts = json.dumps([config_to_dict(config), [[record["content"], record["rows"]] for record in records]])
    digest = hashlib.sha256(parts.encode()).hexdigest()
    facts = {
        "utterances": len(rows), "failed": len(failed), "frames": sum(row[4] for row in rows),
        "seconds": round(seconds, 3), "speakers": len(names), "digest": digest,
    }  # fmt: skip
    files = {f"blocks/{record['name']}.f32": str(record["content"]) for record in records}
    files |= dict.fromkeys(("index.tsv", "cmvn.safetensors", "config.yaml", "failed.txt"), "")
    write_meta(out, "features", settings, {"cuts": (manifest, source)}, facts, files)
    log_totals(logger, len(rows), len(failed), seconds)
    return FeatureStore.open(out)
