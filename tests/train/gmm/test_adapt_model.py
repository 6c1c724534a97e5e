"""MAP and MLLR on a synthetic speaker whose cepstra are spread and turned: the model moves, its graphs stay."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.aligner.align_set import align_set
from hybrid.base.artifact import read_meta
from hybrid.cli.gmm import command
from hybrid.gmm.adapt_config import MapConfig, MllrConfig
from hybrid.model.folder import load_model
from hybrid.train.gmm.adapt_model import adapt_map, adapt_mllr


@pytest.fixture(scope="module")
def stranger(make_store, speak):
    turn = np.eye(5) * 1.1 + 0.04 * np.random.RandomState(7).randn(5, 5)
    texts = ["AB BA", "A B AB", "BA", "B A", "AB A BA B"]
    return make_store({f"x-{n}": ("x", text, speak(text, 100 + n) @ turn) for n, text in enumerate(texts)})


@pytest.fixture(scope="module")
def alignments(tmp_path_factory, model, stranger, lang):
    return align_set(model, stranger, lang, tmp_path_factory.mktemp("ali") / "ali")


@pytest.mark.parametrize("method", ["map", "mllr"])
def test_adaptation_makes_the_data_likelier_and_keeps_the_tree(
    method, model, stranger, alignments, lang, tmp_path
) -> None:
    if method == "map":
        adapt_map(model, alignments, stranger, tmp_path / "new", MapConfig(mean_tau=5.0))
    else:
        adapt_mllr(model, alignments, stranger, lang, tmp_path / "new", MllrConfig(max_classes=2, min_count=50))
    facts = read_meta(tmp_path / "new")["facts"]
    assert facts["log_likelihood_per_frame"] > facts["log_likelihood_per_frame_before"] + 0.1
    adapted = load_model(tmp_path / "new")
    assert adapted.hashes == model.hashes
    assert np.array_equal(adapted.transition_model.log_probs, model.transition_model.log_probs)
    again = align_set(adapted, stranger, lang, tmp_path / "ali")
    assert again.log_likelihood > alignments.log_likelihood


def test_too_little_data_for_mllr_is_said(model, stranger, alignments, lang, tmp_path, caplog) -> None:
    adapted = adapt_mllr(model, alignments, stranger, lang, tmp_path / "new", MllrConfig(min_count=1e6))
    assert "the model stays as it was" in caplog.text
    assert np.allclose(adapted.acoustic_model.gmm.means, model.acoustic_model.gmm.means, atol=1e-5)


def test_commands(model, stranger, lang, tmp_path) -> None:
    def run(*words: object) -> None:
        result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    shared = ["--model", model.path, "--feats", stranger.path]
    run("align", *shared, "--lang", lang.path, "--out-dir", tmp_path / "ali")
    shared += ["--ali", tmp_path / "ali"]
    run("adapt-map", *shared, "--out-dir", tmp_path / "one")
    run("adapt-map", *shared, "--out-dir", tmp_path / "two", "--jobs", 2)
    run("adapt-mllr", *shared, "--lang", lang.path, "--min-count", 50, "--out-dir", tmp_path / "mllr")
    weights = [(tmp_path / name / "final.safetensors").read_bytes() for name in ("one", "two", "mllr")]
    assert weights[0] == weights[1] != weights[2]
