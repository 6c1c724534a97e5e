"""H∘CLG: equal to kaldifst's composition, path by path."""

import kaldifst
import numpy as np
import pytest

from hybrid.base.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.graph.compose_h import compose_h
from hybrid.graph.equivalence import randomly_equivalent
from hybrid.graph.h_transducer import h_transducer
from hybrid.graph.report import GraphReport
from hybrid.graph.stages import make_clg, make_lg


@pytest.mark.parametrize("name", ["mono", "biphone", "triphone", "chain"])
def test_equals_kaldifst(lang, models, grammar, name):
    model = models[name]
    lg = make_lg(lang.L_arrays(disambig=True), grammar, GraphReport())
    clg, context_ids = make_clg(lg, lang.disambig_phones, model.tree, GraphReport())
    h, _ = h_transducer(context_ids, model.tree, model, 1.0)
    ours, theirs = compose_h(h, clg), from_kaldifst(kaldifst.compose(to_kaldifst(h), to_kaldifst(clg)))
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert not randomly_equivalent(ours, theirs, 50, 1e-4)


def test_epsilons_and_unknown_labels():
    """An arc without a phone passes; one whose phone in context H does not know leads nowhere and is trimmed."""
    h = FstArrays.from_arcs(0, [0, 1], [7, 8], [1, 0], [1, 0], [0.5, 0.25], [0, np.inf])
    clg = FstArrays.from_arcs(0, [0, 1, 0], [0, 1, 2], [3, 4, 5], [1, 2, 2], [1, 2, 4], [np.inf, np.inf, 0])
    graph = compose_h(h, clg)
    assert graph.ilabels.tolist() == [0, 7, 8] and graph.olabels.tolist() == [3, 4, 0]
    assert graph.costs.tolist() == [1, 2.5, 0.25] and graph.next_states.tolist() == [1, 2, 3]
    assert compose_h(h, FstArrays.empty()).num_states == 0


def test_many_states_outgrow_the_first_table():
    """One arc through an HMM of 3000 states in a row."""
    length = 3000
    source, to = np.arange(length), (np.arange(length) + 1) % length
    h = FstArrays.from_arcs(
        0, source, source + 1, [1] + [0] * (length - 1), to, 0 * source, [0] + [np.inf] * (length - 1)
    )
    clg = FstArrays.from_arcs(0, [0], [1], [9], [1], [0.5], [np.inf, 0])
    graph = compose_h(h, clg)
    assert graph.num_states == length + 1 and graph.ilabels.tolist() == list(range(1, length + 1))
