"""A tiny recogniser of made-up words, for everything that needs audio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.hand_language import linear_graph, transition_model
from tests.spoken_states import lang, make_store, model, speak, store, texts

__all__ = ["lang", "linear_graph", "make_store", "model", "speak", "store", "texts", "toy", "transition_model"]

RATE = 8000
BANDS = {"ALFA": (300, 500), "BRAVO": (700, 950), "CHARLIE": (1200, 1500), "DELTA": (1900, 2300), "ECHO": (2800, 3500)}


def make_speech(words: list[str], seed: int, pause: float = 0.15) -> tuple[np.ndarray, list[float]]:
    """Words as bursts of band-limited noise between pauses: float32 at 8 kHz, and the start of each in seconds."""
    rng = np.random.default_rng(seed)
    parts, starts = [np.zeros(int(pause * RATE))], []
    for word in words:
        size = int(RATE * rng.uniform(0.25, 0.4))
        spectrum = np.fft.rfft(rng.normal(size=size))
        frequency = np.fft.rfftfreq(size, 1 / RATE)
        low, high = BANDS[word]
        spectrum[(frequency < low) | (frequency > high)] = 0
        burst = np.fft.irfft(spectrum, size)
        starts.append(sum(map(len, parts)) / RATE)
        parts += [0.2 * burst / np.abs(burst).max(), np.zeros(int(pause * RATE))]
    samples = np.concatenate(parts)
    return (samples + 0.002 * rng.normal(size=len(samples))).astype(np.float32), starts


@dataclass(frozen=True)
class Toy:
    """A model with its lang folder."""

    root: Path
    model: Path
    lang: Path

    def speech(self, words: str, seed: int = 1000) -> tuple[np.ndarray, list[float]]:
        return make_speech(words.split(), seed)

    def save(self, path: Path, words: str, seed: int = 1000, text: str | None = None, rate: int = RATE) -> list[float]:
        """Writes audio of the words, and a text beside it; returns the words' starts."""
        import soundfile

        samples, starts = self.speech(words, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(str(path), samples, rate, subtype="PCM_16")
        path.with_suffix(".txt").write_text((words if text is None else text) + "\n", encoding="utf-8")
        return starts

    def run(self, *arguments: object) -> Result:
        """hybrid align … in this process."""
        from hybrid.cli.main import command

        return CliRunner().invoke(command, ["align", *map(str, arguments)])

    def align(self, out: Path, *arguments: object) -> Result:
        return self.run("audio", "--model", self.model, "--lang", self.lang, "--out-dir", out, *arguments)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Five words, each one phone, and the out-of-vocabulary word."""
    from hybrid.cli.main import command

    root = tmp_path_factory.mktemp("toy")
    made = Toy(root, root / "mono", root / "lang")
    rng = np.random.default_rng(0)
    for i in range(40):
        words = " ".join(str(w) for w in rng.choice(list(BANDS), size=int(rng.integers(2, 6))))
        made.save(root / "audio" / "ann" / f"ann_{i:02d}.wav", words, i)
    folder = root / "dict"
    folder.mkdir()
    lexicon = "".join(f"{word} {word[0]}\n" for word in BANDS)
    (folder / "lexicon.txt").write_text(f"!SIL SIL\n<UNK> SPN\n{lexicon}")
    (folder / "nonsilence_phones.txt").write_text("".join(f"{word[0]}\n" for word in BANDS))
    (folder / "silence_phones.txt").write_text("SIL\nSPN\n")
    (folder / "optional_silence.txt").write_text("SIL\n")
    (folder / "extra_questions.txt").write_text("")
    (root / "mfcc.yaml").write_text("sampling_rate: 8000\nnum_mel_bins: 23\nlow_freq: 20\nhigh_freq: 3800\n")
    for line in (
        f"data from-audio {root}/audio --out-dir {root}/data --rate 8000",
        f"feats extract --cuts {root}/data --config {root}/mfcc.yaml --out-dir {root}/feats",
        f"lang prepare --dict-dir {folder} --oov <UNK> --out-dir {root}/lang",
        f"gmm train-mono --feats {root}/feats --lang {root}/lang --total-gaussians 60 --cmvn none --num-passes 8 "
        f"--last-mix-up-pass 5 --out-dir {root}/mono",
    ):
        result = CliRunner().invoke(command, line.split())
        assert result.exit_code == 0, (line, result.output, result.exception)
    return made
