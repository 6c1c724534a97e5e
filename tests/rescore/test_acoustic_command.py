"""`hybrid rescore acoustic`: a model's own scores come back, another's decide, and what cannot be scored is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.agreement import Part, require_fit
from hybrid.base.artifact import read_meta
from hybrid.base.errors import InputError, MismatchError
from hybrid.decode.sources import FeatureFolder
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import expand
from hybrid.lattice.paths import nbest
from hybrid.model.folder import load_model
from hybrid.rescore.acoustic_arcs import rescore_by_phones
from tests.tiny_recogniser import Tiny, must, run


@pytest.fixture(scope="module")
def decoded(tiny: Tiny, tmp_path_factory) -> Path:
    """A decoding, and a model of another tree."""
    root = tmp_path_factory.mktemp("acoustic")
    must("decode", "--model", tiny.model, "--graph", tiny.graph, "--feats", tiny.feats, "--out-dir", root / "dec",
         "--lattice-beam", 12, "--beam", 16)  # fmt: skip
    must("gmm", "align", "--model", tiny.model, "--lang", tiny.root / "lang", "--feats", tiny.root / "feats_train",
         "--out-dir", root / "ali")  # fmt: skip
    must("gmm", "train-deltas", "--feats", tiny.root / "feats_train", "--lang", tiny.root / "lang", "--ali",
         root / "ali", "--model", tiny.model, "--max-leaves", 20, "--total-gaussians", 60, "--num-passes", 4,
         "--last-mix-up-pass", 2, "--out-dir", root / "tri")  # fmt: skip
    return root


def rescore(tiny: Tiny, decoded: Path, out: Path, new: Path, *rest: object):
    return run("rescore", "acoustic", decoded / "dec", out, "--old-model", tiny.model, "--new-model", new, *rest)


def test_the_own_scores_come_back(tiny: Tiny, decoded: Path, tmp_path: Path) -> None:
    done = rescore(tiny, decoded, tmp_path / "own.gz", tiny.model, "--feats", tiny.feats)
    assert done.exit_code == 0, done.exception
    first, again = (dict(read_compact_folder(p)) for p in (decoded / "dec", tmp_path / "own.gz"))
    assert list(first) == list(again) and len(first) == 10
    for name, compact in first.items():
        assert np.array_equal(compact.graph_scores, again[name].graph_scores)
        paths, others = (nbest(expand(one), 9, 0.1) for one in (compact, again[name]))  # arcs share scores otherwise
        assert [p.word_ids.tolist() for p in paths] == [p.word_ids.tolist() for p in others]
        assert [p.acoustic_score for p in paths] == pytest.approx([p.acoustic_score for p in others], rel=1e-5)


def test_a_model_of_another_tree(tiny: Tiny, decoded: Path, tmp_path: Path) -> None:
    done = rescore(tiny, decoded, tmp_path / "tri.gz", decoded / "tri", "--feats", tiny.feats)
    assert done.exit_code == 0, done.exception
    facts = read_meta(tmp_path / "tri.gz")["facts"]
    old, new = load_model(tiny.model), load_model(decoded / "tri")
    assert facts["acoustic_scale"] == new.acoustic_model.acoustic_scale and facts["frame_shift"] == 0.01
    source = FeatureFolder(str(tiny.feats))
    items, _ = source.utterances()
    scores = {item.id: np.asarray(one) for item, one in zip(items, source.scores(new, items))}
    first, scale = dict(read_compact_folder(decoded / "dec")), old.acoustic_model.acoustic_scale
    for name, found in read_compact_folder(tmp_path / "tri.gz"):
        wanted = rescore_by_phones(first[name], old.transition_model, new.transition_model, scores[name], scale)
        assert found.acoustic_scores == pytest.approx(wanted.acoustic_scores, rel=1e-5)


def test_what_has_no_scores_is_named(tiny: Tiny, decoded: Path, tmp_path: Path) -> None:
    entries = list(read_compact_folder(decoded / "dec"))
    write_lattices(tmp_path / "more.gz", [("stranger", entries[0][1]), *entries[1:]], compact=True)
    models = ("--old-model", tiny.model, "--new-model", tiny.model)
    out, scores = tmp_path / "out.gz", tmp_path / "scores"
    done = must("rescore", "acoustic", tmp_path / "more.gz", out, *models, "--feats", tiny.feats)
    assert f"{out}: 9 lattices" in done.output
    assert "stranger left out: is not among what is scored" in done.output
    scores.mkdir()
    np.save(
        scores / f"{entries[0][0]}.npy", np.zeros((3, load_model(tiny.model).transition_model.num_pdfs), np.float32)
    )
    none = rescore(tiny, decoded, out, tiny.model, "--scores", scores)
    assert isinstance(none.exception, InputError)
    assert "none of 10 lattices has scores. Give the same utterances' speech." in str(none.exception)
    assert "scores: 3 frames of" in none.output
    assert len(dict(read_compact_folder(out))) == 9, "the earlier archive stands"


def test_models_that_do_not_fit(tiny: Tiny, decoded: Path, tmp_path: Path) -> None:
    other = rescore(tiny, decoded, tmp_path / "o.gz", tiny.model, "--feats", tiny.feats, "--scores", tiny.feats)
    assert other.exit_code == 2 and "give one of --feats STORE, --cuts FILE, --scores SCORES" in other.output
    wrong = run("rescore", "acoustic", decoded / "dec", tmp_path / "o.gz", "--old-model", decoded / "tri",
                "--new-model", tiny.model, "--feats", tiny.feats)  # fmt: skip
    assert isinstance(wrong.exception, MismatchError) and "the tree" in str(wrong.exception)
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"<eps> 0\nSIL 1\n{name} 2\n")
    parts = [Part("model", name, phones=tmp_path / name) for name in ("a", "b")]
    with pytest.raises(
        MismatchError, match="phone 'a' is number 2, but absent from .* Give a model of the same phones"
    ):
        require_fit(*parts)
