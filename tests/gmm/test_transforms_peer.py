"""LDA, MLLT and fMLLR beside Kaldi's programs, on the same random speech, model and alignments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.kaldi_io import read_matrices, read_matrix, write_int_vectors, write_matrices
from hybrid.gmm.adapt_config import FmllrConfig, LdaConfig
from hybrid.gmm.fmllr import FmllrStats, estimate_fmllr
from hybrid.gmm.kaldi_model import read_kaldi_model
from hybrid.gmm.lda import LdaStats, estimate_lda
from hybrid.gmm.mllt import MlltStats, estimate_mllt
from hybrid.tree import read_tree

pytestmark = pytest.mark.peer

DIM = 5


@pytest.fixture(scope="module")
def run(kaldi_bin):
    def call(program: str, *arguments: object) -> None:
        subprocess.run([kaldi_bin / program, *map(str, arguments)], capture_output=True, check=True)

    return call


@pytest.fixture(scope="module")
def setting(run, peers, tmp_path_factory):
    """Kaldi's model of a few Gaussians per pdf, and utterances of two speakers with one state a frame."""
    folder = tmp_path_factory.mktemp("peer")
    lang = peers / "lang_small" / "lang"
    sets = f"--shared-phones={lang / 'phones' / 'sets.int'}"
    run("gmm-init-mono", sets, lang / "topo", DIM, folder / "0", folder / "tree")
    run("gmm-boost-silence", "--binary=false", "--boost=1", "1", folder / "0", folder / "0.txt")
    model, _ = read_kaldi_model(folder / "0.txt", read_tree(folder / "tree"))
    random = np.random.default_rng(0)
    sounds = 2 * random.normal(size=(model.num_pdfs, DIM))
    mix = np.eye(DIM) + 0.3 * random.normal(size=(DIM, DIM))
    utterances, alignments, speakers = {}, {}, {}
    for number in range(12):
        speaker = f"s{number % 2}"
        ids = random.integers(1, model.num_transition_ids + 1, 300)
        x = sounds[model.pdf_ids[ids]] + random.choice([-1, 1], 300)[:, None] + random.normal(size=(300, DIM)) @ mix
        if speaker == "s1":
            x = 1.2 * x + 0.5
        utterances[f"{speaker}-{number:02d}"] = x.astype(np.float32)
        alignments[f"{speaker}-{number:02d}"] = ids.astype(np.int32)
        speakers.setdefault(speaker, []).append(f"{speaker}-{number:02d}")
    names = sorted(utterances)
    write_matrices(folder / "feats.ark", ((u, utterances[u]) for u in names))
    write_int_vectors(folder / "ali.ark", ((u, alignments[u]) for u in names))
    (folder / "spk2utt").write_text("".join(f"{s} {' '.join(u)}\n" for s, u in sorted(speakers.items())))
    feats, ali = f"ark:{folder / 'feats.ark'}", f"ark:{folder / 'ali.ark'}"
    for number in range(3):
        run("gmm-acc-stats-ali", folder / str(number), feats, ali, folder / "acc")
        few = "--min-gaussian-occupancy=3"
        run("gmm-est", few, "--mix-up=250", folder / str(number), folder / "acc", folder / str(number + 1))
    run("gmm-boost-silence", "--binary=false", "--boost=1", "1", folder / "3", folder / "3.txt")
    transitions, gmm = read_kaldi_model(folder / "3.txt", read_tree(folder / "tree"))
    run("ali-to-post", ali, f"ark:{folder / 'post.ark'}")
    return folder, transitions, gmm, utterances, alignments, speakers


@pytest.mark.parametrize("offset", ["false", "true"])
def test_lda(run, setting, offset):
    folder, transitions, _, utterances, alignments, _ = setting
    run("acc-lda", folder / "3", f"ark:{folder / 'feats.ark'}", f"ark:{folder / 'post.ark'}", folder / "lda.acc")
    whole = f"--write-full-matrix={folder / 'full.mat'}"
    run("est-lda", "--dim=3", f"--remove-offset={offset}", whole, folder / "lda.mat", folder / "lda.acc")
    stats = LdaStats.zeros(transitions.num_pdfs, DIM)
    for utterance, x in utterances.items():
        stats.accumulate(x, transitions.pdf_ids[alignments[utterance]])
    estimate = estimate_lda(stats, LdaConfig(dim=3, remove_offset=offset == "true"))
    for name, ours in (("lda.mat", estimate.matrix), ("full.mat", estimate.full)):
        theirs = read_matrix(folder / name)
        assert theirs.shape == ours.shape
        for their_row, our_row in zip(theirs, ours):
            sign = np.sign(their_row @ our_row)
            np.testing.assert_allclose(our_row, sign * their_row, rtol=1e-3, atol=2e-3)


def test_mllt(run, setting):
    folder, transitions, gmm, utterances, alignments, _ = setting
    run("gmm-acc-mllt", "--rand-prune=0", folder / "3", f"ark:{folder / 'feats.ark'}", f"ark:{folder / 'post.ark'}",
        folder / "mllt.acc")  # fmt: skip
    run("est-mllt", folder / "mllt.mat", folder / "mllt.acc")
    stats = MlltStats.zeros(DIM)
    for utterance, x in utterances.items():
        stats.accumulate(gmm, x, transitions.pdf_ids[alignments[utterance]])
    np.testing.assert_allclose(estimate_mllt(stats).matrix, read_matrix(folder / "mllt.mat"), rtol=2e-3, atol=2e-3)


def test_fmllr(run, setting):
    folder, transitions, gmm, utterances, alignments, speakers = setting
    out: Path = folder / "trans.ark"
    run("gmm-est-fmllr", f"--spk2utt=ark:{folder / 'spk2utt'}", folder / "3", f"ark:{folder / 'feats.ark'}",
        f"ark:{folder / 'post.ark'}", f"ark:{out}")  # fmt: skip
    theirs = dict(read_matrices(out))
    assert sorted(theirs) == ["s0", "s1"]
    for speaker, names in speakers.items():
        stats = FmllrStats.zeros(DIM)
        for utterance in names:
            stats.accumulate(gmm, utterances[utterance], transitions.pdf_ids[alignments[utterance]])
        ours = estimate_fmllr(stats, FmllrConfig(min_speaker_frames=500))
        np.testing.assert_allclose(ours.matrix, theirs[speaker], rtol=2e-3, atol=2e-3)
        assert ours.gain > 0
