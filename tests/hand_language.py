"""A language of two phones and silence, small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree


@pytest.fixture(scope="session")
def transition_model() -> TransitionModel:
    """Phones 1 (silence, one state), 2 and 3 (two states each); a pdf per state: 0, 1–2, 3–4."""
    topology = HmmTopology.kaldi_default([2, 3], [1], num_nonsilence_states=2, num_silence_states=1)
    tree = ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts())
    return TransitionModel(topology, tree)


@pytest.fixture(scope="session")
def linear_graph(transition_model):
    """Makes the graph of phones said one after another; each phone is also the word of its number."""

    def make(phones: list[int], final_cost: float = 0.0) -> FstArrays:
        model = transition_model
        rows = []  # source, ilabel, olabel, target
        state = 0
        for phone in phones:
            states = [s for s in range(1, model.num_transition_states + 1) if model.tuples[s - 1][0] == phone]
            for number, transition_state in enumerate(states):
                loop = model.self_loops[transition_state]
                ids = np.flatnonzero(model.transition_states == transition_state)
                forward = int(next(i for i in ids if i != loop))
                rows.append((state, forward, phone if number == 0 else 0, state + 1))
                rows.append((state + 1, loop, 0, state + 1))
                state += 1
        sources, ilabels, olabels, targets = (np.array(column) for column in zip(*rows))
        finals = np.full(state + 1, np.inf, np.float32)
        finals[state] = final_cost
        return FstArrays.from_arcs(0, sources, ilabels, olabels, targets, np.zeros(len(rows)), finals)

    return make
