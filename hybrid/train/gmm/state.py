"""The state of a training between two passes, in one file: killed anywhere, it goes on from the last finished pass."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.log import get_logger
from hybrid.base.reading import parse_json, reading
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.gmm import AmDiagGmm
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range
from hybrid.train.gmm.em import EmState, PassRecord

__all__ = ["continued", "fingerprint", "hash_arrays", "load_state", "require_unchanged", "save_state",
           "write_record"]  # fmt: skip

State = TypeVar("State")

logger = get_logger(__name__)

GMM, PIPELINE, SPEAKER = "gmm.", "pipeline.", "speaker."


def fingerprint(*parts: Any) -> str:
    """Returns a sha256 of settings and input hashes: a state is only continued by a training of the same."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns a sha256 of every byte of named arrays, with their types and shapes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}\0{array.dtype.str}{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_record(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> None:
    """Saves arrays with a JSON record and the hash of both, which `require_unchanged` looks at, atomically."""
    text = json.dumps(record)
    save_arrays(path, arrays, {"record": text, "hash": fingerprint(text, hash_arrays(arrays))})


def require_unchanged(path: object, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str], cure: str) -> None:
    """Checks that what was loaded is what `write_record` wrote; files of older versions, which have no hash, pass.

    Raises:
      InputError: something was changed.
    """
    wanted = metadata.get("hash", "")
    found = fingerprint(metadata.get("record"), hash_arrays(arrays)) if wanted else ""
    if found != wanted:
        raise InputError.at(path, f"was changed or damaged: found hash {found[:12]}, wanted {quote(wanted[:12])}", cure)


def save_state(path: str | os.PathLike, state: EmState, identity: str) -> None:
    """Saves everything that the next pass depends on, to the last bit, atomically."""
    alignments = state.alignments
    arrays = {f"{GMM}{k}": v for k, v in state.gmm.arrays().items()}
    arrays |= {f"{PIPELINE}{k}": v for k, v in state.pipeline.arrays().items()}
    arrays |= {f"{SPEAKER}{k}": v for k, v in state.speaker_transforms.items()}
    arrays["transition_log_probs"] = state.transition_model.log_probs
    arrays["occupancy"] = state.occupancy
    arrays["row_splits"] = alignments.row_splits
    arrays["transition_ids"] = alignments.transition_ids
    record = {
        "identity": identity,
        "next_pass": state.next_pass,
        "gaussians": state.gaussians,
        "step": state.step,
        "pipeline": state.pipeline.to_dict(),
        "ids": list(alignments.ids),
        "failures": dict(alignments.failures),
        "log_likelihood": alignments.log_likelihood,
        "retried": alignments.retried,
        "history": [dataclasses.asdict(item) for item in state.history],
    }
    write_record(path, arrays, record)


def load_state(path: str | os.PathLike, identity: str, transition_model: TransitionModel) -> EmState | None:
    """Loads the state of a training that was stopped.

    Args:
      identity: from `fingerprint`.
      transition_model: with the tree and topology of the training.

    Returns:
      None where there is none, or where it is of another training (other settings or inputs) or damaged.
    """
    return continued(path, identity, lambda record, arrays: _state(record, arrays, transition_model))


def continued(
    path: str | os.PathLike, identity: str, state_of: Callable[[dict[str, Any], dict[str, np.ndarray]], State]
) -> State | None:
    """Loads the state of any training that was stopped.

    Args:
      identity: of the training, which the file's record must hold.
      state_of: (record without its identity, arrays) → the state.

    Returns:
      None where there is none, or where it is of another training (other settings or inputs) or damaged.
    """
    if not Path(path).exists():
        return None
    try:
        arrays, metadata = load_arrays(path)
        with reading(path, "state of a training"):
            record = parse_json(metadata["record"], path)
            if record.pop("identity") != identity:
                logger.info("%s belongs to a training with other settings or inputs; starting afresh", path)
                return None
            require_unchanged(path, arrays, metadata, "Copy it again.")
            return state_of(record, arrays)
    except HybridError as error:
        logger.warning("%s cannot be continued (%s); starting afresh", path, error)
        return None


def _state(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], transition_model: TransitionModel) -> EmState:
    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}

    alignments = CorpusAlignments(
        tuple(record["ids"]),
        arrays["row_splits"],
        arrays["transition_ids"],
        record["failures"],
        record["log_likelihood"],
        record["retried"],
    )
    check_range("transition_id", alignments.transition_ids, 1, transition_model.num_transition_ids, "alignments")
    return EmState(
        next_pass=record["next_pass"],
        gaussians=record["gaussians"],
        step=record["step"],
        gmm=AmDiagGmm.from_arrays(under(GMM)),
        transition_model=dataclasses.replace(transition_model, log_probs=arrays["transition_log_probs"]),
        pipeline=FeaturePipeline.from_dict(record["pipeline"], under(PIPELINE)),
        alignments=alignments,
        speaker_transforms=under(SPEAKER),
        occupancy=arrays["occupancy"],
        history=tuple(PassRecord(**item) for item in record["history"]),
    )
