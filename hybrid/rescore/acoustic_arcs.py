"""A second pass by an acoustic model: the arcs of a lattice get another model's scores of their frames.

Over the same tree each transition-id has its pdf in both models, and an arc's score is the sum over its frames. A model
of another tree, or of another frame rate, is asked by phone: between the frames that its alignment gives it, each phone
takes the best way through its states (Viterbi), in the context of its neighbours on the best path through the arc.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.base.errors import InputError
from hybrid.hmm import TransitionModel
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import state_times
from hybrid.rescore.arc_batch import best_prefixes, best_suffixes, combined_scores
from hybrid.timing.segments import phone_segments

__all__ = ["phone_frame_scores", "rescore_by_model", "rescore_by_phones", "rescore_same_tree"]

CURE = "Give the scores of the same audio."


def rescore_by_model(
    compact: CompactLattice, model: TransitionModel, other: TransitionModel, scores: np.ndarray, acoustic_scale: float,
    frame_shifts: tuple[float, float] = (1.0, 1.0),
) -> CompactLattice:  # fmt: skip
    """Returns the lattice with another model's scores: `rescore_same_tree` where both agree, else `rescore_by_phones`.

    Args:
      frame_shifts: seconds per frame of the lattice's model and of the other.
    """
    alike = all(
        np.array_equal(getattr(model, name), getattr(other, name))
        for name in ("phones", "hmm_states", "is_self_loop", "pdf_ids")
    )
    if alike and model.num_pdfs == other.num_pdfs and np.isclose(*frame_shifts):
        return rescore_same_tree(compact, model, scores)
    return rescore_by_phones(compact, model, other, scores, acoustic_scale)


def rescore_same_tree(compact: CompactLattice, model: TransitionModel, scores: np.ndarray) -> CompactLattice:
    """Returns the lattice with the acoustic scores of another model of the same tree.

    Args:
      compact: trimmed. model: of the lattice.
      scores: float32 [frame][pdf_id], of the other model at the lattice's frame rate.

    Raises:
      InputError: scores of another number of frames or pdfs.
    """
    if not compact.num_states:
        return compact
    times = state_times(compact)
    ends = times + np.diff(compact.final_string_splits)
    frames = int(ends[np.isfinite(compact.final_graph_scores)].max())
    if scores.shape != (frames, model.num_pdfs):
        found = f"{scores.shape[0]} frames of {scores.shape[1]} pdfs, the lattice has {frames} of {model.num_pdfs}"
        raise InputError.at("scores", found, CURE)
    pdf_ids = np.concatenate([[0], model.pdf_ids[1:]])
    arcs = _sums(compact.string_splits, compact.strings, times[compact.sources], pdf_ids, scores)
    finals = _sums(compact.final_string_splits, compact.final_strings, times, pdf_ids, scores)
    return _replaced(compact, arcs, finals)


def _sums(
    splits: np.ndarray, strings: np.ndarray, begins: np.ndarray, pdf_ids: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """Sums the scores of strings that begin at some frames."""
    lengths = np.diff(splits)
    frames = np.arange(len(strings)) + np.repeat(begins - splits[:-1], lengths)
    running = np.concatenate([[0.0], np.cumsum(scores[frames, pdf_ids[strings]], dtype=np.float64)])
    return running[splits[1:]] - running[splits[:-1]]


def _replaced(compact: CompactLattice, arcs: np.ndarray, finals: np.ndarray) -> CompactLattice:
    is_final = np.isfinite(compact.final_graph_scores)
    return replace(
        compact, acoustic_scores=arcs.astype(np.float32),
        final_acoustic_scores=np.where(is_final, finals, -np.inf).astype(np.float32),
    )  # fmt: skip


def rescore_by_phones(
    compact: CompactLattice, model: TransitionModel, other: TransitionModel, scores: np.ndarray, acoustic_scale: float
) -> CompactLattice:
    """Returns the lattice with the acoustic scores of a model of another tree, by the phones of its alignments.

    Args:
      compact: trimmed. model: of the lattice; both models know the same phones.
      other: tree and topology of the other model.
      scores: float32 [frame][pdf_id] of the other model, at any frame rate.
      acoustic_scale: of the lattice, with which the best path through an arc is meant.

    Raises:
      InputError: scores of another number of pdfs, or a phone that the other model lacks.
    """
    if not compact.num_states:
        return compact
    if scores.ndim != 2 or scores.shape[1] != other.num_pdfs or not len(scores):
        raise InputError.at("scores", f"have shape {scores.shape}, wanted frames of {other.num_pdfs} pdfs", CURE)
    walker = _Walker(compact, acoustic_scale)
    times = state_times(compact).astype(np.int64)
    ends = times[compact.next_states]
    final_ends = times + np.diff(compact.final_string_splits)
    arcs, finals = np.full(compact.num_arcs, np.nan), np.zeros(compact.num_states)
    final = np.flatnonzero(np.isfinite(compact.final_graph_scores))
    known: dict[tuple, np.ndarray] = {}
    for target in [*np.argsort(-walker.through, kind="stable").tolist(), *(-1 - s for s in final.tolist())]:
        if target >= 0 and not np.isnan(arcs[target]):
            continue
        path, last = walker.path(target)
        ids = np.concatenate([*(compact.string(a) for a in path), compact.final_string(last)]).astype(np.int32)
        running = _running(ids, model, other, scores, known)
        place = np.round(np.arange(len(ids) + 1) * (len(scores) / max(len(ids), 1))).astype(np.int64)
        for arc in path:
            if np.isnan(arcs[arc]):
                arcs[arc] = running[place[ends[arc]]] - running[place[times[compact.sources[arc]]]]
        finals[last] = running[place[final_ends[last]]] - running[place[times[last]]]
    return _replaced(compact, arcs, finals)


class _Walker:
    """The best path through each arc, or to each end."""

    def __init__(self, compact: CompactLattice, acoustic_scale: float) -> None:
        scores, ends = combined_scores(compact, acoustic_scale)
        self._compact, self._ends = compact, ends
        alpha, self._last = best_prefixes(compact.sources, compact.next_states, scores, compact.num_states)
        self._beta = best_suffixes(compact.sources, compact.next_states, scores, ends)
        self._scores = scores
        self.through = alpha[compact.sources] + scores + self._beta[compact.next_states]
        self._rows = np.searchsorted(compact.sources, np.arange(compact.num_states + 1))

    def path(self, target: int) -> tuple[list[int], int]:
        """Returns the arcs of the best path through an arc (−1 − s: to the end in state s), and its last state."""
        sources, nexts = self._compact.sources, self._compact.next_states
        state = int(sources[target]) if target >= 0 else -1 - target
        arcs: list[int] = []
        while (arc := int(self._last[state])) >= 0:
            arcs.append(arc)
            state = int(sources[arc])
        arcs.reverse()
        if target < 0:
            return arcs, -1 - target
        arcs.append(target)
        state = int(nexts[target])
        while self._beta[state] > self._ends[state] + 1e-9:
            leaving = np.arange(self._rows[state], self._rows[state + 1])
            arcs.append(int(leaving[np.argmax(self._scores[leaving] + self._beta[nexts[leaving]])]))
            state = int(nexts[arcs[-1]])
        return arcs, state


def _running(
    ids: np.ndarray, model: TransitionModel, other: TransitionModel, scores: np.ndarray, known: dict
) -> np.ndarray:
    """Returns float64 [frames + 1], the sums of scores up to each frame of the other model along an alignment."""
    segments = phone_segments(ids, model)
    contexts = other.tree.pad([segment.label for segment in segments]).tolist()
    if len(contexts) != len(segments):
        contexts = []
    rate = len(scores) / max(len(ids), 1)
    each = np.zeros(len(scores))
    for segment, context in zip(segments, contexts):
        begin, end = round(segment.start * rate), round((segment.start + segment.length) * rate)
        key = (begin, end, *context)
        if key not in known:
            known[key] = phone_frame_scores(other, tuple(context), scores[begin:end])
        each[begin:end] = known[key]
    return np.concatenate([[0.0], np.cumsum(each)])


def phone_frame_scores(model: TransitionModel, context: tuple[int, ...], scores: np.ndarray) -> np.ndarray:
    """Returns float64 [T], the score of each frame on the best way of a phone through all of them.

    The first frame of a state has the pdf of the arcs that leave it, further ones that of its self-loop. Frames too few
    for a way from the first state to the end take the best pdf of the phone each.

    Args:
      context: window of phones, see `ContextTree.pad`. scores: float32 [T][pdf_id].

    Raises:
      InputError: the phone is not in the model's topology.
    """
    phone = context[model.tree.central_position]
    if phone not in model.topology.phones:
        raise InputError.at("model", f"has no phone {phone}, which the lattice has", "Use a model of the same phones.")
    states = model.topology.states(phone)
    pdf_id = model.tree.pdf_id
    first = scores[:, [pdf_id(context, s.forward_pdf_class) for s in states]].astype(np.float64)
    more = scores[:, [pdf_id(context, s.self_loop_pdf_class) for s in states]].astype(np.float64)
    count, frames = len(states), len(scores)
    if not frames:
        return np.zeros(0)
    best = np.full((frames, count), -np.inf)
    back = np.zeros((frames, count), np.int64)
    best[0, 0] = first[0, 0]
    for t in range(1, frames):
        for s, state in enumerate(states):
            for to, probability in state.transitions:
                if to < count and probability > 0:
                    value = best[t - 1, s] + (more if to == s else first)[t, to]
                    if value > best[t, to]:
                        best[t, to], back[t, to] = value, s
    leaves = np.array([any(to == count and p > 0 for to, p in s.transitions) for s in states])
    last = np.where(leaves, best[-1], -np.inf)
    if not np.isfinite(last).any():
        return np.maximum(first, more).max(axis=1)
    way = [int(last.argmax())]
    for t in range(frames - 1, 0, -1):
        way.append(int(back[t, way[-1]]))
    sums = best[np.arange(frames), way[::-1]]
    return np.diff(sums, prepend=0.0)
