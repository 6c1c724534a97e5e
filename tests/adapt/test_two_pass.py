"""Two-pass decoding of the synthetic language: transforms of moved speakers are found, and words with them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.adapt import two_pass as adapted
from hybrid.adapt.two_pass import AdaptedSource, decode_adapted
from hybrid.base.errors import InputError, MismatchError
from hybrid.cli.decoding.decode import command as decode_command
from hybrid.data.utterance import Utterance
from hybrid.decode.decode_set import decode_corpus
from hybrid.decode.sources import FeatureFolder
from hybrid.decode.system import SystemSpec
from hybrid.formats.openfst import FstArrays
from hybrid.gmm.adapt_config import AdaptConfig, FmllrConfig
from hybrid.gmm.speaker_transforms import load_basis, load_transforms
from hybrid.graph.decoding import compile_decoding_graph
from hybrid.model.folder import load_model
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.gmm.ladder_config import SatEmConfig
from hybrid.train.gmm.mono import MonoConfig, train_mono
from hybrid.train.gmm.sat import SatTrainingConfig, train_sat
from hybrid.tree import TreeConfig

WORDS = ("AB", "BA", "A", "B")
FMLLR = FmllrConfig(min_speaker_frames=100)


@pytest.fixture(scope="module")
def system(tmp_path_factory, store, lang) -> SystemSpec:
    exp = tmp_path_factory.mktemp("fmllr")
    em = EmConfig(num_passes=6, last_mix_up_pass=4, total_gaussians=30, realign_passes=(1, 2, 3, 5))
    mono = train_mono(store, lang, exp / "mono", MonoConfig(em=em))
    passes = {"num_passes": 5, "last_mix_up_pass": 3, "total_gaussians": 30, "realign_passes": (3,)}
    settings = SatTrainingConfig(
        em=SatEmConfig(fmllr_passes=(2,), **passes),
        tree=TreeConfig(max_leaves=12, threshold=10, leaf_multiple=1),
        fmllr=FMLLR,
    )
    mono = load_model(exp / "mono")
    train_sat(Start(mono, load_alignments(exp / "mono", mono), store, lang), exp / "sat", settings)
    model = load_model(exp / "sat")
    labels = np.array([lang.words[w] for w in WORDS], np.int32)
    costs = np.full(len(WORDS), np.log(len(WORDS)), np.float32)
    loop = FstArrays(
        0, np.array([0, len(WORDS)]), labels, labels, np.zeros(len(WORDS), np.int32), costs, np.zeros(1, np.float32)
    )
    compile_decoding_graph(lang, loop, model.transition_model, exp / "graph")
    return SystemSpec(str(exp / "sat"), str(exp / "graph"), str(lang.path), engine="native")


@pytest.fixture(scope="module")
def moved(make_store, speak, texts):
    """A speaker unlike those of the training."""
    matrix = np.eye(5) + 0.25 * np.random.default_rng(1).normal(size=(5, 5))
    names = sorted(texts)[:24]
    return make_store(
        {f"new-{n:02d}": ("new", texts[u], speak(texts[u], 500 + n) @ matrix) for n, u in enumerate(names)}
    )


def test_adapted_passes_beat_the_first(system, moved, lang, tmp_path, monkeypatch):
    out = tmp_path / "decode"
    totals = decode_adapted(system, FeatureFolder(str(moved.path)), out, lang.silence_phones, fmllr=FMLLR)
    assert totals.done == len(moved.ids) and totals.failed == 0
    model = load_model(system.model_dir)
    for number in (1, 2):
        file = out.with_name(f"decode.transforms.{number}.safetensors")
        transforms = load_transforms(file, model.pipeline.dim, model.tree.content_hash())
        assert list(transforms) == ["new"] and not np.allclose(transforms["new"][:, :-1], np.eye(model.pipeline.dim))
    before, after = json.loads(out.with_name("decode.si").joinpath("decode.json").read_text()), totals
    assert before["done"] == after.done

    def likelihood(folder: Path) -> float:
        rows = [line.split("\t") for line in (folder / "utterances.tsv").read_text().splitlines()]
        return sum(float(row[rows[0].index("acoustic_score")]) for row in rows[1:])

    log_det = np.linalg.slogdet(transforms["new"][:, :-1])[1] * sum(moved.num_frames(u) for u in moved.ids)
    assert likelihood(out) + log_det > likelihood(out.with_name("decode.si"))

    finished = (out / "transcript.txt").read_bytes()
    called = []
    decode = adapted.decode_corpus
    monkeypatch.setattr(adapted, "decode_corpus", lambda *a: called.append(a[2]) or decode(*a))
    decode_adapted(system, FeatureFolder(str(moved.path)), out, lang.silence_phones, fmllr=FMLLR)
    assert called == [out]  # the passes before were not done again
    assert (out / "transcript.txt").read_bytes() == finished


def test_plain_decoding_takes_the_speaker_independent_model_and_says_so(system, moved, lang, tmp_path, caplog):
    model = load_model(system.model_dir)
    decode_corpus(system, FeatureFolder(str(moved.path)), tmp_path / "plain")
    decode_corpus(system, AdaptedSource(FeatureFolder(str(moved.path)), speaker_independent=True), tmp_path / "si")
    for name in ("transcript.txt", "utterances.tsv", "words.ctm"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "si" / name).read_bytes()
    (scores,) = FeatureFolder(str(moved.path)).scores(model, [Utterance("new-00")])
    np.testing.assert_array_equal(scores, model.unadapted.scores(model.pipeline.features(moved, "new-00")))
    given = [
        "--model",
        system.model_dir,
        "--graph",
        system.graph_dir,
        "--feats",
        moved.path,
        "--out-dir",
        tmp_path / "c",
    ]
    result = CliRunner().invoke(decode_command, [str(g) for g in given], catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "c" / "transcript.txt").read_bytes() == (tmp_path / "plain" / "transcript.txt").read_bytes()
    assert caplog.text.count("its speaker-independent model is used. `hybrid gmm decode-fmllr` estimates") == 1


def test_an_utterance_may_have_its_own_transform(system, moved, lang, tmp_path):
    settings = AdaptConfig(per_utterance=True)
    decode_adapted(
        system,
        FeatureFolder(str(moved.path)),
        tmp_path / "d",
        lang.silence_phones,
        settings,
        FmllrConfig(min_speaker_frames=40),
    )
    transforms = load_transforms(tmp_path / "d.transforms.2.safetensors", load_model(system.model_dir).pipeline.dim)
    assert sorted(transforms) == sorted(moved.ids)


def test_little_speech_takes_the_basis_and_less_keeps_the_identity(system, moved, lang, tmp_path):
    decode_adapted(
        system,
        FeatureFolder(str(moved.path)),
        tmp_path / "d",
        lang.silence_phones,
        fmllr=FmllrConfig(min_speaker_frames=1e6),
    )
    dim = load_model(system.model_dir).pipeline.dim
    transforms = load_transforms(tmp_path / "d.transforms.2.safetensors", dim)
    change = transforms["new"] - np.eye(dim, dim + 1)
    model = load_model(system.model_dir)
    basis = load_basis(Path(system.model_dir) / "fmllr_basis.safetensors", dim, model.tree.content_hash())
    assert 0 < len(basis.bases) <= 3  # speakers of the training
    assert np.abs(change).max() > 0.01
    (Path(system.model_dir) / "fmllr_basis.safetensors").rename(tmp_path / "basis")
    decode_adapted(
        system,
        FeatureFolder(str(moved.path)),
        tmp_path / "e",
        lang.silence_phones,
        fmllr=FmllrConfig(min_speaker_frames=1e6),
    )
    (tmp_path / "basis").rename(Path(system.model_dir) / "fmllr_basis.safetensors")
    transforms = load_transforms(tmp_path / "e.transforms.2.safetensors", dim)
    np.testing.assert_array_equal(transforms["new"], np.eye(dim, dim + 1))


def test_a_basis_of_other_features(system):
    with pytest.raises(InputError, match=r"holds bases of shape \(\d+, 15, 16\), wanted \[N\]\[4\]\[5\]"):
        load_basis(Path(system.model_dir) / "fmllr_basis.safetensors", 4)
    with pytest.raises(
        MismatchError, match=r"fmllr_basis.* and the model were made from different versions of the tree"
    ):
        load_basis(Path(system.model_dir) / "fmllr_basis.safetensors", 15, "b" * 64)


def test_a_model_without_gaussians(system, moved, lang, tmp_path, monkeypatch):
    model = load_model(system.model_dir)
    network = SimpleNamespace(
        num_pdfs=model.tree.num_pdfs, feature_dim=model.pipeline.dim, acoustic_scale=1.0, subsampling_factor=1
    )
    other = dataclasses.replace(model, acoustic_model=network)
    monkeypatch.setattr(adapted, "_model", lambda path: other)
    with pytest.raises(InputError, match="holds no GMM, which fMLLR needs"):
        decode_adapted(system, FeatureFolder(str(moved.path)), tmp_path / "d", lang.silence_phones)
