"""Alignment beside Kaldi's gmm-align-compiled, and training on real speech."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from hybrid.align.corpus_alignments import Aligner, align_corpus
from hybrid.align.texts import usable_texts
from hybrid.aligner.align_set import AlignSetConfig, align_set
from hybrid.formats.kaldi_io import read_int_vectors, write_matrices
from hybrid.formats.openfst import write_fst
from hybrid.gmm.kaldi_model import write_kaldi_model
from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
from hybrid.hmm import HmmTopology
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.mono import MonoConfig, train_mono
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang

SHORT = EmConfig(num_passes=10, last_mix_up_pass=6, total_gaussians=60, realign_passes=(1, 2, 3, 4, 6, 8))


@pytest.mark.peer
def test_kaldi_aligns_alike(store, lang, tmp_path, kaldi_bin):
    model = train_mono(store, lang, tmp_path / "mono", MonoConfig(em=SHORT))
    texts, _ = usable_texts(store, lang, store.ids)
    graphs, _ = compile_training_graphs(TrainingGraphCompiler(lang, model.transition_model), texts)
    with open(tmp_path / "graphs.ark", "wb") as archive:
        for utterance, fst in graphs.items():
            write_fst(tmp_path / "one.fst", fst)
            archive.write(f"{utterance} ".encode() + (tmp_path / "one.fst").read_bytes())
    write_kaldi_model(tmp_path / "final.mdl", model.transition_model, model.acoustic_model.gmm)
    write_matrices(tmp_path / "feats.ark", ((u, model.pipeline.features(store, u)) for u in store.ids))
    scales = ["--transition-scale=1.0", "--acoustic-scale=0.1", "--self-loop-scale=0.1", "--beam=10", "--retry-beam=40"]
    data = ["final.mdl", "ark:graphs.ark", "ark:feats.ark", "ark:kaldi.ali"]
    program = str(kaldi_bin / "gmm-align-compiled")
    done = subprocess.run([program, *scales, *data], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = dict(read_int_vectors(tmp_path / "kaldi.ali"))
    aligner = Aligner(model.acoustic_model, model.transition_model, model.pipeline)
    ours = align_corpus(aligner, store, graphs, store.ids)
    assert sorted(theirs) == sorted(ours.ids)
    same = sum(int((ours[u] == theirs[u]).sum()) for u in ours.ids)
    assert same >= 0.995 * ours.num_frames


@pytest.mark.real
def test_yesno_is_learnt(corpora, tmp_path):
    from hybrid.data.subset import SubsetConfig, subset_set
    from hybrid.data.yesno import prepare
    from hybrid.feats.build import extract_features
    from hybrid.feats.config import FeatureConfig

    prepare(corpora / "waves_yesno", tmp_path / "data")
    subset_set(tmp_path / "data" / "train", tmp_path / "few", SubsetConfig(12))
    store = extract_features(tmp_path / "few", tmp_path / "feats", FeatureConfig(sampling_rate=8000))
    words = {
        "lexicon.txt": "<UNK> SPN\nNO N\nYES Y\n",
        "silence_phones.txt": "SIL\nSPN\n",
        "optional_silence.txt": "SIL\n",
    }
    (tmp_path / "dict").mkdir()
    for name, text in {**words, "nonsilence_phones.txt": "N\nY\n", "extra_questions.txt": ""}.items():
        (tmp_path / "dict" / name).write_text(text)

    def topo(nonsilence: list[int], silence: list[int]) -> str:
        return HmmTopology.kaldi_default(nonsilence, silence).to_text()

    prepare_lang(tmp_path / "dict", "<UNK>", tmp_path / "lang", topo)
    lang = LangDir.load(tmp_path / "lang")
    model = train_mono(store, lang, tmp_path / "mono", MonoConfig(em=SHORT))
    rows = [line.split("\t") for line in (tmp_path / "mono" / "passes.tsv").read_text().splitlines()]
    scores = np.array([float(row[1]) for row in rows[1:]])
    assert scores[-1] > scores[0] + 5
    assert (np.diff(scores[1:]) > -1e-3).all()
    align_set(model, store, lang, tmp_path / "ali", AlignSetConfig(ctm=True))
    durations = [float(line.split()[3]) for line in (tmp_path / "ali" / "words.ctm").read_text().splitlines()[1:]]
    assert len(durations) == 8 * 12
    assert 0.2 < np.median(durations) < 0.7  # a word takes about half a second
