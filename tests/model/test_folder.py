"""Model folders: what is saved comes back; what does not belong together is refused."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from hybrid.base.artifact import content_hash, read_meta
from hybrid.base.config import read_yaml, write_yaml
from hybrid.base.errors import InputError, MismatchError
from hybrid.feats.config import FeatureConfig
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.transform import LinearTransform
from hybrid.gmm import AmDiagGmm, GmmAcousticModel
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.model.folder import MODEL_FILES, Model, check_phones, is_model_dir, load_model, save_model
from hybrid.tree import ContextTree

PHONES = "<eps> 0\nsil 1\na 2\nb 3\n#0 4\n"


@pytest.fixture
def model(tmp_path) -> Model:
    topology = HmmTopology.kaldi_default([2, 3], [1], num_nonsilence_states=2, num_silence_states=1)
    transition_model = TransitionModel(topology, ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts()))
    random = np.random.RandomState(0)
    matrix = random.randn(4, 15).astype(np.float32)
    pipeline = FeaturePipeline(
        static=FeatureConfig(num_ceps=5), delta_order=2, transforms=(LinearTransform("lda", matrix, 15),)
    )
    gmm = AmDiagGmm.from_normal([0, 1, 2, 4, 5, 6], [1, 1, 0.5, 0.5, 1, 1], random.randn(6, 4), 0.5 + random.rand(6, 4))
    (tmp_path / "phones.txt").write_text(PHONES)
    return Model(transition_model, GmmAcousticModel(gmm, 0.1), pipeline, tmp_path / "phones.txt")


def test_saved_and_loaded_is_the_same(model, tmp_path):
    save_model(tmp_path / "m", model, {"passes": 3}, facts={"gaussians": 6})
    assert is_model_dir(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.acoustic_model.gmm.content_hash() == model.acoustic_model.gmm.content_hash()
    assert again.acoustic_model.acoustic_scale == 0.1
    assert again.pipeline.to_dict() == model.pipeline.to_dict()
    assert np.array_equal(again.pipeline.transforms[0].matrix, model.pipeline.transforms[0].matrix)
    assert np.array_equal(again.transition_model.log_probs, model.transition_model.log_probs)
    assert again.tree.to_text() == model.tree.to_text()
    assert again.phones["b"] == 3
    assert again.frame_shift == pytest.approx(0.01)
    assert again.speaker_independent is None
    facts = read_meta(tmp_path / "m")["facts"]
    assert facts["gaussians"] == 6
    assert facts["hashes"]["tree"] == model.tree.content_hash() == again.hashes["tree"]
    assert facts["hashes"]["topo"] == model.topology.content_hash()
    features = np.random.RandomState(1).randn(7, 4).astype(np.float32)
    assert np.array_equal(again.scores(features), model.acoustic_model.gmm.log_likelihoods(features))


def test_saving_twice_gives_the_same_bytes(model, tmp_path):
    save_model(tmp_path / "m", model)
    save_model(tmp_path / "n", load_model(tmp_path / "m"))
    for name in MODEL_FILES:
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "n" / name).read_bytes()


def test_the_model_of_a_first_pass_is_kept(model, tmp_path):
    other = GmmAcousticModel(AmDiagGmm.flat(5, np.zeros(4), np.ones(4)), 0.1)
    save_model(tmp_path / "m", dataclasses.replace(model, speaker_independent=other))
    again = load_model(tmp_path / "m")
    assert again.speaker_independent.gmm.content_hash() == other.gmm.content_hash()


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(model, tmp_path, name):
    save_model(tmp_path / "m", model)
    (tmp_path / "m" / name).unlink()
    with pytest.raises(InputError, match=f"has no '{name}'"):
        load_model(tmp_path / "m")


def test_no_model_folder(tmp_path):
    with pytest.raises(InputError, match="is not a model folder. Train one with `hybrid gmm train-mono`"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_changed_file_is_refused(model, tmp_path, name):
    save_model(tmp_path / "m", model)
    path = tmp_path / "m" / name
    found = bytearray(path.read_bytes())
    found[-1] ^= 0x80  # of the weights: a sign
    path.write_bytes(found)
    wanted = read_meta(tmp_path / "m")["files"][name][:12]
    message = (
        f"m/{name}: was changed or damaged: found hash {content_hash(path)[:12]}, meta.json records {wanted}. Copy or"
    )
    with pytest.raises(MismatchError, match=f"{message} make .*/m again; `hybrid doctor --verify .*/m` looks at all"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["tree", "topo", "phones.txt"])
def test_files_of_another_model_are_refused(model, tmp_path, name, forget_files):
    """A model of an older version records these three only."""
    save_model(tmp_path / "m", model)
    forget_files(tmp_path / "m")
    with open(tmp_path / "m" / name, "a") as stream:
        stream.write("\n")
    with pytest.raises(MismatchError, match=f"{name}: is not the .* that this model was saved with"):
        load_model(tmp_path / "m")


def test_weights_cut_short_are_refused(model, tmp_path, forget_files):
    save_model(tmp_path / "m", model)
    forget_files(tmp_path / "m")
    path = tmp_path / "m" / "final.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="final.safetensors: cannot be read as safetensors"):
        load_model(tmp_path / "m")


def test_an_unknown_kind_is_refused(model, tmp_path, forget_files):
    save_model(tmp_path / "m", model)
    forget_files(tmp_path / "m")
    values = read_yaml(tmp_path / "m" / "config.yaml")
    write_yaml(tmp_path / "m" / "config.yaml", {**values, "kind": "oracle"})
    with pytest.raises(InputError, match="config.yaml: kind is 'oracle'"):
        load_model(tmp_path / "m")


def test_parts_that_do_not_fit_are_refused(model):
    few = GmmAcousticModel(AmDiagGmm.flat(3, np.zeros(4), np.ones(4)))
    with pytest.raises(MismatchError, match="the acoustic model scores 3 pdfs, the tree has 5"):
        dataclasses.replace(model, acoustic_model=few)
    wide = GmmAcousticModel(AmDiagGmm.flat(5, np.zeros(9), np.ones(9)))
    with pytest.raises(MismatchError, match="takes 9 values per frame, the feature pipeline gives 4"):
        dataclasses.replace(model, acoustic_model=wide)


def test_phones_of_another_lang_are_refused(model, tmp_path):
    check_phones(model, tmp_path / "phones.txt")
    with pytest.raises(MismatchError, match="phone 'c' is number 4, but absent from"):
        (tmp_path / "more.txt").write_text(PHONES.replace("#0 4", "c 4\n#0 5"))
        check_phones(model, tmp_path / "more.txt")
    (tmp_path / "other.txt").write_text(PHONES.replace("a 2\nb 3", "b 2\na 3"))
    with pytest.raises(MismatchError, match="phone 'b' is number 2, but number 3 in"):
        check_phones(model, tmp_path / "other.txt")


def test_a_lang_of_fewer_phones_fits(model, tmp_path):
    (tmp_path / "fewer.txt").write_text("<eps> 0\nsil 1\nb 3\n#0 4\n")
    check_phones(model, tmp_path / "fewer.txt")


def test_a_folder_keeps_other_files(model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("mine")
    save_model(tmp_path / "m", model)
    assert (tmp_path / "m" / "mine.txt").read_text() == "mine"
    shutil.copytree(tmp_path / "m", tmp_path / "copy")
    assert load_model(tmp_path / "copy").tree.num_pdfs == 5
