"""Alignment of a set, scores on disk, and the commands around them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.align.config import AlignConfig
from hybrid.aligner import score_set
from hybrid.aligner.align_set import AlignSetConfig, align_set
from hybrid.aligner.score_set import ScoredBy, write_joint_scores, write_scores
from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError, MismatchError
from hybrid.base.jobs import pool
from hybrid.cli.gmm import command
from hybrid.formats.kaldi_io import read_int_vectors, read_matrices
from hybrid.model.folder import load_model


def test_a_set_is_aligned_and_timed(model, store, lang, tmp_path, texts):
    alignments = align_set(model, store, lang, tmp_path / "ali", AlignSetConfig(ctm=True))
    stored = dict(read_int_vectors(tmp_path / "ali" / "ali.gz"))
    assert sorted(stored) == sorted(texts)
    assert all(np.array_equal(stored[u], alignments[u]) for u in stored)
    words: dict[str, list[str]] = {}
    for line in (tmp_path / "ali" / "words.ctm").read_text().splitlines()[1:]:
        words.setdefault(line.split()[0], []).append(line.split()[4])
    assert {u: " ".join(w) for u, w in words.items()} == texts
    ends: dict[str, float] = {}
    for line in (tmp_path / "ali" / "phones.ctm").read_text().splitlines()[1:]:
        utterance, _, start, duration, _ = line.split()
        assert float(start) == pytest.approx(ends.get(utterance, 0.0), abs=0.011)
        ends[utterance] = float(start) + float(duration)
    assert all(ends[u] == pytest.approx(store.duration(u), abs=0.011) for u in texts)
    facts = read_meta(tmp_path / "ali")["facts"]
    assert (facts["utterances"], facts["failed"]) == (len(texts), 0)
    assert facts["tree"] == model.hashes["tree"]


def test_jobs_change_nothing(model, store, lang, tmp_path):
    align_set(model, store, lang, tmp_path / "one")
    with pool(2) as executor:
        align_set(model, store, lang, tmp_path / "two", executor=executor)
    assert (tmp_path / "one" / "ali.gz").read_bytes() == (tmp_path / "two" / "ali.gz").read_bytes()


def test_failures_are_listed_and_too_many_are_refused(model, make_store, lang, speak, tmp_path):
    utterances = {f"u{n}": ("s", "AB", speak("AB", n)) for n in range(5)}
    utterances["empty"] = ("s", "", speak("A", 9))
    utterances["frame"] = ("s", "AB AB", speak("A", 9)[:1])
    store = make_store(utterances)
    align_set(model, store, lang, tmp_path / "ali")
    assert (tmp_path / "ali" / "failed.txt").read_text() == (
        "empty empty transcript\nframe too short: 1 frames, the text needs at least 12\n"
    )
    with pytest.raises(HybridError, match="2 of 7 utterances could not be aligned; the first, empty: empty transcript"):
        align_set(model, store, lang, tmp_path / "ali2", AlignSetConfig(max_failed=0.1))


def test_a_lang_of_other_phones_is_refused(model, store, lang, tmp_path, forget_files):
    import shutil

    from lexicon.lang_dir import LangDir

    shutil.copytree(lang.path, tmp_path / "lang")
    forget_files(tmp_path / "lang")
    phones = tmp_path / "lang" / "phones.txt"
    phones.write_text(phones.read_text().replace("a_B", "x_B"))
    with pytest.raises(MismatchError, match=r"phone 'x_B' is number \d+, but absent from"):
        align_set(model, store, LangDir.load(tmp_path / "lang"), tmp_path / "ali")


def test_boosted_silence_takes_frames(model, store, lang, tmp_path):
    silent = []
    for boost in (1.0, 1e6):
        alignments = align_set(model, store, lang, tmp_path / f"{boost}", AlignSetConfig(AlignConfig(), boost))
        phones = model.transition_model.phones[alignments.transition_ids]
        silent.append(int((phones == lang.optional_silence).sum()))
    assert silent[1] > silent[0]


def test_scores_as_archive_and_as_folder(model, store, tmp_path):
    done, failed = write_scores(model, store, tmp_path / "scores.ark")
    assert (done, failed) == (len(store), 0)
    write_scores(model, store, tmp_path / "npy")
    for utterance, rows in read_matrices(tmp_path / "scores.ark"):
        assert rows.shape == (store.num_frames(utterance), model.tree.num_pdfs)
        assert np.array_equal(rows, np.load(tmp_path / "npy" / f"{utterance}.npy"))


def test_scores_without_their_record_can_be_made_again(model, store, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(score_set, "write_meta", full)
        write_scores(model, store, tmp_path / "npy")
    assert write_scores(model, store, tmp_path / "npy") == (len(store), 0)


def test_scores_of_nan_are_listed(model, make_store, speak, tmp_path):
    bad = speak("A", 1)
    bad[0, 0] = np.nan
    store = make_store({"bad": ("s", "A", bad), "good": ("s", "A", speak("A", 2))})
    assert write_scores(model, store, tmp_path / "npy") == (1, 1)
    assert (tmp_path / "npy" / "failed.txt").read_text().startswith("bad features: value 0 of frame 0 is nan")


def test_scores_of_several_models_are_added_up(model, store, tmp_path):
    write_scores(model, store, tmp_path / "one")
    parts = [ScoredBy(model, store, weight=0.25), ScoredBy(model, store, weight=0.5)]
    assert write_joint_scores(parts, tmp_path / "joint") == (len(store), 0)
    for utterance in store.ids:
        one, joint = (np.load(tmp_path / name / f"{utterance}.npy") for name in ("one", "joint"))
        np.testing.assert_allclose(joint, 0.75 * one, rtol=1e-5)
    meta = read_meta(tmp_path / "joint")
    assert meta["settings"] == {"weights": [0.25, 0.5]} and {"features 1", "model 2"} <= set(meta["inputs"])


def test_scores_of_different_trees_are_not_added(model, store, tmp_path):
    other = dataclasses.replace(model, hashes={**model.hashes, "tree": "0" * 64})
    with pytest.raises(MismatchError, match="scores the pdfs of another tree than"):
        write_joint_scores([ScoredBy(model, store), ScoredBy(other, store)], tmp_path / "joint")


def test_speakers_without_a_transform_are_listed(model, store, tmp_path):
    speaker = store.speaker(store.ids[0])
    matrix = np.eye(model.pipeline.dim, model.pipeline.dim + 1, dtype=np.float32)
    done, failed = write_joint_scores([ScoredBy(model, store, {speaker: matrix})], tmp_path / "joint")
    others = [u for u in store.ids if store.speaker(u) != speaker]
    assert failed == len(others) and done == len(store) - failed
    with pytest.raises(HybridError, match="no utterance could be scored; the first, .*: no transform for speaker"):
        write_joint_scores([ScoredBy(model, store, {"nobody": matrix})], tmp_path / "none")


def test_the_command_wants_one_of_each(model, store, tmp_path):
    from hybrid.cli.nnets.scores import scores

    given = ["--model", str(model.path), "--feats", str(store.path)]
    result = CliRunner().invoke(scores, [*given, "--out", str(tmp_path / "a.ark")])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(scores, [*given, "--weight", "1", "--weight", "2", "--out", str(tmp_path / "b.ark")])
    assert "1 --model, but 2 --weight: wanted one for each" in result.output


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_commands(model, store, lang, tmp_path):
    few = ["--num-passes", 3, "--last-mix-up-pass", 2, "--total-gaussians", 25]
    given = ["--feats", store.path, "--lang", lang.path]
    invoke("train-mono", *given, "--out-dir", tmp_path / "m", "--subset-shortest", 20, "--boost-silence", 1.25, *few)
    invoke("align", "--model", tmp_path / "m", *given, "--out-dir", tmp_path / "ali", "--ctm")
    assert (tmp_path / "ali" / "words.ctm").exists()
    output = invoke("info", tmp_path / "m", "--pdfs")
    assert "context_width 1" in output
    assert "feature_dim 15" in output
    assert "\n0 " in output and "sil/0" in output
    invoke("scores", "--model", tmp_path / "m", "--feats", store.path, "--out", tmp_path / "s.ark", "--text")
    invoke("copy", tmp_path / "m", tmp_path / "m" / "final.mdl")
    invoke("copy", tmp_path / "m" / "final.mdl", tmp_path / "again", "--feats", store.path)
    first, again = load_model(tmp_path / "m"), load_model(tmp_path / "again")
    assert first.acoustic_model.gmm.content_hash() == again.acoustic_model.gmm.content_hash()


def test_a_wrong_option_is_told_in_a_line(store, lang, tmp_path):
    given = ["train-mono", "--feats", str(store.path), "--lang", str(lang.path), "--out-dir", str(tmp_path)]
    result = CliRunner().invoke(command, [*given, "--beam", "-1"])
    assert result.exit_code == 2
    assert "--beam is -1, wanted more than 0" in result.output
