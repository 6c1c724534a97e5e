"""What training, adaptation and alignment do with data that nobody should have: one line each, and nothing lost."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.adapt.align_adapted import AlignAdaptedConfig, align_adapted
from hybrid.aligner.align_set import align_set
from hybrid.aligner.score_set import write_scores
from hybrid.base.errors import HybridError
from hybrid.base.jobs import WorkerPool
from hybrid.cli.gmm import command
from hybrid.formats.kaldi_io import read_int_vectors, read_matrices
from hybrid.gmm import MixConfig
from hybrid.gmm.adapt_config import FmllrConfig, LdaConfig
from hybrid.gmm.speaker_transforms import load_transforms
from hybrid.hmm import HmmTopology
from hybrid.model.folder import Model, load_model
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.gmm.ladder_config import LdaMlltEmConfig, SatEmConfig, SpliceConfig, TriEmConfig
from hybrid.train.gmm.lda_mllt import LdaMlltConfig, train_lda_mllt
from hybrid.train.gmm.mono import MonoConfig, train_mono
from hybrid.train.gmm.sat import SatTrainingConfig, train_sat
from hybrid.train.gmm.tri import TriConfig, train_tri
from hybrid.tree import TreeConfig
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang

MONO = MonoConfig(em=EmConfig(num_passes=5, last_mix_up_pass=3, total_gaussians=30, realign_passes=(1, 2, 3)))
PASSES = {"num_passes": 5, "last_mix_up_pass": 3, "total_gaussians": 30, "realign_passes": (3,)}
TREE = TreeConfig(max_leaves=12, threshold=10, leaf_multiple=1)
TRI = TriConfig(em=TriEmConfig(**PASSES), tree=TREE)
LDA = LdaMlltConfig(
    em=LdaMlltEmConfig(mllt_passes=(2,), **PASSES), tree=TREE, splice=SpliceConfig(1, 1), lda=LdaConfig(dim=6)
)
SAT = SatTrainingConfig(
    em=SatEmConfig(fmllr_passes=(2,), **PASSES), tree=TREE, fmllr=FmllrConfig(min_speaker_frames=150)
)
KEPT = "speaker kept unadapted: too little speech for a transform, or features that do not vary"


@pytest.fixture(scope="module")
def utterances(texts, speak):
    """Three speakers with enough speech, and one who said one word."""
    made = {u: (u.split("-")[0], t, speak(t, n)) for n, (u, t) in enumerate(sorted(texts.items()))}
    return {**made, "short-u0": ("short", "AB", speak("AB", 77))}


@pytest.fixture(scope="module")
def set_of_four(make_store, utterances):
    return make_store(utterances)


def start_from(folder: Path, store, lang) -> Start:
    model = load_model(folder)
    return Start(model, load_alignments(folder, model), store, lang)


@pytest.fixture(scope="module")
def mono(tmp_path_factory, set_of_four, lang) -> Path:
    out = tmp_path_factory.mktemp("bad") / "mono"
    train_mono(set_of_four, lang, out, MONO)
    return out


@pytest.fixture(scope="module")
def sat(mono, set_of_four, lang) -> Path:
    train_sat(start_from(mono, set_of_four, lang), mono.parent / "sat", SAT)
    return mono.parent / "sat"


def test_a_speaker_with_one_word_is_trained_on_unadapted_and_listed(sat, set_of_four, lang, tmp_path):
    assert (sat / "failed.txt").read_text() == f"short {KEPT}\n"
    transforms = load_transforms(sat / "transforms.safetensors", 15)
    assert sorted(transforms) == ["s0", "s1", "s2", "short"]
    for speaker, matrix in transforms.items():
        assert np.array_equal(matrix, np.eye(15, 16)) == (speaker == "short")
    assert sorted(dict(read_int_vectors(sat / "ali.gz"))) == sorted(set_of_four.ids)
    config = AlignAdaptedConfig(fmllr=SAT.fmllr)
    alignments = align_adapted(load_model(sat), set_of_four, lang, tmp_path / "ali", config)
    assert sorted(alignments.ids) == sorted(set_of_four.ids) and not alignments.failures
    assert (tmp_path / "ali" / "failed.txt").read_text() == f"short {KEPT}\n"


def test_features_that_repeat_each_other_stop_lda_and_leave_speakers_unadapted(make_store, utterances, lang, tmp_path):
    doubled = {u: (s, t, np.concatenate([x[:, :4], x[:, 3:4]], axis=1)) for u, (s, t, x) in utterances.items()}
    store = make_store(doubled)
    train_mono(store, lang, tmp_path / "mono", MONO)
    start = start_from(tmp_path / "mono", store, lang)
    with pytest.raises(HybridError) as caught:
        train_lda_mllt(start, tmp_path / "tri2", LDA)
    assert str(caught.value) == (
        "LDA: the covariance within classes is singular (3 of 15 directions do not vary). "
        "Remove constant or repeated features, or use more data"
    )
    assert not (tmp_path / "tri2" / "meta.json").exists()
    model = train_sat(start, tmp_path / "sat", SAT)
    lines = (tmp_path / "sat" / "failed.txt").read_text().splitlines()
    assert lines == [f"{speaker} {KEPT}" for speaker in ("s0", "s1", "s2", "short")]
    assert np.isfinite(model.acoustic_model.gmm.gconsts).all()


def test_two_classes_leave_lda_one_direction_and_it_says_so(make_store, speak, lang, tmp_path, caplog):
    folder = tmp_path / "dict"
    folder.mkdir()
    files = {"lexicon": "A a\n<UNK> spn\n", "silence_phones": "sil\nspn\n", "optional_silence": "sil\n"}
    for name, text in {**files, "nonsilence_phones": "a\n", "extra_questions": ""}.items():
        (folder / f"{name}.txt").write_text(text)
    prepare_lang(folder, "<UNK>", tmp_path / "lang", lambda a, b: HmmTopology.kaldi_default(a, b, 2).to_text())
    store = make_store({f"s{n % 2}-{n:02d}": (f"s{n % 2}", "A A A", speak("A A A", n)) for n in range(24)})
    small = LangDir.load(tmp_path / "lang")
    train_mono(store, small, tmp_path / "mono", MONO)
    model = train_lda_mllt(start_from(tmp_path / "mono", store, small), tmp_path / "tri2", LDA)
    assert "LDA: 2 classes separate at most 1 of 6 dimensions; the rest are arbitrary directions" in caplog.text
    assert model.pipeline.dim == 6 and (tmp_path / "tri2" / "failed.txt").read_text() == ""
    (transform,) = model.pipeline.transforms
    assert transform.rejected is not None and transform.rejected.shape == (9, 15)  # what LDA left out, through MLLT
    assert load_model(tmp_path / "tri2").pipeline.transforms == (transform,)


def test_phones_never_seen_are_named_once_and_keep_a_model(mono, set_of_four, lang, tmp_path, caplog):
    train_mono(set_of_four, lang, tmp_path / "mono", MONO)
    train_tri(start_from(mono, set_of_four, lang), tmp_path / "tri1", TRI)
    told = [r.getMessage() for r in caplog.records if "not heard in training" in r.getMessage()]
    assert len(told) == 2  # one line for each training
    for line in told:
        assert line == (
            "5 phones were not heard in training and keep the Gaussians that they began with: spn spn_B spn_E spn_I "
            "spn_S. Words with these phones will not be recognised well; add speech that has them, or take them out "
            "of the lexicon."
        )
    for folder in ("mono", "tri1"):
        gmm = load_model(tmp_path / folder).acoustic_model.gmm
        assert np.isfinite(gmm.gconsts).all() and (np.diff(gmm.row_splits) >= 1).all()
    assert "tree: no frames of 11 phones" in caplog.text  # position variants that are no words either


def test_a_state_that_starves_keeps_its_gaussian(mono, make_store, speak, texts, lang, tmp_path):
    """B is said once: fewer frames than a Gaussian needs, so its states stay what the flat start made of them."""
    few = {f"u{n:02d}": (f"s{n % 2}", "A", speak("A A", n)[:24]) for n in range(12)}
    store = make_store({**few, "u99": ("s0", "B", speak("B", 99))})
    model = train_mono(store, lang, tmp_path / "mono", MONO)
    assert (tmp_path / "mono" / "failed.txt").read_text() == ""
    gmm, transitions = model.acoustic_model.gmm, model.transition_model
    starved = np.unique(transitions.pdf_ids[1:][transitions.phones[1:] == lang.phones["b_S"]])
    assert (np.diff(gmm.row_splits)[starved] == 1).all() and np.isfinite(gmm.gconsts).all()
    rows = [line.split("\t") for line in (tmp_path / "mono" / "passes.tsv").read_text().splitlines()]
    assert sorted(dict(read_int_vectors(tmp_path / "mono" / "ali.gz"))) == sorted(store.ids) and len(rows) == 6


def test_gaussians_that_cannot_be_given_out_are_told_once(mono, set_of_four, lang, tmp_path, caplog):
    greedy = dataclasses.replace(TRI, em=TriEmConfig(**{**PASSES, "total_gaussians": 4000}), mix=MixConfig())
    train_tri(start_from(mono, set_of_four, lang), tmp_path / "tri1", greedy)
    told = [r.getMessage() for r in caplog.records if "could be given out" in r.getMessage()]
    assert len(told) == 1
    assert "Gaussians could be given out (of 4000 in the end): a pdf needs more than 20 frames for each" in told[0]


class DyingPool(WorkerPool):
    """A pool one of whose workers is killed in the middle of the work, every `every` pieces."""

    def __init__(self, jobs: int, folder: Path, every: int) -> None:
        super().__init__(jobs)
        self.folder, self.every, self.count = folder, every, 0

    def submit(self, fn, /, *args, **kwargs):
        self.count += 1
        if self.count % self.every == 0:
            fn = functools.partial(_die_once, str(self.folder / f"died{self.count}"), fn)
        return super().submit(fn, *args, **kwargs)


def _die_once(mark, fn, *args, **kwargs):
    if not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return fn(*args, **kwargs)


@pytest.mark.slow
def test_workers_that_die_change_no_byte_of_a_training(mono, sat, set_of_four, lang, tmp_path):
    (tmp_path / "marks").mkdir()
    with DyingPool(2, tmp_path / "marks", every=9) as executor:
        train_mono(set_of_four, lang, tmp_path / "mono", MONO, executor)
        train_sat(start_from(tmp_path / "mono", set_of_four, lang), tmp_path / "sat", SAT, executor)
    assert len(list((tmp_path / "marks").iterdir())) >= 3
    for folder in (mono, sat):
        for name in ("final.safetensors", "transitions", "tree", "ali.gz", "failed.txt", "passes.tsv"):
            assert (folder / name).read_bytes() == (tmp_path / folder.name / name).read_bytes(), name
    for name in ("transforms.safetensors", "fmllr_basis.safetensors"):
        assert (sat / name).read_bytes() == (tmp_path / "sat" / name).read_bytes(), name


def unadapted_of(model: Model) -> Model:
    return dataclasses.replace(model, acoustic_model=model.speaker_independent, speaker_independent=None)


def test_unadapted_features_are_scored_by_the_speaker_independent_model(sat, set_of_four, lang, tmp_path, caplog):
    model = load_model(sat)
    align_set(model, set_of_four, lang, tmp_path / "ali")
    assert caplog.text.count("no transforms are at hand: its speaker-independent model is used") == 1
    assert "`hybrid gmm align-fmllr` estimates transforms and is more accurate." in caplog.text
    align_set(unadapted_of(model), set_of_four, lang, tmp_path / "independent")
    assert caplog.text.count("no transforms are at hand") == 1
    assert (tmp_path / "ali" / "ali.gz").read_bytes() == (tmp_path / "independent" / "ali.gz").read_bytes()
    write_scores(model, set_of_four, tmp_path / "scores.ark")
    utterance, rows = next(iter(read_matrices(tmp_path / "scores.ark")))
    features = model.pipeline.features(set_of_four, utterance)
    np.testing.assert_array_equal(rows, unadapted_of(model).scores(features))
    assert not np.allclose(rows, model.scores(features))
    assert model.unadapted.unadapted is model.unadapted  # nothing left to replace


def test_command_that_aligns_says_it_too(sat, set_of_four, lang, tmp_path, caplog):
    given = ["--model", sat, "--feats", set_of_four.path, "--lang", lang.path, "--out-dir", tmp_path / "ali"]
    result = CliRunner().invoke(command, ["align", *map(str, given)], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"{sat} was trained on features adapted to each speaker" in caplog.text
