"""Alignments of another model at a lower frame rate, in the transition-ids of a chain model.

A phone keeps its place: of `factor` frames of the features those at one offset are kept, and a phone lasts as many of
them as its boundaries enclose, but at least one, which it takes from the nearest phone that has one to spare.
"""

from __future__ import annotations

import numpy as np

from hybrid.align.convert import phone_runs
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.compiled import kernel
from hybrid.chain.topology import require_chain_topology
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.hmm import TransitionModel

__all__ = ["chain_pdf_classes", "subsample_alignments", "subsampled_durations"]


def subsampled_durations(durations: np.ndarray, factor: int, offset: int = 0) -> np.ndarray | None:
    """Returns how many of the frames offset, offset + factor, … each phone lasts, at least 1 (Kaldi's convert-ali).

    Args:
      durations: int [S], frames of each phone.
      factor: keep every so many frames.
      offset: first frame kept, below `factor`.

    Returns:
      int64 [S]; None where there are fewer frames than phones.
    """
    ends = np.cumsum(np.asarray(durations, np.int64))
    times = (np.append(0, ends) + factor - 1 - offset) // factor
    lengths = np.diff(times)
    if lengths.sum() < len(lengths):
        return None
    _borrow(lengths)
    return lengths


@kernel
def _borrow(lengths):
    """Gives each phone without a frame one of the nearest phone that has two; on a tie, of the left."""
    for i in range(len(lengths)):
        if lengths[i] > 0:
            continue
        giver, nearest, distance = -1, 0, 0
        for j in range(i - 1, -1, -1):
            if lengths[j] > 1:
                giver, nearest = j, distance
                break
            distance += lengths[j]
        distance = 0
        for j in range(i + 1, len(lengths)):
            if giver >= 0 and distance >= nearest:
                break
            if lengths[j] > 1:
                giver = j
                break
            distance += lengths[j]
        lengths[i] += 1
        lengths[giver] -= 1


def chain_pdf_classes(durations: np.ndarray) -> np.ndarray:
    """Returns the pdf-class of each frame: 0 where a phone is entered, then 1 for its self-loops; int32 [frames]."""
    durations = np.asarray(durations, np.int64)
    classes = np.ones(int(durations.sum()), np.int32)
    classes[np.cumsum(durations) - durations] = 0
    return classes


def subsample_alignments(
    alignments: CorpusAlignments, source: TransitionModel, target: TransitionModel, factor: int
) -> CorpusAlignments:
    """Rewrites alignments for a chain model (Kaldi's `convert-ali --repeat-frames`).

    Args:
      source: the model of the alignments.
      target: with the chain topology.
      factor: of frame rates.

    Returns:
      As many frames as before: frames offset, offset + factor, … of an utterance are its alignment at a lower rate that
      begins with that frame. Utterances with too few frames for their phones are among the failures.

    Raises:
      InputError: the target's topology is not a chain's, or its tree lacks a phone.
    """
    require_chain_topology(target.topology)
    expander = HmmExpander(target)
    forward = np.array([[t for t, _ in e.states[0].transitions].index(1) for e in target.topology.entries])
    kept: list[tuple[str, np.ndarray]] = []
    failures = dict(alignments.failures)
    for utterance, ids in alignments.items():
        phones, durations = phone_runs(ids, source)
        windows = target.tree.pad(phones.tolist())
        states = expander.transition_states(windows)[:, 0] if len(windows) else np.zeros(0, np.int32)
        enter = target.first_ids[states] + forward[expander.entries(windows)]
        out = np.zeros(len(ids), np.int32)
        lengths = [subsampled_durations(durations, factor, offset) for offset in range(min(factor, len(ids)))]
        for offset, counts in enumerate(lengths):
            if counts is None:
                failures[utterance] = too_short(len(phones), len(ids), factor)
                break
            rows = np.repeat(target.self_loops[states], counts)
            rows[np.cumsum(counts) - counts] = enter
            out[offset::factor] = rows
        else:
            kept.append((utterance, out))
    return CorpusAlignments.from_items(kept, failures, alignments.log_likelihood, alignments.retried)


def too_short(phones: int, frames: int, factor: int) -> str:
    """Returns why an utterance has too few frames, for failed.txt."""
    return f"{frames} frames are too few for {phones} phones at 1/{factor} of the frame rate"
