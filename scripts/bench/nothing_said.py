#!/usr/bin/env python3
"""Counts words where nothing is said, words lost where something is, and words that silence around speech changes.

    .venv/bin/python scripts/bench/nothing_said.py --model exp/mono --graph exp/mono/graph \
        --speech LibriSpeech/dev-clean LibriSpeech/test-other [--voices LibriSpeech/dev-clean] [--padded 50]

1. 20 clips of silence, hum, tones, white and pink noise and babble (six voices and more of `--voices`, one file a
   speaker), at -60 to -20 dB, 1 to 12 s: how many have a word.
2. `--utterances` files of `--speech`: how many the detection of speech or the filling of digital silence does not leave
   as they are; of these, how many have other words than without either.
3. `--padded` of them, the shortest: how many have other words behind and before 0 to 10 s of digital silence.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hybrid.data.audio import probe_audio, read_audio  # noqa: E402
from hybrid.data.find_audio import find_audio  # noqa: E402
from hybrid.feats.background import filled  # noqa: E402
from hybrid.feats.vad import VadConfig  # noqa: E402
from hybrid.model.recording import Recording  # noqa: E402
from hybrid.recogniser.recogniser import Recogniser  # noqa: E402

RATE = 16000
KINDS = ("silence", "hum", "tone", "white", "pink", "babble")
LEVELS = (-60, -50, -40, -30, -20)


def voices(folder: Path, count: int = 24) -> list[np.ndarray]:
    """Returns 12 s of one file of each of some speakers (folders), all equally loud."""
    first = {path.parent: path for _, path in reversed(find_audio([folder]))}
    found = [np.resize(read_audio(path, RATE)[0], 12 * RATE) for path in list(first.values())[:count]]
    return [voice / np.sqrt(np.mean(voice**2)) for voice in found]


def noise(kind: str, seconds: float, speakers: list[np.ndarray], seed: int) -> np.ndarray:
    """Returns a noise, float64 [N], of any level."""
    generator, count = np.random.default_rng(seed), int(seconds * RATE)
    t = np.arange(count) / RATE
    if kind == "silence":
        return np.zeros(count)
    if kind == "hum":
        mains = 50 if seed % 2 else 60
        return sum(np.sin(2 * np.pi * mains * k * t + k) / k for k in range(1, 12))
    if kind == "tone":
        return np.sin(2 * np.pi * generator.uniform(200, 3000) * t)
    if kind == "babble":
        chosen = generator.choice(len(speakers), min(6 + seed % 7, len(speakers)), replace=False)
        return sum(np.roll(speakers[i], int(generator.integers(12 * RATE)))[:count] for i in chosen)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    power = {"white": 0.0, "pink": 0.5}[kind]
    return np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** power, count)


def clips(speakers: list[np.ndarray], count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yields noises with what they are, the kinds in turn, float32 [N] as 16 bits hold them."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        level = LEVELS[(number + number // len(KINDS)) % len(LEVELS)]
        samples = noise(kind, 1.0 + 11.0 * (number * 7 % count) / count, speakers, number)
        size = float(np.sqrt(np.mean(samples**2)))
        samples = samples * 10 ** (level / 20) / size if size else samples
        yield f"{kind} at {level} dB, {len(samples) / RATE:.1f} s", np.round(samples * 32768).astype(np.float32) / 32768


def words_of(recogniser: Recogniser, samples: np.ndarray, rate: int) -> str:
    return recogniser.recognise(samples.astype(np.float32), rate).text


def words_in_noise(recogniser: Recogniser, speakers: list[np.ndarray], count: int) -> int:
    """Prints the clips that have words and returns how many have."""
    heard = 0
    for name, samples in clips(speakers, count):
        if text := words_of(recogniser, samples, RATE):
            print(f"  {name}: {text}")
            heard += 1
    return heard


def lost_words(plain: Recogniser, finding: Recogniser, files: list[Path]) -> tuple[int, int]:
    """Returns how many files detection or filling does not leave as they are, and how many have other words by it."""
    touched = other = 0
    for path in files:
        recording = Recording(None, path, vad=finding.vad, whole_within=finding.vad.max_length)
        parts = [recording.samples(s.start, s.end) for s in recording.chunks]
        is_whole = [(s.start, s.end) for s in recording.chunks] == [(0.0, recording.duration)]
        if is_whole and all(filled(part, recording.rate) is part for part in parts):
            continue
        touched += 1
        with patch("hybrid.model.recording.filled", lambda samples, rate: samples):
            one = plain.recognise(path).text
        two = finding.recognise(path).text
        if one != two:
            other += 1
            print(f"  {path.name}: '{one}' becomes '{two}'")
    return touched, other


def changed_by_silence(recogniser: Recogniser, files: list[Path], seed: int = 1) -> int:
    """Returns how many files have other words between digital silences than alone."""
    lengths, changed = random.Random(seed), 0
    for path in files:
        samples, rate = read_audio(path)
        before, behind = (np.zeros(int(lengths.uniform(0, 10) * rate), np.float32) for _ in range(2))
        one = words_of(recogniser, samples, rate)
        two = words_of(recogniser, np.concatenate([before, samples, behind]), rate)
        if one != two:
            changed += 1
            print(f"  {path.name}: '{one}' becomes '{two}'")
    return changed


def main() -> None:
    """Prints a line for each of the three counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--speech", type=Path, nargs="+", required=True, help="folders of real speech")
    parser.add_argument("--voices", type=Path, help="folder that babble is made of (default: the first of --speech)")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--utterances", type=int, default=300)
    parser.add_argument("--padded", type=int, default=50)
    options = parser.parse_args()
    finding = Recogniser.load(options.model, options.graph, adapt=False)
    plain = Recogniser(finding.system, VadConfig(said=False), adapt=False)
    files = [path for _, path in find_audio(options.speech)]
    files = random.Random(0).sample(files, min(options.utterances, len(files)))
    start = time.process_time()
    heard = words_in_noise(finding, voices(options.voices or options.speech[0]), options.clips)
    print(f"nothing said: {options.clips - heard} of {options.clips} clips have no word")
    touched, other = lost_words(plain, finding, files)
    print(f"speech: {touched} of {len(files)} utterances are not left as they are, {other} have other words by it")
    shortest = sorted(files, key=lambda path: probe_audio(path).duration)[: options.padded]
    changed = changed_by_silence(finding, shortest)
    print(f"silence around speech: {changed} of {len(shortest)} utterances have other words")
    print(f"{time.process_time() - start:.0f} CPU s")


if __name__ == "__main__":
    main()
