"""CMVN: by hand, by law, against the readable reference and Kaldi's programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.feats.cmvn import CmvnConfig, CmvnStats, normalise, sliding_cmvn
from hybrid.formats.kaldi_io import read_matrices, write_matrices


def random_features(frames: int, dim: int = 4, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((frames, dim)) * 3 + 10).astype(np.float32)


def test_by_hand() -> None:
    features = np.array([[1, 10], [3, 10]], np.float32)
    stats = CmvnStats.of(features)
    assert (stats.count, stats.mean.tolist(), stats.variance.tolist()) == (2, [2, 10], [1, 0])
    assert normalise(features, CmvnConfig(), stats).tolist() == [[-1, 0], [1, 0]]
    assert normalise(features, CmvnConfig(norm_vars=True), stats)[:, 0].tolist() == [-1, 1]
    assert normalise(features, CmvnConfig(kind="none"), None).tolist() == features.tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60))
def test_statistics_add_up(first: int, second: int) -> None:
    a, b = random_features(first, seed=first), random_features(second, seed=second + 100)
    total, together = CmvnStats.of(a) + CmvnStats.of(b), CmvnStats.of(np.concatenate([a, b]))
    np.testing.assert_allclose(total.to_matrix(), together.to_matrix(), rtol=1e-12)
    back = CmvnStats.from_matrix(total.to_matrix())
    assert back.count == total.count and (back.squares == total.squares).all()


def test_a_single_file_of_an_unknown_speaker() -> None:
    features = random_features(50)
    own = normalise(features, CmvnConfig(), None)
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
    prior = CmvnConfig(prior_mean=(9.0,) * 4, prior_var=(1.0,) * 4, prior_frames=50)
    mixed = normalise(features, prior, None)
    np.testing.assert_allclose(mixed, features - (features.mean(axis=0) + 9) / 2, atol=1e-4)
    fixed = normalise(features, CmvnConfig(fallback="prior", prior_mean=(9.0,) * 4, prior_var=(1.0,) * 4), None)
    np.testing.assert_allclose(fixed, features - 9, atol=1e-5)
    sliding = normalise(features, CmvnConfig(fallback="sliding"), None)
    assert (sliding == sliding_cmvn(features)).all()
    one_frame = normalise(features[:1], prior, None)
    assert np.isfinite(one_frame).all() and (one_frame != 0).all()


def slow_sliding(features: np.ndarray, window: int, min_window: int, center: bool, norm_vars: bool) -> np.ndarray:
    """The definition, one frame at a time."""
    total, out = len(features), []
    for t in range(total):
        start = t - window // 2 if center else t - window
        end = start + window if center else t + 1
        if start < 0:
            end, start = end - start, 0
        if not center and end > t:
            end = max(t + 1, min_window)
        if end > total:
            start, end = max(0, start - (end - total)), total
        part = features[start:end].astype(np.float64)
        value = features[t] - part.mean(axis=0)
        if norm_vars:
            value = value / np.sqrt(np.maximum(part.var(axis=0), 1e-10)) if len(part) > 1 else value * 0
        out.append(value)
    return np.array(out, np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(1, 40), st.integers(1, 40), st.booleans(), st.booleans())
def test_sliding_equals_its_readable_reference(
    frames: int, window: int, least: int, center: bool, variances: bool
) -> None:
    features = random_features(frames, seed=frames)
    least = min(least, window)
    fast = sliding_cmvn(features, window, least, center, variances)
    np.testing.assert_allclose(fast, slow_sliding(features, window, least, center, variances), atol=2e-3)


def test_sliding_over_a_short_utterance_is_the_mean() -> None:
    features = random_features(100)
    np.testing.assert_allclose(sliding_cmvn(features, 600), features - features.mean(axis=0), atol=1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("variances", [False, True])
def test_equals_kaldi(kaldi_bin: Path, tmp_path: Path, variances: bool) -> None:
    items = {"a1": random_features(70, 13, 1), "a2": random_features(30, 13, 2), "b1": random_features(5, 13, 3)}
    write_matrices(tmp_path / "f.ark", items)
    (tmp_path / "spk2utt").write_text("a a1 a2\nb b1\n")
    (tmp_path / "utt2spk").write_text("a1 a\na2 a\nb1 b\n")
    run = lambda *a: subprocess.run([str(kaldi_bin / a[0]), *a[1:]], check=True, capture_output=True)  # noqa: E731
    feats = f"ark:{tmp_path / 'f.ark'}"
    run("compute-cmvn-stats", f"--spk2utt=ark:{tmp_path / 'spk2utt'}", feats, f"ark:{tmp_path / 'c.ark'}")
    run("apply-cmvn", f"--norm-vars={str(variances).lower()}", f"--utt2spk=ark:{tmp_path / 'utt2spk'}",
        f"ark:{tmp_path / 'c.ark'}", feats, f"ark:{tmp_path / 'n.ark'}")  # fmt: skip
    stats = {"a": CmvnStats.of(items["a1"]) + CmvnStats.of(items["a2"]), "b": CmvnStats.of(items["b1"])}
    for speaker, matrix in read_matrices(tmp_path / "c.ark"):
        np.testing.assert_allclose(stats[speaker].to_matrix(), matrix, rtol=1e-6)
    for name, theirs in read_matrices(tmp_path / "n.ark"):
        ours = normalise(items[name], CmvnConfig(norm_vars=variances), stats[name[0]])
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_errors() -> None:
    stats = CmvnStats.of(random_features(5, 3))
    with pytest.raises(InputError, match="are of dimension 3, the features of 4"):
        normalise(random_features(5), CmvnConfig(), stats)
    with pytest.raises(InputError, match=r"have shape \(3, 3\), wanted \[2\]\[dimension \+ 1\]"):
        CmvnStats.from_matrix(np.zeros((3, 3)))
    with pytest.raises(InputError, match="fallback 'prior' has no prior_mean"):
        normalise(random_features(5), CmvnConfig(fallback="prior"), None)
    for bad in ({"kind": "x"}, {"fallback": "x"}, {"window": 0}, {"prior_mean": (1.0,)}):
        with pytest.raises(ValueError, match="wanted"):
            CmvnConfig(**bad)
