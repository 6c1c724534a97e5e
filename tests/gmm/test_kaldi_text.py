"""Kaldi's text form of GMMs."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.kaldi_io import read_matrices, write_int_vectors, write_matrices
from hybrid.gmm import AmDiagGmm, GmmStats, UpdateConfig, accumulate, update
from hybrid.gmm.kaldi_model import format_gmm, parse_gmm, read_kaldi_model, write_kaldi_model
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree


@pytest.fixture
def world():
    topology = HmmTopology.kaldi_default([2, 3], [1], num_nonsilence_states=2, num_silence_states=1)
    model = TransitionModel(topology, ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts()))
    random = np.random.RandomState(0)
    sizes = np.array([2, 1, 3, 1, 4])
    splits = np.concatenate([[0], np.cumsum(sizes)])
    weights = np.concatenate([random.dirichlet(np.ones(n)) for n in sizes])
    gmm = AmDiagGmm.from_normal(splits, weights, random.randn(11, 4), 0.2 + random.rand(11, 4))
    return model, gmm


def test_there_and_back(world, tmp_path):
    model, gmm = world
    assert parse_gmm(format_gmm(gmm)).content_hash() == gmm.content_hash()
    write_kaldi_model(tmp_path / "final.mdl", model, gmm)
    again, mixtures = read_kaldi_model(tmp_path / "final.mdl", model.tree)
    assert mixtures.content_hash() == gmm.content_hash()
    assert np.array_equal(again.log_probs, model.log_probs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[: len(t) // 2], "model: holds 3 pdfs, promised 5"),
        (lambda t: t[:-20], "model: pdf 4: is cut short"),
        (lambda t: t.replace("<INV_VARS>", "<COVARS>", 1), "model: pdf 0: has no usable <INV_VARS>"),
        (lambda t: re.sub(r"<WEIGHTS>  \[ \S+", "<WEIGHTS>  [ x", t, count=1), "model: pdf 0: has no usable <WEIGHTS>"),
        (lambda t: re.sub(r"<WEIGHTS>  \[ \S+", "<WEIGHTS>  [ ", t, count=1), "model: pdf 0: "),
        (lambda t: re.sub(r"<WEIGHTS>  \[ \S+", "<WEIGHTS>  [ nan", t, count=1), "pdf 0: weights hold NaN or infinity"),
        (lambda t: "<NNET>" + t, "found '<NNET><DIMENSION> 4 <NUMPDFS> 5'; wanted <DIMENSION> and <NUMPDFS>"),
    ],
)
def test_a_damaged_text_is_refused(world, change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        parse_gmm(change(format_gmm(world[1])))


def test_files_that_are_no_text_model(world, tmp_path):
    tree = world[0].tree
    with pytest.raises(InputError, match="none.mdl: the file does not exist"):
        read_kaldi_model(tmp_path / "none.mdl", tree)
    (tmp_path / "binary.mdl").write_bytes(b"\0B<TransitionModel> \xff\xfe")
    with pytest.raises(InputError, match="is no text model. Kaldi's binary models"):
        read_kaldi_model(tmp_path / "binary.mdl", tree)
    (tmp_path / "other.mdl").write_text("hello")
    with pytest.raises(InputError, match="has no </TransitionModel>"):
        read_kaldi_model(tmp_path / "other.mdl", tree)


def test_a_model_of_another_tree(world, tmp_path):
    model, gmm = world
    write_kaldi_model(tmp_path / "final.mdl", model, gmm)
    other = HmmTopology.kaldi_default([2, 3], [1], num_nonsilence_states=2, num_silence_states=1)
    tree = ContextTree.monophone([[1], [2, 3]], other.pdf_class_counts())
    with pytest.raises(MismatchError, match="transition-states are not the"):
        read_kaldi_model(tmp_path / "final.mdl", tree)


def run(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.peer
def test_kaldi_reads_it_scores_alike_and_updates_alike(world, tmp_path, kaldi_bin):
    model, gmm = world
    random = np.random.RandomState(1)
    ids = np.repeat(np.flatnonzero(~model.is_self_loop)[1:], 40)
    pdf_ids = model.pdf_ids[ids]
    first = gmm.row_splits[pdf_ids]
    x = (gmm.means[first] + random.randn(len(ids), 4)).astype(np.float32)
    write_kaldi_model(tmp_path / "0.mdl", model, gmm)
    write_matrices(tmp_path / "feats.ark", {"utt": x})
    write_int_vectors(tmp_path / "ali.ark", {"utt": ids.astype(np.int32)})
    feats, ali = f"ark:{tmp_path}/feats.ark", f"ark:{tmp_path}/ali.ark"

    run(kaldi_bin / "gmm-compute-likes", tmp_path / "0.mdl", feats, f"ark:{tmp_path}/likes.ark")
    likes = dict(read_matrices(tmp_path / "likes.ark"))["utt"]
    assert gmm.log_likelihoods(x) == pytest.approx(likes, abs=2e-4)

    log = run(kaldi_bin / "gmm-acc-stats-ali", tmp_path / "0.mdl", feats, ali, tmp_path / "0.acc")
    stats = GmmStats.zeros(gmm)
    accumulate(stats, gmm, x, pdf_ids)
    theirs = float(re.search(r"avg like per frame \(Gaussian only\) = (\S+)", log)[1])
    assert stats.log_likelihood_per_frame == pytest.approx(theirs, rel=1e-5)

    run(kaldi_bin / "gmm-est", "--binary=false", tmp_path / "0.mdl", tmp_path / "0.acc", tmp_path / "1.mdl")
    new_model, new = read_kaldi_model(tmp_path / "1.mdl", model.tree)
    ours, report = update(gmm, stats, UpdateConfig())
    assert ours.row_splits.tolist() == new.row_splits.tolist()
    assert ours.weights == pytest.approx(new.weights, rel=1e-4)
    assert ours.means == pytest.approx(new.means, rel=1e-3, abs=1e-4)
    assert ours.variances == pytest.approx(new.variances, rel=1e-3)
    counts = np.bincount(ids, minlength=model.num_transition_ids + 1)
    assert model.update(counts).log_probs == pytest.approx(new_model.log_probs, abs=1e-5)


@pytest.mark.parametrize("head", ["4.8 <NUMPDFS> 2", "-1 <NUMPDFS> 2", "2 <NUMPDFS> 0", "2 <NUMPDFS> " + "9" * 5000])
def test_odd_sizes_are_refused(head):
    with pytest.raises(InputError, match="wanted <DIMENSION> and <NUMPDFS>"):
        parse_gmm(f"<DIMENSION> {head} <DiagGMM> </DiagGMM>")
