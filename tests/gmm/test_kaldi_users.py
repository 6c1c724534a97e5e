"""docs/kaldi.md: from feats.scp, a lang folder and an ARPA to a model that Kaldi's programs decode with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import read_matrix
from tests.pages import Page, run_line, shell_lines
from tests.tiny_recogniser import Tiny, must

SMALL = {  # for 30 utterances of three words
    "train-mono": "--total-gaussians 40 --num-passes 8 --last-mix-up-pass 5",
    "train-lda-mllt": "--max-leaves 12 --total-gaussians 30 --num-passes 6 --last-mix-up-pass 3 --dim 12",
    "train-sat": "--max-leaves 12 --total-gaussians 30 --num-passes 4 --last-mix-up-pass 2 --min-speaker-frames 50",
    "decode-fmllr": "--min-speaker-frames 50",
}


@pytest.fixture(scope="module")
def place(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's commands ran, with fewer Gaussians."""
    root = tmp_path_factory.mktemp("kaldi")
    train = root / "kaldi/data/train"
    train.mkdir(parents=True)
    store = FeatureStore.open(tiny.root / "feats_train")
    must("feats", "copy", tiny.root / "feats_train", "--out", root / "feats.ark", "--scp", train / "feats.scp")
    speakers = {u: f"s{i % 3}" for i, u in enumerate(store.ids)}
    (train / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in speakers.items()))
    (train / "text").write_text("".join(f"{u} {' '.join(store.text(u))}\n" for u in store.ids))
    shutil.copytree(tiny.root / "lang", root / "kaldi/data/lang")
    (root / "text.txt").write_text("".join(f"{' '.join(store.text(u))}\n" for u in store.ids))
    must("lm", "train", root / "text.txt", "--order", 2, "--smoothing", "witten-bell", "--out", root / "kaldi/lm.arpa")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (block,) = Page("docs/kaldi.md").blocks("shell")
        for line in shell_lines(block):
            more = next((options for name, options in SMALL.items() if f" {name} " in line), "")
            result = run_line(f"{line} {more}")
            assert result.exit_code == 0, (line, result.output, result.exception)
    return root


def read_words(path: Path) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in path.read_text().splitlines()}


def test_a_folder_with_feats_scp_only_is_trained_on_and_decoded(place: Path) -> None:
    said, heard = (read_words(place / name) for name in ("kaldi/data/train/text", "exp/tri3b/decode/transcript.txt"))
    assert sum(said[u] == heard[u] for u in said) >= 0.9 * len(said)


def test_full_mat_goes_along_from_lda_through_sat(place: Path) -> None:
    final, full = (read_matrix(place / f"kaldi/exp/tri3b/{name}.mat") for name in ("final", "full"))
    assert final.shape == (12, full.shape[1]) and full.shape[0] == full.shape[1]
    assert (full[:12] == final).all() and np.linalg.matrix_rank(full) == len(full)


@pytest.mark.peer
def test_kaldis_programs_decode_to_the_same_words(place: Path, kaldi_bin: Path) -> None:
    model, train, graph = place / "kaldi/exp/tri3b", place / "kaldi/data/train", place / "exp/tri3b/graph"
    utterances = read_words(train / "utt2spk")
    speakers: dict[str, list[str]] = {}
    for utterance, (speaker,) in utterances.items():
        speakers.setdefault(speaker, []).append(utterance)
    (train / "spk2utt").write_text("".join(f"{s} {' '.join(us)}\n" for s, us in sorted(speakers.items())))

    def shell(line: str) -> None:
        subprocess.run(["bash", "-c", f"set -euo pipefail; export PATH={kaldi_bin}:$PATH; {line}"], check=True,
                       cwd=train, capture_output=True)  # fmt: skip

    cmvn, splice = ((model / name).read_text().strip() for name in ("cmvn_opts", "splice_opts"))
    shell("compute-cmvn-stats --spk2utt=ark:spk2utt scp:feats.scp ark:cmvn.ark")
    shell(f"apply-cmvn {cmvn} --utt2spk=ark:utt2spk ark:cmvn.ark scp:feats.scp ark:- "
          f"| splice-feats {splice} ark:- ark:- "
          f"| transform-feats {model}/final.mat ark:- ark:- "
          f"| transform-feats --utt2spk=ark:utt2spk ark:{model}/trans.1 ark:- ark:adapted.ark")  # fmt: skip
    shell("gmm-latgen-faster --beam=13 --max-active=7000 --lattice-beam=6 --acoustic-scale=0.083333 "
          f"{model}/final.mdl {graph}/HCLG.fst ark:adapted.ark ark:/dev/null ark,t:words.int")  # fmt: skip
    table = read_words(graph / "words.txt")
    names = {number[0]: word for word, number in table.items()}
    theirs = {u: [names[i] for i in ids if names[i] != "!SIL"] for u, ids in read_words(train / "words.int").items()}
    assert theirs == read_words(place / "exp/tri3b/decode/transcript.txt")
