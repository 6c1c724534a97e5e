"""A synthetic language: words of two phones and silence, spoken as noisy states; a store and a lang folder of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.artifact import write_meta
from hybrid.base.config import write_config
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.store import FeatureStore
from hybrid.formats.tensors import save_arrays
from hybrid.hmm import HmmTopology
from hybrid.model.folder import load_model
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.mono import MonoConfig, train_mono
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang

CONFIG = FeatureConfig(num_ceps=5, sampling_rate=8000)
WORDS = {"AB": "a b", "BA": "b a", "A": "a", "B": "b", "<UNK>": "spn"}


def write_store(path: Path, utterances: dict[str, tuple[str, str, np.ndarray]]) -> FeatureStore:
    """Writes utterance → (speaker, text, features) as a feature store."""
    (path / "blocks").mkdir(parents=True)
    names = sorted(utterances)
    features = [np.asarray(utterances[n][2], np.float32) for n in names]
    (path / "blocks" / "00000.f32").write_bytes(b"".join(f.astype("<f4").tobytes() for f in features))
    offset, rows, stats = 0, [], {}
    for name, frames in zip(names, features):
        speaker, text, _ = utterances[name]
        rows.append(f"{name}\t{speaker}\t00000\t{offset}\t{len(frames)}\t{len(frames) * 0.01 + 0.015:.3f}\t{text}\n")
        offset += len(frames)
        if np.isfinite(frames).all():
            stats[speaker] = stats[speaker] + CmvnStats.of(frames) if speaker in stats else CmvnStats.of(frames)
    (path / "index.tsv").write_text("".join(rows), encoding="utf-8")
    speakers = sorted(stats)
    save_arrays(
        path / "cmvn.safetensors",
        {
            "speakers": np.frombuffer("\n".join(speakers).encode(), np.uint8),
            "counts": np.array([stats[s].count for s in speakers]),
            "sums": np.stack([stats[s].sums for s in speakers]),
            "squares": np.stack([stats[s].squares for s in speakers]),
        },
    )
    write_config(path / "config.yaml", CONFIG)
    write_meta(path, "features", facts={"digest": "d" * 64})
    return FeatureStore.open(path)


@pytest.fixture(scope="session")
def lang(tmp_path_factory) -> LangDir:
    folder = tmp_path_factory.mktemp("lang")
    dictionary = folder / "dict"
    dictionary.mkdir()
    (dictionary / "lexicon.txt").write_text("".join(f"{w} {p}\n" for w, p in WORDS.items()))
    (dictionary / "silence_phones.txt").write_text("sil\nspn\n")
    (dictionary / "optional_silence.txt").write_text("sil\n")
    (dictionary / "nonsilence_phones.txt").write_text("a\nb\n")
    (dictionary / "extra_questions.txt").write_text("")

    def topo(nonsilence: list[int], silence: list[int]) -> str:
        return HmmTopology.kaldi_default(nonsilence, silence).to_text()

    prepare_lang(dictionary, "<UNK>", folder / "lang", topo)
    return LangDir.load(folder / "lang")


@pytest.fixture(scope="session")
def speak() -> Callable[..., np.ndarray]:
    """Makes the features of a text: silence, phones of three states of a few frames each, silence."""

    def make(text: str, seed: int, noise: float = 0.5) -> np.ndarray:
        random = np.random.RandomState(seed)
        centres = np.random.RandomState(99).randn(3, 3, CONFIG.dim) * 3  # sil, a, b; three states
        frames: list[np.ndarray] = []
        for phone in ["sil", *" ".join(WORDS[w] for w in text.split()).split(), "sil"]:
            for state in range(3):
                centre = centres[{"sil": 0, "a": 1, "b": 2}[phone], 0 if phone == "sil" else state]
                frames += [centre] * random.randint(2, 5)
        return (np.array(frames) + noise * random.randn(len(frames), CONFIG.dim)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    random = np.random.RandomState(5)
    words = ["AB", "BA", "A", "B"]
    return {f"s{n % 3}-u{n:02d}": " ".join(random.choice(words, random.randint(1, 6))) for n in range(40)}


@pytest.fixture(scope="session")
def store(tmp_path_factory, texts, speak) -> FeatureStore:
    utterances = {u: (u.split("-")[0], t, speak(t, n)) for n, (u, t) in enumerate(sorted(texts.items()))}
    return write_store(tmp_path_factory.mktemp("feats") / "store", utterances)


@pytest.fixture(scope="session")
def make_store(tmp_path_factory) -> Callable[..., FeatureStore]:
    """Writes utterance → (speaker, text, features) somewhere new."""
    return lambda utterances: write_store(tmp_path_factory.mktemp("feats") / "store", utterances)


@pytest.fixture(scope="session")
def model(tmp_path_factory, store, lang):
    """A small monophone model of the store."""
    em = EmConfig(num_passes=6, last_mix_up_pass=4, total_gaussians=30, realign_passes=(1, 2, 3, 5))
    out = tmp_path_factory.mktemp("exp") / "mono"
    train_mono(store, lang, out, MonoConfig(em=em))
    return load_model(out)
