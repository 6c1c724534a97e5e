"""Models as Kaldi's scripts keep them, there and back: LDA, splicing, deltas, CMVN, speaker-independent Gaussians."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.store import FeatureStore
from hybrid.feats.transform import LinearTransform
from hybrid.formats.kaldi_io import read_matrix, write_matrix
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.diag_gmm import DiagGmm
from hybrid.gmm.kaldi_folder import kaldi_files, read_kaldi_folder, write_kaldi_folder
from hybrid.model.folder import Model, load_model, save_model


def with_gmm(model: Model, dim: int, seed: int = 0, **changes) -> Model:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    pdfs = [
        DiagGmm(np.ones(1, np.float32), random.normal(size=(1, dim)).astype(np.float32), np.ones((1, dim), np.float32))
        for _ in range(model.tree.num_pdfs)
    ]
    return replace(model, acoustic_model=GmmAcousticModel(AmDiagGmm.from_pdfs(pdfs)), **changes)


def test_lda_splicing_and_a_second_model(tiny, tmp_path: Path) -> None:
    store, plain = FeatureStore.open(tiny.root / "feats_train"), load_model(tiny.model)
    matrix = np.random.default_rng(1).normal(size=(20, 13 * 7)).astype(np.float32)
    more = np.random.default_rng(2).normal(size=(20, 20)).astype(np.float32)
    pipeline = replace(plain.pipeline, delta_order=0, splice_left=3, splice_right=3, cmvn=CmvnConfig(norm_vars=True),
                       transforms=(LinearTransform("lda", matrix, 91), LinearTransform("mllt", more, 20)))  # fmt: skip
    other = with_gmm(plain, 20, 5, pipeline=pipeline).acoustic_model
    model = with_gmm(plain, 20, pipeline=pipeline, speaker_independent=other)
    write_kaldi_folder(tmp_path, model)
    assert {p.name for p in tmp_path.iterdir()} == set(kaldi_files(model))
    assert (tmp_path / "splice_opts").read_text() == "--left-context=3 --right-context=3\n"
    assert (tmp_path / "cmvn_opts").read_text() == "--norm-vars=true\n"
    back = read_kaldi_folder(tmp_path, store)
    static, stats = store.load(store.ids[0]), store.stats("ann")
    wanted = model.pipeline.apply(static, stats)
    np.testing.assert_allclose(back.pipeline.apply(static, stats), wanted, atol=1e-2, rtol=1e-3)
    for one, two in ((back.acoustic_model, model.acoustic_model), (back.speaker_independent, other)):
        frame = np.ones((1, 20), np.float32)
        np.testing.assert_allclose(one.gmm.log_likelihoods(frame), two.gmm.log_likelihoods(frame), rtol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(20, 91), (20, 92), (91, 91)])
def test_what_lda_rejected_goes_both_ways(tiny, tmp_path: Path, rows: int, columns: int) -> None:
    store, plain = FeatureStore.open(tiny.root / "feats_train"), load_model(tiny.model)
    full = np.random.default_rng(1).normal(size=(91, columns)).astype(np.float32)
    turn = np.random.default_rng(2).normal(size=(rows, rows)).astype(np.float32)
    steps = (LinearTransform("lda", full[:rows], 91, full[rows:]), LinearTransform("mllt", turn, rows))
    pipeline = replace(plain.pipeline, delta_order=0, splice_left=3, splice_right=3, transforms=steps)
    model = with_gmm(plain, rows, pipeline=pipeline)
    assert "full.mat" in kaldi_files(model)
    save_model(tmp_path / "ours", model)
    write_kaldi_folder(tmp_path / "kaldi", load_model(tmp_path / "ours"))
    final, whole = (read_matrix(tmp_path / "kaldi" / f"{name}.mat") for name in ("final", "full"))
    np.testing.assert_allclose(final, turn @ full[:rows], rtol=1e-4, atol=1e-4)
    # get-full-lda-mat wants as many columns, no more rows than columns, and puts final.mat's rows over its own
    assert whole.shape == (91, columns) and (whole[:rows] == final).all() and (whole[rows:] == full[rows:]).all()
    write_matrix(tmp_path / "kaldi" / "full.mat", full)  # Kaldi's own has LDA's rows there
    (one,) = read_kaldi_folder(tmp_path / "kaldi", store).pipeline.transforms
    assert (one.matrix == final).all() and one.rejected is not None and (one.rejected == full[rows:]).all()
    write_matrix(tmp_path / "kaldi" / "full.mat", full[:-1])
    with pytest.raises(InputError) as caught:
        read_kaldi_folder(tmp_path / "kaldi", store)
    assert str(caught.value) == (
        f"{tmp_path}/kaldi/full.mat: has shape (90, {columns}), wanted (91, {columns}), the whole of what final.mat "
        f"has {rows} rows of. Take both from one model, or leave full.mat out."
    )


def test_what_is_not_known_is_not_written(tiny, tmp_path: Path) -> None:
    plain, lda = load_model(tiny.model), np.random.default_rng(1).normal(size=(20, 91)).astype(np.float32)
    left_out, less = np.zeros((71, 91), np.float32), np.ones((5, 20), np.float32)
    known, unknown = LinearTransform("lda", lda, 91, left_out), LinearTransform("lda", lda, 91)
    for steps in ((unknown,), (known, LinearTransform("less", less, 20))):
        spliced = replace(plain.pipeline, delta_order=0, splice_left=3, splice_right=3, transforms=steps)
        model = with_gmm(plain, steps[-1].dim, pipeline=spliced)
        assert "final.mat" in kaldi_files(model) and "full.mat" not in kaldi_files(model)
    with pytest.raises(InputError, match=r"leaves out directions of shape \(5, 20\), wanted \(71, 91\)"):
        LinearTransform("lda", lda, 91, less)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        LinearTransform("lda", lda, 91, left_out * np.nan)


def test_deltas_and_what_does_not_fit(tiny, tmp_path: Path) -> None:
    store, model = FeatureStore.open(tiny.root / "feats_train"), load_model(tiny.model)
    write_kaldi_folder(tmp_path, model)
    assert (tmp_path / "delta_opts").read_text() == "--delta-order=2 --delta-window=2\n"
    assert (tmp_path / "cmvn_opts").read_text() == "--norm-means=false --norm-vars=false\n"
    back = read_kaldi_folder(tmp_path, store)
    assert back.pipeline.cmvn.kind == "none" and back.pipeline.dim == model.pipeline.dim
    (tmp_path / "delta_opts").write_text("--delta-order=1\n")
    with pytest.raises(InputError, match="final.mdl: takes 39 values per frame, these features and options give 26"):
        read_kaldi_folder(tmp_path, store)
    (tmp_path / "delta_opts").write_text("--delta-order=x\n")
    with pytest.raises(InputError, match="has --delta-order=x, wanted a number from 0"):
        read_kaldi_folder(tmp_path, store)
    odd = replace(model, pipeline=replace(model.pipeline, cmvn=CmvnConfig(kind="sliding")))
    with pytest.raises(InputError, match="has features that Kaldi's scripts do not know"):
        write_kaldi_folder(tmp_path / "odd", odd)


def test_a_network_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hybrid.cli.main import command

    result = CliRunner().invoke(command, ["gmm", "to-kaldi", "en-small", str(tmp_path / "out")])
    assert isinstance(result.exception, InputError) and "holds no GMM" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
