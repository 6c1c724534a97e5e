"""Monophone training on a synthetic language: it learns, it resumes, it says what failed."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import HybridError
from hybrid.base.jobs import pool
from hybrid.formats.kaldi_io import read_int_vectors
from hybrid.train.gmm import mono
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.mono import MonoConfig, train_mono

CONFIG = MonoConfig(em=EmConfig(num_passes=8, last_mix_up_pass=5, total_gaussians=40, realign_passes=(1, 2, 3, 5, 7)))
OUTPUTS = ("final.safetensors", "transitions", "tree", "topo", "config.yaml", "ali.gz", "failed.txt", "passes.tsv")


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, store, lang):
    out = tmp_path_factory.mktemp("exp") / "mono"
    return train_mono(store, lang, out, CONFIG), out


def test_it_learns_where_the_phones_are(trained, store, lang, texts):
    model, out = trained
    assert (out / "failed.txt").read_text() == ""
    assert not (out / "work").exists()
    rows = [line.split("\t") for line in (out / "passes.tsv").read_text().splitlines()]
    scores = [float(row[rows[0].index("log_likelihood")]) for row in rows[1:]]
    assert len(scores) == CONFIG.em.num_passes
    assert scores[-1] > scores[0] + 1
    # the speech phones of each alignment are those of the text, in 7 of 10 frames at the least where they were put
    alignments = dict(read_int_vectors(out / "ali.gz"))
    assert sorted(alignments) == sorted(texts)
    for utterance, ids in alignments.items():
        assert len(ids) == store.num_frames(utterance)
    names = [model.phones.symbol(p)[0] for p in model.transition_model.phones[alignments["s0-u00"]]]
    said = "".join({"AB": "ab", "BA": "ba", "A": "a", "B": "b"}[w] for w in texts["s0-u00"].split())
    starts = [n for n, previous in zip(names, ["", *names]) if n != previous]
    squeezed = "".join(c for c, previous in zip(said, " " + said) if c != previous)
    assert "".join(c for c in starts if c in "ab").replace("aa", "a").replace("bb", "b") in (said, squeezed)


def test_a_finished_training_is_not_done_again(trained, store, lang, monkeypatch):
    model, out = trained
    monkeypatch.setattr(mono, "run_em", lambda *a, **k: pytest.fail("trained again"))
    again = train_mono(store, lang, out, CONFIG)
    assert again.acoustic_model.gmm.content_hash() == model.acoustic_model.gmm.content_hash()


def test_jobs_change_no_byte(trained, store, lang, tmp_path):
    with pool(2) as executor:
        train_mono(store, lang, tmp_path / "mono", CONFIG, executor)
    assert content(tmp_path / "mono") == content(trained[1])


@pytest.mark.parametrize("stop_after", [0, 3, 6])
def test_stopped_anywhere_it_ends_with_the_same_bytes(trained, store, lang, tmp_path, monkeypatch, stop_after):
    saved = mono.save_state

    def save(path, state, identity):
        saved(path, state, identity)
        if state.next_pass > stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(mono, "save_state", save)
    with pytest.raises(KeyboardInterrupt):
        train_mono(store, lang, tmp_path / "mono", CONFIG)
    assert not (tmp_path / "mono" / "meta.json").exists()
    monkeypatch.setattr(mono, "save_state", saved)
    train_mono(store, lang, tmp_path / "mono", CONFIG)
    assert content(tmp_path / "mono") == content(trained[1])


@pytest.mark.slow
def test_sigkill_in_the_middle(trained, store, lang, tmp_path):
    script = f"""
        from pathlib import Path
        from hybrid.feats.store import FeatureStore
        from hybrid.train.gmm.config import EmConfig
        from hybrid.train.gmm.mono import MonoConfig, train_mono
        from lexicon.lang_dir import LangDir
        em = EmConfig(num_passes=8, last_mix_up_pass=5, total_gaussians=40, realign_passes=(1, 2, 3, 5, 7))
        store, lang = FeatureStore.open({str(store.path)!r}), LangDir.load({str(lang.path)!r})
        train_mono(store, lang, Path({str(tmp_path / "mono")!r}), MonoConfig(em=em))
    """
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environment)
    state = tmp_path / "mono" / "work" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train_mono(store, lang, tmp_path / "mono", CONFIG)
    assert content(tmp_path / "mono") == content(trained[1])


def test_other_settings_start_afresh(store, lang, tmp_path, caplog):
    short = dataclasses.replace(CONFIG, em=EmConfig(num_passes=3, last_mix_up_pass=2, total_gaussians=20))
    first = train_mono(store, lang, tmp_path / "mono", short)
    more = dataclasses.replace(short, em=EmConfig(num_passes=3, last_mix_up_pass=2, total_gaussians=30))
    second = train_mono(store, lang, tmp_path / "mono", more)
    assert second.acoustic_model.gmm.num_gaussians > first.acoustic_model.gmm.num_gaussians


def test_what_cannot_be_used_is_listed_with_its_reason(make_store, lang, speak, texts, tmp_path):
    utterances = {u: (u.split("-")[0], t, speak(t, n)) for n, (u, t) in enumerate(sorted(texts.items()))}
    bad = speak("AB", 1)
    bad[3, 2] = np.nan
    utterances["s0-empty"] = ("s0", "", speak("A", 2))
    utterances["s0-frame"] = ("s0", "AB BA", speak("A", 3)[:1])
    utterances["s0-nan"] = ("s0", "AB", bad)
    utterances["s1-oov"] = ("s1", "A WHAT B", speak("A A B", 4))
    store = make_store(utterances)
    model = train_mono(store, lang, tmp_path / "mono", CONFIG)
    failed = dict(line.split(" ", 1) for line in (tmp_path / "mono" / "failed.txt").read_text().splitlines())
    assert failed == {
        "s0-empty": "empty transcript",
        "s0-frame": "too short: 1 frames, the text needs at least 12",
        "s0-nan": "features hold NaN or infinity at frame 3",
    }
    assert np.isfinite(model.acoustic_model.gmm.gconsts).all()


def test_silence_only_can_be_aligned(trained, store, lang, speak):
    from hybrid.align.corpus_alignments import Aligner
    from hybrid.graph.training import TrainingGraphCompiler

    model, _ = trained
    aligner = Aligner(model.acoustic_model, model.transition_model, model.pipeline)
    compiler = TrainingGraphCompiler(lang, model.transition_model)
    features = aligner.features(store, "s0-u00")[:8]
    alignment = aligner.align(features, compiler([]))
    assert {p.label for p in alignment.phones(model.transition_model)} == {lang.optional_silence}


def test_a_set_without_text_is_refused(make_store, lang, speak, tmp_path):
    store = make_store({"a": ("s", "", speak("A", 0)), "b": ("s", "", speak("B", 0))})
    with pytest.raises(HybridError, match="none of 2 utterances has a transcript"):
        train_mono(store, lang, tmp_path / "mono", CONFIG)


def test_a_set_that_is_too_short_for_its_text_is_refused(make_store, lang, speak, tmp_path):
    store = make_store({f"u{n}": ("s", "AB AB AB", speak("A", n)[:5]) for n in range(3)})
    with pytest.raises(HybridError, match="no utterance can start training; the first of 3 failures, u0: too short"):
        train_mono(store, lang, tmp_path / "mono", CONFIG)


def test_digital_silence_is_refused(make_store, lang, tmp_path):
    store = make_store({f"u{n}": ("s", "A", np.zeros((30, 5))) for n in range(3)})
    with pytest.raises(HybridError, match=r"feature 0 has variance 0 over 90 frames. Is the audio digital silence\?"):
        train_mono(store, lang, tmp_path / "mono", CONFIG)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_passes": 1}, "num_passes is 1, wanted 2 to 1000"),
        ({"last_mix_up_pass": 50}, "last_mix_up_pass 50 lies outside 1 to 40"),
        ({"boost_silence": 0.0}, "boost_silence is 0, wanted more than 0"),
    ],
)
def test_settings_check_themselves(bad, message):
    with pytest.raises(ValueError, match=message):
        EmConfig(**bad)
