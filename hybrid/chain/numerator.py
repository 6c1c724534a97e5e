"""Numerators: how an utterance was spoken, as phones with times in a row or a lattice, and their pdfs in context."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import HybridError
from hybrid.formats.openfst import FstArrays
from hybrid.graph.phone_graph import add_context
from hybrid.hmm import TransitionModel
from hybrid.hmm.topology import MAX_PHONE

__all__ = ["COLUMNS", "Numerator", "NumeratorError", "aligned_numerator", "lattice_numerator"]

COLUMNS = ("phone", "begin", "end", "forward", "loop", "from_node", "to_node")


class NumeratorError(HybridError):
    """An utterance that cannot be used, and why."""


@dataclass(frozen=True, eq=False)
class Numerator(ByContent):
    """A graph of phones in context; each path from node 0 to a final node is one way the utterance was spoken.

    Attributes:
      arcs: int32 [A][7], sorted by from_node; columns are `COLUMNS`: phone id; first frame and frame after the last, at
        the rate of the features; pdfs of the phone's first frame and of its others; nodes.
      finals: int32 [F], nodes at which an utterance may end.
      num_frames: of the features.
    """

    arcs: np.ndarray
    finals: np.ndarray
    num_frames: int

    def __post_init__(self) -> None:
        arcs = np.ascontiguousarray(self.arcs, np.int32)
        finals = np.ascontiguousarray(self.finals, np.int32)
        if arcs.ndim != 2 or arcs.shape[1] != len(COLUMNS) or not len(arcs) or not len(finals):
            raise ValueError(f"a numerator needs arcs of {len(COLUMNS)} columns and a final node")
        if arcs.min() < 0 or finals.min() < 0 or finals.max() > arcs[:, 5:].max() or (np.diff(arcs[:, 5]) < 0).any():
            raise ValueError("a numerator's arcs hold a negative number or are not sorted by from_node")
        if arcs[:, 5:].max() > len(arcs) or arcs[:, 0].max() > MAX_PHONE or arcs[:, 2].max() != self.num_frames:
            raise ValueError("a numerator's nodes, phones or times are out of range")
        object.__setattr__(self, "arcs", arcs)
        object.__setattr__(self, "finals", finals)

    def at_speed(self, speed: float, num_frames: int) -> Numerator:
        """Returns the numerator of the same speech played `speed` times as fast.

        Args:
          num_frames: of its features.
        """
        arcs = self.arcs.copy()
        times = np.rint(arcs[:, 1:3] / speed).astype(np.int32)
        arcs[:, 1:3] = np.where(arcs[:, 1:3] == self.num_frames, num_frames, np.minimum(times, num_frames))
        return replace(self, arcs=arcs, num_frames=num_frames)


def aligned_numerator(phones: np.ndarray, durations: np.ndarray, model: TransitionModel) -> Numerator:
    """Returns the numerator of an alignment.

    Args:
      phones, durations: int [S]; durations in frames of the features.
      model: of the chain.

    Raises:
      NumeratorError: no phones, or the tree has no pdf for one.
    """
    if not len(phones):
        raise NumeratorError("has no phones")
    ends = np.cumsum(durations)
    nodes = np.arange(len(phones))
    columns = [phones, ends - durations, ends, *_pdfs(model.tree.pad(phones.tolist()), model), nodes, nodes + 1]
    return Numerator(np.stack(columns, axis=1), np.array([len(phones)]), int(ends[-1]))


def lattice_numerator(phones: FstArrays, times: np.ndarray, num_frames: int, model: TransitionModel) -> Numerator:
    """Returns the numerator of a lattice of phones.

    Args:
      phones: acyclic, phone ids on the input side, no epsilons.
      times: int [arcs][2], first frame of each arc and the frame after its last; ways may overlap.
      model: of the chain.

    Raises:
      NumeratorError: no way through, or the tree has no pdf for a phone.
    """
    if phones.start < 0 or not phones.num_arcs:
        raise NumeratorError("has no phones")
    left = model.tree.central_position
    marked = replace(phones, olabels=np.arange(1, phones.num_arcs + 1, dtype=np.int32))
    graph, windows = add_context(marked, left, model.tree.context_width - 1 - left)
    number = np.arange(graph.num_states)
    number[[0, graph.start]] = number[[graph.start, 0]]  # node 0 is the start
    times = np.asarray(times)[graph.olabels - 1]
    sources = number[graph.sources()]
    columns = [graph.ilabels, times[:, 0], times[:, 1], *_pdfs(windows, model), sources, number[graph.next_states]]
    arcs = np.stack(columns, axis=1)[np.argsort(sources, kind="stable")]
    return Numerator(arcs, number[np.flatnonzero(np.isfinite(graph.final_costs))], num_frames)


def _pdfs(windows: np.ndarray, model: TransitionModel) -> list[np.ndarray]:
    """Returns the pdf of the first frame of each phone in context, and that of its others."""
    pdfs = []
    states = {p: model.topology.states(p)[0] for p in model.topology.phones}
    central = windows[:, model.tree.central_position].tolist()
    for phone in set(central) - set(states):
        raise NumeratorError(f"has phone {phone}, which the tree does not have")
    for name in ("forward_pdf_class", "self_loop_pdf_class"):
        pdfs.append(model.tree.pdf_ids(windows, np.array([getattr(states[p], name) for p in central])))
        if (pdfs[-1] < 0).any():
            window = windows[int(np.flatnonzero(pdfs[-1] < 0)[0])].tolist()
            raise NumeratorError(f"has phones {window} in a row, for which the tree has no pdf")
    return pdfs
