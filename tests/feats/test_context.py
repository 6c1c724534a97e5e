"""Deltas and splicing: by hand, by law, against Kaldi's programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.feats.context import add_deltas, delta_scales, splice
from hybrid.formats.kaldi_io import read_matrices, write_matrices


def test_scales_by_hand() -> None:
    scales = delta_scales(2, 2)
    np.testing.assert_allclose(scales[1], [-0.2, -0.1, 0, 0.1, 0.2], atol=1e-7)
    np.testing.assert_allclose(scales[2] * 100, [4, 4, 1, -4, -10, -4, 1, 4, 4], atol=1e-5)


def test_slope_of_a_ramp_and_of_a_parabola() -> None:
    t = np.arange(30, dtype=np.float32)
    found = add_deltas(np.stack([3 * t, t**2], axis=1), 2, 2)
    assert found.shape == (30, 6)
    np.testing.assert_allclose(found[4:-4, 2], 3, atol=1e-5)
    np.testing.assert_allclose(found[4:-4, 3], 2 * t[4:-4], atol=1e-4)
    np.testing.assert_allclose(found[4:-4, 5], 2, atol=1e-3)


def test_splice_by_hand() -> None:
    features = np.array([[1], [2], [3]], np.float32)
    assert splice(features, 1, 2).tolist() == [[1, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]]
    assert splice(features, 0, 0).tolist() == features.tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 12), st.integers(0, 3), st.integers(1, 3))
def test_shapes_and_constants(frames: int, order: int, window: int) -> None:
    found = add_deltas(np.full((frames, 2), 7, np.float32), order, window)
    assert found.shape == (frames, 2 * (order + 1))
    np.testing.assert_allclose(found[:, 2:], 0, atol=1e-4)
    assert splice(np.zeros((frames, 2), np.float32), 2, 3).shape == (frames, 12)


@pytest.mark.peer
def test_equals_kaldi(kaldi_bin: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    items = {f"u{n}": (random.standard_normal((n, 13)) * 20).astype(np.float32) for n in (1, 2, 5, 60)}
    write_matrices(tmp_path / "f.ark", items)

    def kaldi(*command: str) -> dict[str, np.ndarray]:
        program, *options = command
        arguments = [str(kaldi_bin / program), *options, f"ark:{tmp_path / 'f.ark'}", f"ark:{tmp_path / 'o.ark'}"]
        subprocess.run(arguments, check=True, capture_output=True)
        return dict(read_matrices(tmp_path / "o.ark"))

    for order, window in ((2, 2), (1, 3), (3, 1)):
        theirs = kaldi("add-deltas", f"--delta-order={order}", f"--delta-window={window}")
        for name, features in items.items():
            np.testing.assert_allclose(add_deltas(features, order, window), theirs[name], atol=2e-5)
    theirs = kaldi("splice-feats", "--left-context=3", "--right-context=1")
    for name, features in items.items():
        assert (splice(features, 3, 1) == theirs[name]).all()
