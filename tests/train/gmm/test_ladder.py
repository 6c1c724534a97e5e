"""Triphones, LDA+MLLT and adaptive training on a synthetic language: they learn, resume, and say what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hybrid.adapt.align_adapted import AlignAdaptedConfig, align_adapted
from hybrid.align.convert import convert_alignments, pdf_classes, phone_runs
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.base.jobs import pool
from hybrid.gmm.adapt_config import FmllrConfig, LdaConfig
from hybrid.gmm.speaker_transforms import load_transforms, save_transforms
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.model.folder import load_model
from hybrid.train.gmm import ladder, sat
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.gmm.ladder_config import LdaMlltEmConfig, SatEmConfig, SpliceConfig, TriEmConfig
from hybrid.train.gmm.lda_mllt import LdaMlltConfig, train_lda_mllt
from hybrid.train.gmm.mono import MonoConfig, train_mono
from hybrid.train.gmm.sat import SatTrainingConfig, train_sat
from hybrid.train.gmm.tri import TriConfig, train_tri
from hybrid.tree import TreeConfig

PASSES = {"num_passes": 6, "last_mix_up_pass": 3, "total_gaussians": 40, "realign_passes": (3,)}
TREE = TreeConfig(max_leaves=20, threshold=10, leaf_multiple=1)
TRI = TriConfig(em=TriEmConfig(**PASSES), tree=TREE)
LDA = LdaMlltConfig(
    em=LdaMlltEmConfig(mllt_passes=(2, 4), **PASSES), tree=TREE, splice=SpliceConfig(1, 1), lda=LdaConfig(dim=6)
)
SAT = SatTrainingConfig(
    em=SatEmConfig(fmllr_passes=(2, 4), **PASSES), tree=TREE, fmllr=FmllrConfig(min_speaker_frames=50)
)
OUTPUTS = ("final.safetensors", "transitions", "tree", "config.yaml", "ali.gz", "failed.txt", "passes.tsv", "tree.txt")


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def start_from(folder: Path, store, lang) -> Start:
    model = load_model(folder)
    return Start(model, load_alignments(folder, model), store, lang)


@pytest.fixture(scope="module")
def exp(tmp_path_factory, store, lang) -> Path:
    """All stages, one after the other."""
    exp = tmp_path_factory.mktemp("ladder")
    em = EmConfig(num_passes=6, last_mix_up_pass=4, total_gaussians=30, realign_passes=(1, 2, 3, 5))
    train_mono(store, lang, exp / "mono", MonoConfig(em=em))
    train_tri(start_from(exp / "mono", store, lang), exp / "tri1", TRI)
    train_lda_mllt(start_from(exp / "tri1", store, lang), exp / "tri2", LDA)
    train_sat(start_from(exp / "tri2", store, lang), exp / "tri3", SAT)
    return exp


@pytest.mark.parametrize("name", ["tri1", "tri2", "tri3"])
def test_every_rung_learns(exp, name):
    rows = [line.split("\t") for line in (exp / name / "passes.tsv").read_text().splitlines()]
    scores = [float(row[rows[0].index("log_likelihood")]) for row in rows[1:]]
    assert len(scores) == 5 and scores[-1] > scores[0]
    assert (exp / name / "failed.txt").read_text() == "" and not (exp / name / "work").exists()
    model = load_model(exp / name)
    assert model.tree.context_width == 3 and model.tree.central_position == 1
    assert load_model(exp / "mono").tree.num_pdfs < model.tree.num_pdfs <= TREE.max_leaves
    assert "phone" in (exp / name / "tree.txt").read_text()


def test_features_of_each_rung(exp, store):
    utterance = store.ids[0]
    for name, dim in (("tri1", 15), ("tri2", 6), ("tri3", 6)):
        model = load_model(exp / name)
        assert model.pipeline.features(store, utterance).shape[1] == dim == model.acoustic_model.feature_dim
    assert [t.name for t in load_model(exp / "tri2").pipeline.transforms] == ["lda+mllt"]
    np.testing.assert_array_equal(
        load_model(exp / "tri3").pipeline.transforms[0].matrix, load_model(exp / "tri2").pipeline.transforms[0].matrix
    )


def test_adaptive_training_leaves_an_unadapted_model_and_transforms(exp, store):
    model = load_model(exp / "tri3")
    independent, gmm = model.speaker_independent.gmm, model.acoustic_model.gmm
    np.testing.assert_array_equal(independent.row_splits, gmm.row_splits)
    assert not np.allclose(independent.means, gmm.means)
    transforms = load_transforms(exp / "tri3" / "transforms.safetensors", 6, model.tree.content_hash())
    assert sorted(transforms) == ["s0", "s1", "s2"]
    alignments = load_alignments(exp / "tri3", model)
    scores = {}
    for name, acoustic, use in (("adapted", gmm, True), ("independent", independent, False), ("unadapted", gmm, False)):
        total = frames = 0.0
        for utterance, ids in alignments.items():
            transform = transforms[store.speaker(utterance)] if use else None
            pdfs = model.transition_model.pdf_ids[ids]
            rows = acoustic.log_likelihoods(model.pipeline.features(store, utterance, transform))
            total += rows[np.arange(len(pdfs)), pdfs].sum()
            total += len(pdfs) * (np.linalg.slogdet(transform[:, :6])[1] if use else 0.0)
            frames += len(pdfs)
        scores[name] = total / frames
    assert scores["adapted"] > scores["unadapted"] and scores["independent"] > scores["unadapted"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, train, config", [("tri1", train_tri, TRI), ("tri2", train_lda_mllt, LDA), ("tri3", train_sat, SAT)]
)
def test_jobs_change_no_byte(exp, store, lang, tmp_path, name, train, config):
    below = {"tri1": "mono", "tri2": "tri1", "tri3": "tri2"}[name]
    with pool(2) as executor:
        train(start_from(exp / below, store, lang), tmp_path / name, config, executor)
    assert content(tmp_path / name) == content(exp / name)


@pytest.mark.parametrize("stop", [2, 4])
def test_a_killed_training_goes_on_to_the_same_bytes(exp, store, lang, tmp_path, monkeypatch, stop):
    """Also where MLLT comes next, of features that LDA projects: its matrix is in memory as it is on disk."""
    saved, count = ladder.save_state, []

    def save(path, state, identity):
        saved(path, state, identity)
        count.append(state.next_pass)
        if state.next_pass == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(ladder, "save_state", save)
    with pytest.raises(KeyboardInterrupt):
        train_lda_mllt(start_from(exp / "tri1", store, lang), tmp_path / "tri2", LDA)
    assert not (tmp_path / "tri2" / "meta.json").exists()
    monkeypatch.setattr(ladder, "save_state", saved)
    monkeypatch.setattr(ladder, "_first_state", lambda *a: pytest.fail("started afresh"))
    train_lda_mllt(start_from(exp / "tri1", store, lang), tmp_path / "tri2", LDA)
    assert content(tmp_path / "tri2") == content(exp / "tri2")


def test_a_finished_training_is_not_done_again(exp, store, lang, monkeypatch):
    before = content(exp / "tri1")
    monkeypatch.setattr(ladder, "run_em", lambda *a, **k: pytest.fail("trained again"))
    train_tri(start_from(exp / "mono", store, lang), exp / "tri1", TRI)
    assert content(exp / "tri1") == before


def test_any_frame_of_the_alignments_makes_another_training(exp, store, lang):
    """Two labels swapped far behind the first 512 frames, and a boundary moved: the sums are the same."""
    start = start_from(exp / "mono", store, lang)
    ids, splits = start.alignments.transition_ids.copy(), start.alignments.row_splits.copy()
    assert len(ids) > 1000
    place = next(i for i in range(900, len(ids)) if ids[i] != ids[i + 1])
    ids[[place, place + 1]] = ids[[place + 1, place]]
    splits[5] += 1
    swapped = dataclasses.replace(start.alignments, transition_ids=ids)
    moved = dataclasses.replace(start.alignments, row_splits=splits)
    prints = {dataclasses.replace(start, alignments=a).fingerprint() for a in (start.alignments, swapped, moved)}
    assert len(prints) == 3


def test_the_transforms_at_hand_are_part_of_what_an_adaptive_training_is(exp, store, lang, monkeypatch):
    monkeypatch.setattr(sat, "climb", lambda stage, *rest: stage)
    matrix = np.eye(4, 5, dtype=np.float32)
    stages = [
        sat.train_sat(start_from(exp / "tri2", store, lang), Path("x"), None, None, t)
        for t in (None, {"s": matrix}, {"s": matrix + 1})
    ]
    assert len({str(stage.settings()) for stage in stages}) == 3


def test_converted_alignments_keep_phones_states_and_arcs(exp, store):
    mono, tri = load_model(exp / "mono"), load_model(exp / "tri1")
    alignments = load_alignments(exp / "mono", mono)
    old, new = mono.transition_model, tri.transition_model
    converted = convert_alignments(alignments, old, new)
    assert converted.ids == alignments.ids
    for table in ("phones", "hmm_states", "transition_indexes", "is_self_loop"):
        np.testing.assert_array_equal(
            getattr(new, table)[converted.transition_ids], getattr(old, table)[alignments.transition_ids]
        )
    np.testing.assert_array_equal(
        pdf_classes(new)[converted.transition_ids], pdf_classes(old)[alignments.transition_ids]
    )
    for _, ids in converted.items():
        phones, durations = phone_runs(ids, new)
        contexts = np.repeat(tri.tree.pad(phones.tolist()), durations, axis=0)
        np.testing.assert_array_equal(tri.tree.pdf_ids(contexts, pdf_classes(new)[ids]), new.pdf_ids[ids])
    back = convert_alignments(converted, new, old)
    np.testing.assert_array_equal(back.transition_ids, alignments.transition_ids)


def test_alignments_of_another_topology(exp):
    mono = load_model(exp / "mono")
    topology = HmmTopology.kaldi_default(list(mono.topology.phones), [], 2)
    other = TransitionModel(topology, dataclasses.replace(mono.tree))
    with pytest.raises(MismatchError, match="another HMM topology"):
        convert_alignments(load_alignments(exp / "mono", mono), mono.transition_model, other)


def test_a_mismatch_of_model_and_alignments_is_one_line(exp, store, lang, tmp_path):
    mono, tri = load_model(exp / "mono"), load_model(exp / "tri1")
    with pytest.raises(InputError, match="is not there. Align first"):
        load_alignments(tmp_path, mono)
    with pytest.raises(
        MismatchError,
        match=r"mono and .*tri1 were made from different versions of the tree \(.*\)\. Align again with this",
    ):
        load_alignments(exp / "mono", tri)
    strangers = CorpusAlignments.from_items([("nobody", np.ones(3, np.int32))])
    with pytest.raises(MismatchError, match="none of the aligned utterances"):
        Start(mono, strangers, store, lang)


def test_utterances_of_other_lengths_are_listed(exp, store, lang, tmp_path):
    mono = load_model(exp / "mono")
    alignments = load_alignments(exp / "mono", mono)
    items = [(u, ids[:-2] if u == store.ids[3] else ids) for u, ids in alignments.items()]
    short = dataclasses.replace(TRI, em=TriEmConfig(**{**PASSES, "num_passes": 3}))
    train_tri(Start(mono, CorpusAlignments.from_items(items), store, lang), tmp_path / "tri", short)
    frames = store.num_frames(store.ids[3])
    reason = f"{frames - 2} aligned frames for {frames} frames of features"
    assert (tmp_path / "tri" / "failed.txt").read_text() == f"{store.ids[3]} {reason}\n"


def test_transforms_know_what_they_were_made_for(tmp_path):
    path = tmp_path / "transforms.safetensors"
    save_transforms(path, {"x": np.eye(3, 4, dtype=np.float32)}, "a" * 64)
    np.testing.assert_array_equal(load_transforms(path, 3, "a" * 64)["x"], np.eye(3, 4))
    with pytest.raises(
        MismatchError,
        match=r"transforms\.safetensors and the model were made from different versions of the tree .* Estimate them",
    ):
        load_transforms(path, 3, "b" * 64)
    with pytest.raises(InputError, match=r"the transform of 'x' has shape \(3, 4\), wanted \(5, 6\)"):
        load_transforms(path, 5)


def test_too_few_frames_for_lda(exp, store, lang, tmp_path):
    start = start_from(exp / "tri1", store, lang)
    wide = dataclasses.replace(LDA, splice=SpliceConfig(300, 300))
    with pytest.raises(HybridError, match="wanted more frames than dimensions"):
        train_lda_mllt(start, tmp_path / "tri2", wide)


def test_adapted_alignment_feeds_the_next_adaptive_training(exp, store, lang, tmp_path):
    model = load_model(exp / "tri3")
    config = AlignAdaptedConfig(fmllr=FmllrConfig(min_speaker_frames=50))
    alignments = align_adapted(model, store, lang, tmp_path / "ali", config)
    assert sorted(alignments.ids) == sorted(store.ids)
    transforms = load_transforms(tmp_path / "ali" / "transforms.safetensors", 6, model.tree.content_hash())
    assert sorted(transforms) == ["s0", "s1", "s2"]
    start = Start(model, load_alignments(tmp_path / "ali", model), store, lang)
    short = dataclasses.replace(SAT, em=SatEmConfig(**{**PASSES, "num_passes": 3}, fmllr_passes=()))
    train_sat(start, tmp_path / "tri4", short, transforms=transforms)
    kept = load_transforms(tmp_path / "tri4" / "transforms.safetensors", 6)
    for speaker, matrix in transforms.items():
        np.testing.assert_array_equal(kept[speaker], matrix)


def test_a_speaker_with_one_second_of_speech_keeps_the_identity(exp, store, lang, tmp_path):
    model = load_model(exp / "tri3")
    align_adapted(model, store, lang, tmp_path / "ali", AlignAdaptedConfig(fmllr=FmllrConfig(min_speaker_frames=1e6)))
    for matrix in load_transforms(tmp_path / "ali" / "transforms.safetensors", 6).values():
        np.testing.assert_array_equal(matrix, np.eye(6, 7, dtype=np.float32))
