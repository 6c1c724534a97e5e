"""TransitionModel: tables by hand, ids there and back, maximum likelihood, Kaldi's text and programs."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError, MismatchError
from hybrid.hmm import HmmTopology, TransitionModel, read_topology, read_transition_model
from hybrid.hmm.transition_text import parse_transition_model
from hybrid.tree import ContextTree, read_tree
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Split, Table


def monophone(topology: HmmTopology) -> TransitionModel:
    sets = [[p] for p in topology.phones]
    return TransitionModel(topology, ContextTree.monophone(sets, topology.pdf_class_counts()))


def small() -> TransitionModel:
    """Phone 1: three silence states, the middle one ergodic with none; phone 2: one state."""
    return monophone(HmmTopology.kaldi_default([2], [1], 1, 3))


def triphone() -> TransitionModel:
    """Phones 1 and 2, left biphone: phone 1's state depends on what precedes it."""
    one = Split(0, (1,), Leaf(0), Leaf(1))
    tree = ContextTree(2, 1, Table(1, (None, one, Leaf(2))))
    return TransitionModel(HmmTopology.kaldi_default([1, 2], [], 1), tree)


def test_tables_by_hand():
    model = small()
    # phone 1: 0→0,1; 1→1,2; 2→2,3(end); phone 2: 0→0,1(end)
    assert model.tuples.tolist() == [[1, 0, 0, 0], [1, 1, 1, 1], [1, 2, 2, 2], [2, 0, 3, 3]]
    assert model.num_transition_ids == 8 and model.num_pdfs == 4
    assert model.transition_states.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert model.transition_indexes.tolist() == [-1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert model.phones.tolist() == [0, 1, 1, 1, 1, 1, 1, 2, 2]
    assert model.hmm_states.tolist() == [-1, 0, 0, 1, 1, 2, 2, 0, 0]
    assert model.pdf_ids.tolist() == [-1, 0, 0, 1, 1, 2, 2, 3, 3]
    assert model.is_self_loop.tolist() == [False, True, False, True, False, True, False, True, False]
    assert np.flatnonzero(model.is_final).tolist() == [6, 8]
    assert [model.self_loops[s] for s in (1, 2, 3, 4)] == [1, 3, 5, 7]
    np.testing.assert_allclose(np.exp(model.log_probs[1:]), [0.5] * 4 + [0.75, 0.25] * 2, rtol=1e-6)
    np.testing.assert_allclose(np.exp(model.log_probs_not_self_loop[1:]), [0.5, 0.5, 0.25, 0.25], rtol=1e-6)
    np.testing.assert_allclose(model.log_probs_ignoring_self_loops, np.zeros(9), atol=1e-6)


def test_one_pdf_per_context():
    model = triphone()
    assert model.tuples.tolist() == [[1, 0, 0, 0], [1, 0, 1, 1], [2, 0, 2, 2]]
    assert model.transition_state_of(1, 0, 1, 1) == 2
    with pytest.raises(InputError, match="has no transition-state"):
        model.transition_state_of(1, 0, 2, 2)


def test_chain_pairs_only_pdfs_of_one_context():
    forward, loop = Split(0, (1,), Leaf(0), Leaf(1)), Split(0, (1, 2), Leaf(2), Leaf(3))
    tree = ContextTree(2, 1, Split(PDF_CLASS_KEY, (0,), forward, loop))
    model = TransitionModel(HmmTopology.chain([1, 2, 3]), tree)
    # left phone 1: (0, 2); left phone 2: (1, 2); left phone 3 or none: (1, 3). Never (0, 3).
    assert model.tuples[:3].tolist() == [[1, 0, 0, 2], [1, 0, 1, 2], [1, 0, 1, 3]]
    assert model.num_transition_states == 9
    assert model.pdf_ids[1:5].tolist() == [2, 0, 2, 1]  # self-loops score with their own pdf


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3, 5]), st.booleans())
def test_ids_there_and_back(nonsilence_states, silence_states, share):
    topology = HmmTopology.kaldi_default([2, 3, 4], [1], nonsilence_states, silence_states)
    sets = [[1], [2, 3], [4]] if share else [[1], [2], [3], [4]]
    model = TransitionModel(topology, ContextTree.monophone(sets, topology.pdf_class_counts()))
    for tid in range(1, model.num_transition_ids + 1):
        state, index = int(model.transition_states[tid]), int(model.transition_indexes[tid])
        assert model.transition_id_of(state, index) == tid
        phone, hmm_state, forward, loop = model.tuples[state - 1].tolist()
        assert model.transition_state_of(phone, hmm_state, forward, loop) == state
        assert (phone, hmm_state) == (model.phones[tid], model.hmm_states[tid])
        target, probability = topology.states(phone)[hmm_state].transitions[index]
        assert np.isclose(np.exp(model.log_probs[tid]), probability) and target == model.targets[tid]
    sums = np.bincount(model.transition_states[1:], np.exp(model.log_probs[1:]))[1:]
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
    assert model.tuples.tolist() == sorted(model.tuples.tolist())


