"""Alignments of a network at a lower frame rate, for the frames of its features."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.align.convert import at_feature_rate, phone_runs, spread
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.errors import MismatchError
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.hmm.topology import EmittingState, TopologyEntry
from hybrid.tree import ContextTree


def model_of(topology: HmmTopology) -> TransitionModel:
    """Each phone its own pdfs."""
    sets = [[phone] for phone in topology.phones]
    return TransitionModel(topology, ContextTree.monophone(sets, topology.pdf_class_counts(), False))


@pytest.mark.parametrize("factor, wanted", [
    (1, [7, 8, 9]), (2, [7, 7, 8, 8, 9, 9]), (3, [7, 7, 8, 8, 8, 9, 9, 9, 9]),
    (4, [7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 9]),
])  # fmt: skip
def test_a_boundary_is_in_the_middle_between_the_frames_that_were_looked_at(factor, wanted):
    assert spread(np.array([7, 8, 9]), factor).tolist() == wanted


@pytest.mark.parametrize("topology", [HmmTopology.chain([1, 2, 3]), HmmTopology.kaldi_default([1, 2, 3], [], 3)])
def test_phones_last_as_many_times_longer(topology):
    model = model_of(topology)
    loops, forward = model.self_loops[model.transition_states], ~model.is_self_loop
    ids: list[int] = []
    for phone, extra in ((1, 2), (3, 0), (3, 1), (2, 0)):  # each state is entered, the last one stays `extra` frames
        ids += np.flatnonzero((model.phones == phone) & forward).tolist()
        ids += [int(loops[ids[-1]])] * extra
    alignments = CorpusAlignments.from_items([("u", np.array(ids, np.int32))], {"v": "was silent"})
    found = at_feature_rate(alignments, model, 3)
    before, after = phone_runs(np.array(ids), model), phone_runs(found["u"], model)
    assert after[0].tolist() == before[0].tolist() and dict(found.failures) == {"v": "was silent"}
    ends = 3 * np.cumsum(before[1]) - 1
    assert np.cumsum(after[1]).tolist() == [*ends[:-1], 3 * len(ids)]
    np.testing.assert_array_equal(model.hmm_states[found["u"]], spread(model.hmm_states[ids], 3))
    assert at_feature_rate(alignments, model, 1) is alignments


def test_a_state_that_cannot_stay_is_refused():
    state = EmittingState(0, 0, ((1, 1.0),))
    model = model_of(HmmTopology((TopologyEntry((1,), (state,)),)))
    alignments = CorpusAlignments.from_items([("u", np.array([1], np.int32))])
    with pytest.raises(MismatchError, match="phone 1 has a state without a self-loop, which cannot last 3 frames"):
        at_feature_rate(alignments, model, 3)
