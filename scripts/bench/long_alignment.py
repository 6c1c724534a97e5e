#!/usr/bin/env python3
"""Measures alignment of a long recording against that of its utterances one by one, with the same model.

    .venv/bin/python scripts/bench/long_alignment.py --cuts data/train/cuts.jsonl.gz --model exp/tri2b \
        --lang data/lang [--minutes 60] [--g2p g2p.arpa.gz]

Utterances of a corpus, in the order of its manifest, are joined to one file with pauses of 0.3 to 1.5 s (noise at the
level of the quietest frames before them); `hybrid align audio` gets that file and its text, without any mark of where
utterances begin. Prints the share of word starts within 0.2 s of those found utterance by utterance, the largest
difference, CPU seconds and peak memory. Words that are absent on the long side count as wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

NEAR, FAR = 0.2, 2.0  # seconds
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
Words = list[tuple[str, float]]  # words with their starts in seconds


def background(samples: np.ndarray, rate: int) -> float:
    """Returns the standard deviation of the quietest tenth of frames of 25 ms."""
    size = rate // 40
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    levels = np.sort(frames.std(axis=1)) if len(frames) else np.zeros(1)
    return float(levels[: max(1, len(levels) // 10)].mean())


def join(cuts: Sequence, minutes: float, folder: Path, seed: int) -> dict[str, float]:
    """Writes long.flac and long.txt, and the manifest of its utterances; returns where each one starts."""
    import soundfile

    from hybrid.data.manifest import load_samples, write_cuts

    rng = np.random.default_rng(seed)
    offsets: dict[str, float] = {}
    used, place = [], 0
    rate = cuts[0].rate
    with soundfile.SoundFile(folder / "long.flac", "w", rate, 1, "PCM_16") as out:
        for cut in cuts:
            if place >= minutes * 60 * rate:
                break
            samples = load_samples(cut)[0].reshape(-1)
            pause = int(rng.uniform(0.3, 1.5) * rate)
            noise = background(samples, rate) * rng.normal(size=pause)
            offsets[cut.id] = place / rate
            out.write(np.concatenate([samples, noise.astype(np.float32)]))
            place += len(samples) + pause
            used.append(cut)
    (folder / "long.txt").write_text(" ".join(w for cut in used for w in cut.words) + "\n", encoding="utf-8")
    write_cuts(folder / "cuts.jsonl.gz", [cut.record for cut in used])
    return offsets


def align(options: argparse.Namespace, folder: Path, name: str, more: Sequence[str]) -> tuple[float, float]:
    """Runs the product; returns its CPU seconds and its peak resident memory in 1e9 bytes."""
    command = [sys.executable, "-m", "hybrid.cli.main", "align", "audio", "--model", str(options.model)]
    command += ["--lang", str(options.lang), "--out-dir", str(folder / name), "--format", "lhotse", *more]
    if options.g2p:
        command += ["--g2p", str(options.g2p)]
    with open(folder / f"{name}.log", "wb") as log:
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}\n{(folder / f'{name}.log').read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def words_of(folder: Path) -> dict[str, Words]:
    """Reads word starts by utterance."""
    with gzip.open(folder / "supervisions.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return {row["id"]: [(word, start) for word, start, *_ in row["alignment"]["word"]] for row in rows}


def compare_words(
    single: dict[str, Words], long: Words, offsets: dict[str, float], texts: dict[str, list[str]]
) -> list[tuple[float, str, str, float]]:
    """Returns (difference, word, utterance, seconds in the long file) of the words aligned one by one.

    The difference is infinite where the long side lacks the word.
    """
    from hybrid.aligner.differences import compare

    places = [(utterance, place) for utterance in offsets for place in range(len(texts[utterance]))]
    steps = compare([texts[u][k] for u, k in places], [word for word, _ in long])
    starts = {places[a]: long[b][1] for a, b in steps.tolist() if a >= 0 and b >= 0}
    rows = []
    for utterance, words in single.items():
        for place, (word, start) in enumerate(words):
            expected = offsets[utterance] + start
            difference = starts.get((utterance, place), float("inf")) - expected
            rows.append((difference, word, utterance, expected))
    return rows


def main() -> None:
    """Joins, aligns both ways, compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("cuts", "model", "lang"):
        parser.add_argument(f"--{name}", type=lambda p: Path(p).resolve(), required=True)
    parser.add_argument("--g2p", type=Path, help="model for words that the lang folder lacks")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the pauses")
    parser.add_argument("--show", type=int, default=20, help="differences above 0.2 s to print")
    parser.add_argument("--keep", type=Path, help="keeps the recording and both results")
    options = parser.parse_args()
    from hybrid.data.manifest import read_cuts

    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        cuts = read_cuts(options.cuts)
        offsets = join(cuts, options.minutes, folder, options.seed)
        alone = align(options, folder, "single", ["--cuts", str(folder / "cuts.jsonl.gz"), "--no-explain"])
        both = align(options, folder, "long", ["--whole-text", str(folder / "long.txt"), str(folder / "long.flac")])
        single, long = words_of(folder / "single"), words_of(folder / "long")["long"]
        gaps = (folder / "long" / "gaps.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = compare_words(single, long, offsets, {cut.id: cut.words for cut in cuts})
    sizes = np.abs(np.array([row[0] for row in rows]))
    for difference, word, utterance, start in [row for row in rows if abs(row[0]) > NEAR][: options.show]:
        print(f"{difference:+.2f} s: '{word}' of {utterance} at {start:.2f} s")
    print(f"{len(offsets)} utterances, {len(rows)} words, {len(gaps)} stretches left out (gaps.tsv)")
    print(f"one by one: {alone[0]:.1f} CPU s, {alone[1]:.2f} GB; {len(single)} utterances aligned")
    print(f"long: {both[0]:.1f} CPU s, {both[1]:.2f} GB")
    found = sizes[np.isfinite(sizes)]
    print(
        f"word starts within {NEAR} s: {100 * (sizes <= NEAR).mean():.2f} %; further off: {(sizes > NEAR).sum()}, "
        f"of them {(sizes > FAR).sum()} by more than {FAR:g} s or absent; largest {found.max():.2f} s"
    )


if __name__ == "__main__":
    main()