def test_transition_ids_out_of_range():
    with pytest.raises(IndexError, match="transition_state 5 lies outside 1–4"):
        small().transition_id_of(5, 0)
    with pytest.raises(IndexError, match="has no arc 2"):
        small().transition_id_of(1, 2)


def test_update_is_maximum_likelihood_with_a_floor():
    counts = np.array([0, 30, 10, 1, 2, 100, 0, 3, 9], float)
    model = small().update(counts)
    probabilities = np.exp(model.log_probs)
    np.testing.assert_allclose(probabilities[1:3], [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(probabilities[3:5], [0.5, 0.5], rtol=1e-6)  # seen less than five times
    np.testing.assert_allclose(probabilities[5:7], [0.99, 0.01], atol=2e-4)  # floored
    np.testing.assert_allclose(probabilities[7:9], [0.25, 0.75], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1000), min_size=8, max_size=8))
def test_update_never_lowers_the_likelihood(values):
    counts = np.array([0.0, *values])
    before, after = small(), small().update(counts, floor=1e-6)
    assert counts @ after.log_probs.astype(float) >= counts @ before.log_probs.astype(float) - 1e-3
    sums = np.bincount(after.transition_states[1:], np.exp(after.log_probs[1:]))[1:]
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)


def test_save_and_load_is_identity(tmp_path):
    for model in (small().update(np.arange(9.0) ** 2), triphone()):
        model.write(tmp_path / "transitions")
        again = read_transition_model(tmp_path / "transitions", model.tree)
        assert np.array_equal(again.log_probs, model.log_probs)
        assert again.topology.content_hash() == model.topology.content_hash()
        assert np.array_equal(again.pdf_ids, model.pdf_ids)


def test_files_of_two_models(tmp_path):
    small().write(tmp_path / "transitions")
    with pytest.raises(InputError, match="has no pdf for phone 1, pdf-class 1"):
        read_transition_model(tmp_path / "transitions", ContextTree(1, 0, Table(0, (None, Table(-1, (Leaf(0),))))))
    other = ContextTree.monophone([[1, 2]], {1: 3, 2: 3})
    with pytest.raises(MismatchError, match="its 4 transition-states are not the 4 of the tree .* different models"):
        read_transition_model(tmp_path / "transitions", other)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("</TransitionModel>", "", "ends where </TransitionModel> was wanted; it was cut short"),
        ("<Triples> 4", "<Triples> 5", "has 4 transition-states, promised 5"),
        ("<Triples>", "<Quads>", "found '<Quads>', wanted <Triples> or <Tuples>"),
        (" ]", " 0 ]", "9 transition probabilities for 8 transition-ids"),
        ("[ 0 -0.6", "[ 0 nan -0.6", "9 transition probabilities"),
        ("[ 0 -0.693147182", "[ 0 5", r"a transition probability is not a number in \(0, 1\]"),
    ],
)
def test_damaged_text(old, new, message):
    model = small()
    text = model.to_text()
    assert old in text
    with pytest.raises(InputError, match=message):
        parse_transition_model(text.replace(old, new, 1), model.tree)


def test_kaldis_binary_model_is_named(tmp_path):
    (tmp_path / "final.mdl").write_bytes(b"\0B<TransitionModel> \xff")
    with pytest.raises(InputError, match="is no text transition model. Kaldi's binary models: run"):
        read_transition_model(tmp_path / "final.mdl", small().tree)


@pytest.mark.peer
@pytest.mark.parametrize("shared", [True, False])
def test_equal_to_kaldi(peers, kaldi_bin, tmp_path, shared):
    lang = peers / "lang_small" / "lang"
    options = [f"--shared-phones={lang}/phones/sets.int"] if shared else []
    command = [kaldi_bin / "gmm-init-mono", *options, lang / "topo", "39", tmp_path / "mdl", tmp_path / "tree"]
    subprocess.run(command, check=True, capture_output=True)
    command = [kaldi_bin / "copy-transition-model", "--binary=false", tmp_path / "mdl", tmp_path / "text"]
    subprocess.run(command, check=True, capture_output=True)
    tree = read_tree(tmp_path / "tree")
    model = TransitionModel(read_topology(lang / "topo"), tree)
    assert model.to_text(digits=7) == (tmp_path / "text").read_text()
    assert np.array_equal(read_transition_model(tmp_path / "text", tree).pdf_ids, model.pdf_ids)


@pytest.mark.peer
def test_chain_equal_to_kaldi(kaldi_bin, tmp_path):
    HmmTopology.chain([1, 2, 4]).write(tmp_path / "topo")
    for command in (
        [kaldi_bin / "gmm-init-mono", tmp_path / "topo", "39", tmp_path / "mdl", tmp_path / "tree"],
        [kaldi_bin / "copy-transition-model", "--binary=false", tmp_path / "mdl", tmp_path / "text"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    model = TransitionModel(HmmTopology.chain([1, 2, 4]), read_tree(tmp_path / "tree"))
    assert model.to_text(digits=7) == (tmp_path / "text").read_text()
