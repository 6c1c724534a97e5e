"""Alignments at a lower frame rate: by hand, laws, and Kaldi's convert-ali."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.errors import InputError
from hybrid.chain.config import SubsamplingConfig
from hybrid.chain.subsampling import chain_pdf_classes, subsample_alignments, subsampled_durations
from hybrid.chain.topology import require_chain_topology
from hybrid.formats.kaldi_io import read_int_vectors, write_int_vectors
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree


def three_states(phones: int) -> TransitionModel:
    topology = HmmTopology.kaldi_default(range(2, phones + 1), [1])
    return TransitionModel(topology, ContextTree.monophone([[p] for p in topology.phones], topology.pdf_class_counts()))


def random_alignment(model: TransitionModel, rng: np.random.Generator, phones: int) -> np.ndarray:
    """Walks through the HMMs of random phones; self-loops follow the arc that they belong to."""
    ids: list[int] = []
    for phone in rng.choice(model.topology.phones, phones):
        states, state = model.topology.states(int(phone)), 0
        while state < len(states):
            row = int(np.flatnonzero((model.tuples[:, 0] == phone) & (model.tuples[:, 1] == state))[0]) + 1
            arcs = [i for i, (t, _) in enumerate(states[state].transitions) if t != state]
            index = int(rng.choice(arcs))
            ids.append(model.transition_id_of(row, index))
            ids += [int(model.self_loops[row])] * int(rng.integers(0, 3) if model.self_loops[row] else 0)
            state = states[state].transitions[index][0]
    return np.array(ids, np.int32)


def test_durations_by_hand():
    # frames 0 3 6 9: the phones end at 4, 5, 11; the second holds none of them and takes one of the nearer neighbour
    assert subsampled_durations(np.array([4, 1, 6]), 3).tolist() == [1, 1, 2]
    assert subsampled_durations(np.array([4, 1, 6]), 3, 1).tolist() == [1, 1, 2]  # 1 4 7 10
    assert subsampled_durations(np.array([4, 1, 6]), 3, 2).tolist() == [1, 1, 1]  # 2 5 8: from the right
    assert subsampled_durations(np.array([1, 1, 4]), 3) is None
    assert chain_pdf_classes(np.array([1, 3])).tolist() == [0, 0, 1, 1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 4))
def test_durations_sum_to_the_frames_kept(durations, factor, offset):
    offset %= factor
    lengths = subsampled_durations(np.array(durations), factor, offset)
    frames = len(range(offset, sum(durations), factor))
    if lengths is None:
        assert frames < len(durations)
    else:
        assert lengths.min() >= 1 and lengths.sum() == frames


@given(st.integers(0, 50), st.integers(1, 16))
def test_output_frames(frames, factor):
    assert SubsamplingConfig(factor).num_frames(frames) == len(range(0, frames, factor))


@pytest.mark.peer
@pytest.mark.parametrize("width, central", [(1, 0), (2, 1), (3, 1)])
def test_equal_to_kaldi(kaldi_bin, tmp_path, chain_model, width, central):
    source, target = three_states(5), chain_model(5, width, central)
    rng = np.random.default_rng(3)
    items = [(f"u{n:02d}", random_alignment(source, rng, n)) for n in range(1, 30)]
    ours = subsample_alignments(CorpusAlignments.from_items(items), source, target, 3)
    source.write(tmp_path / "source", 7)
    target.write(tmp_path / "target", 7)
    target.tree.write(tmp_path / "tree")
    write_int_vectors(tmp_path / "ali", items)
    options = ["--repeat-frames=true", "--frame-subsampling-factor=3"]
    files = [tmp_path / "source", tmp_path / "target", tmp_path / "tree"]
    archives = [f"ark:{tmp_path / 'ali'}", f"ark:{tmp_path / 'out'}"]
    subprocess.run(list(map(str, [kaldi_bin / "convert-ali", *options, *files, *archives])), check=True)
    theirs = dict(read_int_vectors(tmp_path / "out"))
    assert set(theirs) == set(ours.ids) and len(ours) + len(ours.failures) == len(items)
    for utterance, ids in ours.items():
        np.testing.assert_array_equal(ids, theirs[utterance])


def test_what_is_too_short_is_listed(chain_model):
    source, target = three_states(3), chain_model(3)
    items = [("empty", np.zeros(0, np.int32))]
    fast = np.concatenate([np.flatnonzero((source.phones == 2) & ~source.is_self_loop)] * 3).astype(np.int32)
    ours = subsample_alignments(CorpusAlignments.from_items([*items, ("fast", fast)]), source, target, 9)
    assert ours.ids == ("empty",) and not len(ours["empty"])
    assert ours.failures["fast"] == "9 frames are too few for 3 phones at 1/9 of the frame rate"


def test_another_topology_is_refused():
    with pytest.raises(InputError) as error:
        require_chain_topology(HmmTopology.kaldi_default([2, 3], [1]), "exp/tree/topo")
    assert str(error.value) == (
        "exp/tree/topo: gives phone 2 3 states; wanted one state with a self-loop. "
        "Make the tree with `hybrid nnet chain-tree`."
    )
