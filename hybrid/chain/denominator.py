"""The denominator of lattice-free MMI: phone LM, context and HMMs as one acceptor of pdfs (Povey et al., 2016)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hybrid.base.log import get_logger
from hybrid.chain.acceptor import PdfArcs
from hybrid.chain.cycle import minimize_cycle
from hybrid.chain.topology import require_chain_topology
from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import connect
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.graph.phone_graph import add_context
from hybrid.graph.training import transition_costs, with_transition_costs
from hybrid.hmm import TransitionModel

__all__ = ["Denominator", "compile_denominator", "initial_probabilities", "pdf_acceptor"]

logger = get_logger(__name__)

WARM_UP = 100  # frames over which the states that an utterance's middle is in are averaged


@dataclass(frozen=True, eq=False)
class Denominator(PdfArcs):
    """The graph of everything that might have been said, at the frame rate of the model.

    A chunk may begin and end in any state: it begins with `initial`, and ending costs nothing.

    Attributes:
      from_state, to_state: int32 [arcs], states, sorted by source.
      pdf: int32 [arcs].
      log_weight: float32 [arcs].
      initial: float32 [states], log-probability of each state in the middle of speech.
      start: the state in which utterances begin.
      end: float32 [states], log-weight of ending an utterance; −inf where none ends.
      num_pdfs: of the tree.
    """

    from_state: np.ndarray
    to_state: np.ndarray
    pdf: np.ndarray
    log_weight: np.ndarray
    initial: np.ndarray
    start: int
    end: np.ndarray
    num_pdfs: int

    def __post_init__(self) -> None:
        for name in ("from_state", "to_state", "pdf"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.int32))
        for name in ("log_weight", "initial", "end"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))
        arcs, states = len(self.from_state), len(self.initial)
        if not len(self.to_state) == len(self.pdf) == len(self.log_weight) == arcs or not arcs:
            raise ValueError("denominator: arrays of arcs differ in length, or hold no arc")
        if len(self.end) != states or not 0 <= self.start < states:
            raise ValueError(f"denominator: arrays do not describe {states} states")
        for name, below in (("from_state", states), ("to_state", states), ("pdf", self.num_pdfs)):
            array = getattr(self, name)
            if array.min() < 0 or array.max() >= below:
                raise ValueError(f"denominator: {name} hold {array.min()} to {array.max()}, wanted 0 to {below - 1}")
        if (np.diff(self.from_state) < 0).any():
            raise ValueError("denominator: arcs are not sorted by from_state")
        if not np.isfinite(self.log_weight).all() or not (self.initial < 1e-6).all():
            raise ValueError("denominator: a weight is not a log-probability")

    @cached_property
    def final(self) -> np.ndarray:
        """float32 [states], zeros: a chunk may end in any state."""
        return np.zeros(self.num_states, np.float32)

    @classmethod
    def from_fst(cls, fst: FstArrays, num_pdfs: int) -> Denominator:
        """Builds it from an acceptor of pdf_id + 1 (Kaldi's den.fst)."""
        return cls(
            fst.sources(), fst.next_states, fst.ilabels - 1, -fst.costs, np.log(initial_probabilities(fst)),
            fst.start, -fst.final_costs, num_pdfs,
        )  # fmt: skip

    def to_fst(self) -> FstArrays:
        """Returns the acceptor of pdf_id + 1 of whole utterances (Kaldi's den.fst)."""
        labels = self.pdf + 1
        return FstArrays.from_arcs(
            self.start, self.from_state, labels, labels, self.to_state, -self.log_weight, -self.end
        )


def pdf_acceptor(phone_lm: FstArrays, model: TransitionModel) -> FstArrays:
    """Returns H∘C∘(phone LM) as an acceptor of pdf_id + 1 without epsilons, transition probabilities included.

    Raises:
      InputError: the model's topology is not a chain's, or a phone of the LM has no HMM or no pdf.
    """
    require_chain_topology(model.topology)
    left = model.tree.central_position
    phones, windows = add_context(phone_lm, left, model.tree.context_width - 1 - left)
    graph = HmmExpander(model).expand(phones, windows)
    graph = with_transition_costs(graph, transition_costs(model, 1.0, 1.0))
    labels = model.pdf_ids[graph.ilabels] + 1
    return connect(replace(graph, ilabels=labels, olabels=labels))


def initial_probabilities(fst: FstArrays, frames: int = WARM_UP) -> np.ndarray:
    """Returns how probable each state is in the first frames, on average: float64 [states].

    A state's ways out are made to sum to one, and probability that leaves by the end is dealt out anew.
    """
    sources, weights = fst.sources(), np.exp(-fst.costs.astype(np.float64))
    totals = np.exp(-fst.final_costs.astype(np.float64)) + np.bincount(sources, weights, fst.num_states)
    weights = weights / totals[sources]
    average = np.zeros(fst.num_states)
    now: np.ndarray = np.zeros(fst.num_states)
    now[fst.start] = 1.0
    for _ in range(frames):
        average += now / frames
        now = np.bincount(fst.next_states, weights * now[sources], fst.num_states)
        now = now / now.sum()
    return average


def compile_denominator(phone_lm: FstArrays, model: TransitionModel) -> Denominator:
    """Compiles the denominator of a phone LM and a chain model."""
    whole = pdf_acceptor(phone_lm, model)
    small = _sorted_by_degree(minimize_cycle(whole))
    logger.info(
        "denominator: %d states, %d arcs, before minimisation %d, %d",
        small.num_states, small.num_arcs, whole.num_states, whole.num_arcs,
    )  # fmt: skip
    missing = np.setdiff1d(np.arange(model.num_pdfs), small.ilabels - 1)
    if len(missing):
        some = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        logger.warning("%d of %d pdfs are not in the denominator (%s)", len(missing), model.num_pdfs, some)
    return Denominator.from_fst(small, model.num_pdfs)


def _sorted_by_degree(fst: FstArrays) -> FstArrays:
    """Renumbers states, those with the most arcs first, so that parallel workers get the long ones early."""
    degree = np.bincount(fst.next_states, minlength=fst.num_states) + np.diff(fst.row_splits)
    order = np.argsort(-degree, kind="stable")
    number = np.empty(fst.num_states, np.int64)
    number[order] = np.arange(fst.num_states)
    return FstArrays.from_arcs(
        int(number[fst.start]), number[fst.sources()], fst.ilabels, fst.olabels, number[fst.next_states], fst.costs,
        fst.final_costs[order],
    )  # fmt: skip
