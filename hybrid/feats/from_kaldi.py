"""Features that Kaldi's programs, or anything that writes its archives, made: a feature store without audio."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import content_hash
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.failures import write_failed
from hybrid.data.kaldi_dir import KaldiData, read_kaldi_data
from hybrid.feats.build import BLOCK, BlockRow, finish_store, write_block
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import read_matrices

__all__ = ["features_from_kaldi"]


@writes_into("features", "path")
def features_from_kaldi(
    path: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: FeatureConfig | None = None,
    commands: bool = False,
    max_failed: float = 0.1,
) -> FeatureStore:
    """Makes a feature store of a data folder's feats.scp; speakers, texts and CMVN statistics come with them.

    Args:
      config: what the features are, if they are those of `compute-mfcc-feats` or `compute-fbank-feats`, so that models
        trained on them take audio; None: features of an unknown kind.
      commands: pipes in the scp files are run.
      max_failed: share of utterances that may fail.

    Raises:
      InputError: no feats.scp; features of another dimension than `config` says.
      HybridError: too much failed.
    """
    data, out = read_kaldi_data(path), Path(out_dir)
    scp = data.path / "feats.scp"
    if not scp.is_file():
        raise InputError.at(data.path, "has no feats.scp", "Make features, or use `hybrid data from-kaldi`.")
    entries = read_matrices(scp, commands)
    first = next(entries, None)
    if first is None:
        raise InputError.at(scp, "holds no features", "Make them.")
    if config is None:
        dim = first[1].shape[-1]
        config = FeatureConfig(kind="other", num_ceps=dim, num_mel_bins=max(3, dim))
    rows = (_row(data, name, matrix, config) for name, matrix in itertools.chain([first], entries))
    records: list[dict[str, Any]] = []
    while part := list(itertools.islice(rows, BLOCK)):
        records.append(write_block(out, f"{len(records):05d}", "", part))
    records[0]["failed"] += [list(pair) for pair in data.failures]
    failed = [pair for record in records for pair in record["failed"]]
    done = sum(len(record["rows"]) for record in records)
    if not done or len(failed) > max_failed * (done + len(failed)):
        write_failed(out / "failed.txt", [(name, reason) for name, reason in failed])
        raise HybridError(
            f"{scp}: {len(failed)} of {done + len(failed)} utterances cannot be used. First: {failed[0][1]}"
        )
    _use_given_cmvn(data, records, commands)
    return finish_store(out, records, config, {"made by": "Kaldi"}, scp, content_hash(scp))


def _row(data: KaldiData, name: str, matrix: np.ndarray, config: FeatureConfig) -> BlockRow:
    reason = _fault(matrix, config.dim)
    features = f"{data.path / 'feats.scp'}: '{quote(name)}' {reason}" if reason else np.asarray(matrix, np.float32)
    text = " ".join(data.texts.get(name, "").split())
    return name, data.speaker(name), text, features, _seconds(len(matrix), config)


def _fault(matrix: np.ndarray, dim: int) -> str:
    if matrix.ndim != 2 or not len(matrix):
        return "holds no frames"
    if matrix.shape[1] != dim:
        return f"has {matrix.shape[1]} values per frame, wanted {dim}"
    return "" if np.isfinite(matrix).all() else "holds NaN or infinity"


def _seconds(frames: int, config: FeatureConfig) -> float:
    """Seconds of audio that so many frames stand for."""
    shift = config.window_shift / config.sampling_rate
    return frames * shift + (0.001 * config.frame_length - shift if config.snip_edges else 0.0)


def _use_given_cmvn(data: KaldiData, records: list[dict[str, Any]], commands: bool) -> None:
    """Puts the statistics of cmvn.scp into the place of those that were just computed, where a speaker has them."""
    scp = data.path / "cmvn.scp"
    if not scp.is_file():
        return
    given = {speaker: CmvnStats.from_matrix(matrix) for speaker, matrix in read_matrices(scp, commands)}
    left = dict(given)
    for record in records:
        for speaker in record["stats"]:
            if speaker in given:  # once, whatever the number of blocks
                own = left.pop(speaker, None)
                zero = np.zeros_like(given[speaker].sums).tolist()
                record["stats"][speaker] = (
                    [0.0, zero, zero] if own is None else [own.count, own.sums.tolist(), own.squares.tolist()]
                )
