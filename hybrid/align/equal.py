"""Flat start: an alignment that spreads the states of a path evenly over the frames."""

from __future__ import annotations

import hashlib

import numpy as np

from hybrid.align.alignment_graph import shortest_arcs
from hybrid.align.config import AlignmentError
from hybrid.formats.openfst import FstArrays

__all__ = ["equal_align", "seed_of"]

TRIES = 10
MOST_STEPS = 1_000_000


def seed_of(utterance_id: str) -> int:
    """Returns a seed that depends on the utterance id alone, so that no order of work changes a result."""
    return int.from_bytes(hashlib.sha256(utterance_id.encode()).digest()[:4], "little")


def equal_align(fst: FstArrays, num_frames: int, seed: int) -> np.ndarray:
    """Takes a random path through a training graph and repeats its self-loops equally often.

    The path is random because pronunciations and pauses are not known yet (Kaldi's align-equal-compiled). Where
    ten paths are all longer than the audio, the shortest one is taken.

    Args:
      fst: transition-ids in; loops only from a state to itself.
      num_frames: frames of the utterance.
      seed: of the path.

    Returns:
      transition-ids, int32 [num_frames].

    Raises:
      AlignmentError: the graph is empty, or even its shortest path has more transition-ids than there are frames.
    """
    splits, targets = fst.row_splits.tolist(), fst.next_states.tolist()
    labels, final = fst.ilabels.tolist(), np.isfinite(fst.final_costs).tolist()
    if fst.start < 0 or not any(final):
        raise AlignmentError("the training graph accepts nothing")
    random = np.random.RandomState(seed)
    for _ in range(TRIES):
        arcs = _random_path(int(fst.start), splits, targets, final, random)
        if arcs is not None and sum(labels[a] > 0 for a in arcs) <= num_frames:
            break
    else:
        arcs = shortest_arcs(fst)
        least = -1 if arcs is None else sum(labels[a] > 0 for a in arcs)
        if arcs is None or least > num_frames:
            raise AlignmentError(f"too short: {num_frames} frames, the text needs at least {least}")
    return _spread_evenly(int(fst.start), arcs, splits, targets, labels, num_frames)


def _random_path(
    start: int, splits: list[int], targets: list[int], final: list[bool], random: np.random.RandomState
) -> list[int] | None:
    """Walks until it chooses to end in a final state; arcs from a state to itself are not taken."""
    state = start
    arcs: list[int] = []
    draws: list[float] = []
    while len(arcs) < MOST_STEPS:
        if not draws:
            draws = random.random_sample(1024).tolist()
        count = splits[state + 1] - splits[state]
        choices = count + final[state]
        if choices == 0:
            return None
        pick = int(draws.pop() * choices)
        if pick == count:
            return arcs
        arc = splits[state] + pick
        if targets[arc] != state:
            arcs.append(arc)
            state = targets[arc]
        elif choices == 1:
            return None
    return None


def _spread_evenly(
    start: int, arcs: list[int], splits: list[int], targets: list[int], labels: list[int], num_frames: int
) -> np.ndarray:
    """Gives every state with a self-loop the same number of extra frames; the first ones get what is left over."""
    path = [start, *(targets[a] for a in arcs)]
    loops = []
    for state in path:
        own = [a for a in range(splits[state], splits[state + 1]) if targets[a] == state and labels[a]]
        loops.append(labels[own[0]] if own else 0)
    extra = num_frames - sum(labels[a] > 0 for a in arcs)
    places = sum(label > 0 for label in loops)
    if extra and not places:
        raise AlignmentError(f"the path has no self-loops, so it cannot fill {num_frames} frames")
    each, more = divmod(extra, places) if places else (0, 0)
    out: list[int] = []
    for number, label in enumerate(loops):
        if number and labels[arcs[number - 1]]:
            out.append(labels[arcs[number - 1]])
        if label:
            out += [label] * (each + (more > 0))
            more -= 1
    return np.array(out, dtype=np.int32)
