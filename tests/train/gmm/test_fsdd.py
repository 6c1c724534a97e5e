"""The whole ladder on a few real digits: the same bytes with one process, two, and again."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from hybrid.adapt.align_adapted import AlignAdaptedConfig, align_adapted
from hybrid.aligner.align_set import align_set
from hybrid.base.jobs import pool
from hybrid.feats.store import FeatureStore
from hybrid.gmm.adapt_config import FmllrConfig, LdaConfig
from hybrid.hmm import HmmTopology
from hybrid.model.folder import load_model
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.ladder import Start, load_alignments
from hybrid.train.gmm.ladder_config import LdaMlltEmConfig, SatEmConfig, TriEmConfig
from hybrid.train.gmm.lda_mllt import LdaMlltConfig, train_lda_mllt
from hybrid.train.gmm.mono import MonoConfig, train_mono
from hybrid.train.gmm.sat import SatTrainingConfig, train_sat
from hybrid.train.gmm.tri import TriConfig, train_tri
from hybrid.tree import TreeConfig
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang

pytestmark = [pytest.mark.real, pytest.mark.slow]
PASSES = {"num_passes": 6, "last_mix_up_pass": 4, "realign_passes": (3,)}
TREE = TreeConfig(max_leaves=40, threshold=100)
FMLLR = FmllrConfig(min_speaker_frames=200)


@pytest.fixture(scope="module")
def digits(corpora: Path, tmp_path_factory) -> tuple[FeatureStore, LangDir]:
    """Features of three speakers, each digit three times, and the lang folder of the recipe."""
    from hybrid.data.fsdd import prepare
    from hybrid.data.subset import SubsetConfig, subset_set
    from hybrid.feats.build import extract_features
    from hybrid.feats.config import FeatureConfig

    root = tmp_path_factory.mktemp("fsdd")
    prepare(corpora / "fsdd", root / "data")
    options = SubsetConfig(90, order="random", speakers=("jackson", "theo", "nicolas"))
    subset_set(root / "data" / "train", root / "few", options)
    config = FeatureConfig(sampling_rate=8000, high_freq=3800)
    recipe = Path(__file__).resolve().parents[3] / "egs" / "fsdd" / "local" / "dict"
    prepare_lang(recipe, "<UNK>", root / "lang", lambda a, b: HmmTopology.kaldi_default(a, b).to_text())
    return extract_features(root / "few", root / "feats", config), LangDir.load(root / "lang")


def climb(store: FeatureStore, lang: LangDir, exp: Path, executor: Executor | None) -> None:
    """Trains every stage, each from the alignments of the one below."""

    def start(name: str, adapted: bool = False) -> Start:
        model = load_model(exp / name)
        if adapted:
            align_adapted(model, store, lang, exp / f"{name}_ali", AlignAdaptedConfig(fmllr=FMLLR), executor)
        else:
            align_set(model, store, lang, exp / f"{name}_ali", executor=executor)
        return Start(model, load_alignments(exp / f"{name}_ali", model), store, lang)

    mono = EmConfig(num_passes=8, last_mix_up_pass=5, total_gaussians=150, realign_passes=(1, 2, 3, 5))
    train_mono(store, lang, exp / "mono", MonoConfig(em=mono), executor)
    tri = TriConfig(em=TriEmConfig(**PASSES, total_gaussians=150), tree=TREE)
    train_tri(start("mono"), exp / "tri1", tri, executor)
    em = LdaMlltEmConfig(mllt_passes=(2, 4), **PASSES, total_gaussians=150)
    train_lda_mllt(start("tri1"), exp / "tri2b", LdaMlltConfig(em=em, tree=TREE, lda=LdaConfig(dim=20)), executor)
    sat = SatTrainingConfig(em=SatEmConfig(fmllr_passes=(2, 4), **PASSES, total_gaussians=150), tree=TREE, fmllr=FMLLR)
    train_sat(start("tri2b"), exp / "tri3b", sat, executor)
    start("tri3b", adapted=True)


def content(exp: Path) -> dict[str, str]:
    """Returns file → hash, of everything but provenance (which holds times)."""
    files = (p for p in sorted(exp.rglob("*")) if p.is_file() and not p.name.endswith("meta.json"))
    return {str(p.relative_to(exp)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_ladder_gives_the_same_bytes_whatever_the_number_of_jobs(digits, tmp_path) -> None:
    store, lang = digits
    climb(store, lang, tmp_path / "one", None)
    with pool(2) as executor:
        climb(store, lang, tmp_path / "two", executor)
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert len(one) > 40 and one == two
    for name in ("mono", "tri1", "tri2b", "tri3b"):
        rows = [line.split("\t") for line in (tmp_path / "one" / name / "passes.tsv").read_text().splitlines()]
        scores = np.array([float(row[rows[0].index("log_likelihood")]) for row in rows[1:]])
        assert scores[-1] > scores[0] and (tmp_path / "one" / name / "failed.txt").read_text() == ""
