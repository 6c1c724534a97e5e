#!/usr/bin/env python3
"""Measures `hybrid feats extract` beside Kaldi's compute-mfcc-feats: the same audio, the same settings, in turns.

    .venv/bin/python scripts/bench/features.py --kaldi-bin DIR [--shared ../shared] [--repeat 3]

Prints CPU seconds (user + system, from audio on disk to features on disk, start of the program included) and peak
memory of each, one process each, the ratio of the medians, and how far the features are apart. Two inputs: 16-bit
wav (made in a scratch folder) and the corpus's flac, which Kaldi reads through pipes from `flac`, if that is there.
Ours also writes speakers' CMVN statistics. Without --kaldi-bin only ours is measured, with a line that says so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from gmm_peer import measure

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
OPTIONS = ["--use-energy=false", "--dither=0", "--low-freq=20", "--high-freq=5500", "--sample-frequency=16000"]


def apart_from_us(function, *arguments):  # type: ignore[no-untyped-def]
    """Runs a function in a process of its own: a child's peak memory includes what its parent held at the start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def make_inputs(corpus: Path, part: str, scratch: Path) -> float:
    """Makes two sets (`flac`, `wav`) with a wav.scp each; returns seconds of audio."""
    import soundfile

    from hybrid.data.librispeech import prepare
    from hybrid.data.manifest import read_cuts
    from hybrid.data.sets import write_set
    from hybrid.data.utterance import Utterance

    prepare(corpus, scratch, [part])
    os.replace(scratch / part, scratch / "flac")
    utterances = read_cuts(scratch / "flac")
    (scratch / "audio").mkdir()
    items, scp, pipes = [], [], []
    for utterance in utterances:
        samples, rate = soundfile.read(utterance.path, dtype="int16")
        path = scratch / "audio" / f"{utterance.id}.wav"
        soundfile.write(path, samples, rate)
        items.append(Utterance(utterance.id, path, utterance.speaker, utterance.text))
        scp.append(f"{utterance.id} {path}\n")
        pipes.append(f"{utterance.id} flac -c -d -s {utterance.path} |\n")
    write_set(items, scratch / "wav", "wav", {})
    (scratch / "wav" / "wav.scp").write_text("".join(scp))
    (scratch / "flac" / "wav.scp").write_text("".join(pipes))
    return sum(utterance.duration for utterance in utterances)


def difference(scratch: Path) -> str:
    """How far the two programs' features are apart."""
    import numpy as np

    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import read_matrices

    store = FeatureStore.open(scratch / "store")
    errors = [np.abs(store.load(name) - theirs).max(axis=1) for name, theirs in read_matrices(scratch / "kaldi.ark")]
    values = np.concatenate(errors)
    return (
        f"{len(values)} frames; greatest difference in a frame: median {np.median(values):.1e}, "
        f"99 % below {np.quantile(values, 0.99):.1e}, all below {values.max():.1e}"
    )


def compare(kind: str, scratch: Path, kaldi: str | None, repeat: int, seconds: float) -> None:
    """Runs both programs in turns on one input and prints their figures."""
    store, ark = scratch / "store", scratch / "kaldi.ark"
    ours = [sys.executable, "-m", "hybrid.cli.main", "feats", "extract", "--cuts", str(scratch / kind)]
    ours += ["--set", "high_freq=5500", "--out-dir", str(store)]
    commands = {"hybrid": ours}
    if kaldi and (kind == "wav" or shutil.which("flac")):
        commands["kaldi"] = [kaldi, *OPTIONS, f"scp:{scratch / kind / 'wav.scp'}", f"ark:{ark}"]
    else:
        print(f"{kind}: Kaldi skipped ({'no flac program' if kaldi else 'no compute-mfcc-feats; give --kaldi-bin'})")
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            shutil.rmtree(store, ignore_errors=True) if name == "hybrid" else None
            figures[name].append(measure(command, scratch / "log"))
    medians = {name: statistics.median(cpu for cpu, _ in runs) for name, runs in figures.items()}
    for name, runs in figures.items():
        cpu = ", ".join(f"{value:.2f}" for value, _ in runs)
        peak = max(value for _, value in runs)
        rtf = medians[name] / seconds
        print(f"{kind} {name}: CPU s {cpu} (median {medians[name]:.2f}, {rtf:.5f} x real time), peak {peak:.3f} GB")
    if "kaldi" in medians:
        ratio = medians["hybrid"] / medians["kaldi"]
        print(f"{kind}: ratio hybrid / kaldi {ratio:.2f}; {apart_from_us(difference, scratch)}")


def main() -> None:
    """Parses the options and measures both inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kaldi-bin", type=Path, help="folder of compute-mfcc-feats (default: the PATH)")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder that holds corpora/")
    parser.add_argument("--part", default="train-clean-100", help="part of LibriSpeech")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each program")
    options = parser.parse_args()
    corpus = options.shared / "corpora" / "LibriSpeech"
    if not (corpus / options.part).is_dir():
        sys.exit(f"skipped: no audio at {corpus / options.part} (give --shared)")
    kaldi = shutil.which("compute-mfcc-feats", path=str(options.kaldi_bin) if options.kaldi_bin else None)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        seconds = apart_from_us(make_inputs, corpus, options.part, scratch)
        print(f"LibriSpeech {options.part}: {seconds / 60:.1f} min; 13 MFCC, filters 20 to 5500 Hz; one process each")
        for kind in ("wav", "flac"):
            compare(kind, scratch, kaldi, options.repeat, seconds)


if __name__ == "__main__":
    main()
