"""Alignments in the transition-ids of another model: what a stage hands to the next (Kaldi's convert-ali)."""

from __future__ import annotations

import numpy as np

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.errors import MismatchError
from hybrid.hmm import TransitionModel
from hybrid.timing.segments import phone_segments

__all__ = ["at_feature_rate", "convert_alignments", "feature_frames", "pdf_classes", "phone_runs", "spread"]


def pdf_classes(model: TransitionModel) -> np.ndarray:
    """Returns the pdf-class that each transition-id is scored as: int32 [num_transition_ids + 1], −1 at entry 0."""
    forward, loop = _classes(model)
    return np.where(model.is_self_loop, loop, forward).astype(np.int32)


def phone_runs(transition_ids: np.ndarray, model: TransitionModel) -> tuple[np.ndarray, np.ndarray]:
    """Returns the phones of an alignment and their durations in frames: int32 [S], int64 [S]."""
    segments = phone_segments(transition_ids, model)
    phones = np.array([s.label for s in segments], np.int32)
    return phones, np.array([s.length for s in segments], np.int64)


def feature_frames(frames: np.ndarray, factor: int) -> np.ndarray:
    """Returns the first frame of the features that belongs to each frame of a network at a lower rate.

    A boundary lies in the middle between the two frames that the network looked at, where times of its alignments lie
    too: in front of frame factor · k − (factor − 1) // 2.

    Args:
      frames: int, numbers of frames of scores. factor: frames of features in each.
    """
    return np.maximum(factor * np.asarray(frames, np.int64) - (factor - 1) // 2, 0)


def spread(values: np.ndarray, factor: int) -> np.ndarray:
    """Repeats what a network at a lower frame rate says of its frames for those of the features.

    Args:
      values: [T]. factor: frames of features per frame of scores.

    Returns:
      [factor · T], up to factor − 1 more than there are frames of features.
    """
    ends = np.append(feature_frames(np.arange(1, len(values)), factor), factor * len(values))
    return np.repeat(values, np.diff(ends, prepend=0))


def at_feature_rate(alignments: CorpusAlignments, model: TransitionModel, factor: int) -> CorpusAlignments:
    """Rewrites alignments of a network at a lower frame rate for the frames of its features; see `spread`.

    States last by their self-loops, so phones and their order stay.

    Raises:
      MismatchError: a state of the alignments has no self-loop.
    """
    if factor == 1 or not len(alignments):
        return alignments
    loops = model.self_loops[model.transition_states[alignments.transition_ids]]
    if not loops.all():
        phone = model.phones[alignments.transition_ids[int(np.flatnonzero(loops == 0)[0])]]
        raise MismatchError(
            f"phone {phone} has a state without a self-loop, which cannot last {factor} frames of features. "
            "Align with a network that scores every frame (subsampling_factor: 1)."
        )
    kept = []
    for utterance, ids in alignments.items():
        frames = spread(model.self_loops[model.transition_states[ids]], factor)
        frames[feature_frames(np.arange(len(ids)), factor)] = ids
        kept.append((utterance, frames))
    return CorpusAlignments.from_items(kept, alignments.failures, alignments.log_likelihood, alignments.retried)


def convert_alignments(
    alignments: CorpusAlignments, source: TransitionModel, target: TransitionModel
) -> CorpusAlignments:
    """Rewrites alignments for a model with another tree and the same topology.

    Phones, HMM states and arcs stay; pdfs are looked up anew for each phone in its context.

    Raises:
      MismatchError: the topologies differ, or the target lacks one of the phones.
    """
    if source.topology.content_hash() != target.topology.content_hash():
        raise MismatchError(
            "alignments were made with another HMM topology than the model's. Align again with this lang folder."
        )
    if not len(alignments):
        return alignments
    forward, loop = _classes(source)
    ids = alignments.transition_ids
    contexts, owner = _contexts(alignments, source, target)
    forward_pdfs = target.tree.pdf_ids(contexts, forward[ids][owner.first_frames])[owner.runs]
    loop_pdfs = target.tree.pdf_ids(contexts, loop[ids][owner.first_frames])[owner.runs]
    rows = np.stack([source.phones[ids], source.hmm_states[ids], forward_pdfs, loop_pdfs], axis=1)
    states = _find_rows(target.tuples, rows)
    if (states < 0).any():
        phone, state = rows[int(np.flatnonzero(states < 0)[0])][:2]
        raise MismatchError(
            f"the new model has no state {state} of phone {phone} in a context of the alignments. "
            f"Build its tree with the lang folder of the alignments."
        )
    converted = target.first_ids[states + 1] + source.transition_indexes[ids]
    return CorpusAlignments(
        alignments.ids,
        alignments.row_splits,
        converted.astype(np.int32),
        alignments.failures,
        alignments.log_likelihood,
        alignments.retried,
    )


class _Runs:
    """Stretches of frames of one HMM state of one phone: the tree is asked once for each."""

    def __init__(self, runs: np.ndarray, first_frames: np.ndarray) -> None:
        self.runs, self.first_frames = runs, first_frames


def _contexts(
    alignments: CorpusAlignments, source: TransitionModel, target: TransitionModel
) -> tuple[np.ndarray, _Runs]:
    """Returns the phone context of every stretch, int32 [run][context_width], and which frames it holds."""
    contexts, segments, count = [], [], 0
    for _, ids in alignments.items():
        phones, durations = phone_runs(ids, source)
        contexts.append(target.tree.pad(phones.tolist()))
        segments.append(np.repeat(np.arange(count, count + len(phones)), durations))
        count += len(phones)
    segment = np.concatenate(segments)
    states = source.transition_states[alignments.transition_ids]
    starts = np.flatnonzero(np.r_[True, (np.diff(segment) != 0) | (np.diff(states) != 0)])
    runs = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(segment))))
    return np.concatenate(contexts)[segment[starts]], _Runs(runs, starts)


def _classes(model: TransitionModel) -> tuple[np.ndarray, np.ndarray]:
    """Returns forward and self-loop pdf-class of the state each transition-id leaves; −1 at entry 0."""
    states = {phone: model.topology.states(phone) for phone in model.topology.phones}
    forward = np.full(model.num_transition_ids + 1, -1, np.int32)
    loop = forward.copy()
    for transition_id in range(1, model.num_transition_ids + 1):
        state = states[int(model.phones[transition_id])][int(model.hmm_states[transition_id])]
        forward[transition_id] = state.forward_pdf_class
        loop[transition_id] = state.self_loop_pdf_class
    return forward, loop


def _find_rows(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the place of each row in a table of distinct rows, −1 where it is not there."""
    sizes = np.maximum(table.max(axis=0), rows.max(axis=0)).astype(np.int64) + 2
    weights = np.append(np.cumprod(sizes[::-1])[::-1][1:], 1)
    keys = (table.astype(np.int64) + 1) @ weights
    order = np.argsort(keys)
    wanted = (rows.astype(np.int64) + 1) @ weights
    places = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order][places] == wanted, order[places], -1)
