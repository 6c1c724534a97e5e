#!/usr/bin/env python3
"""Measures `hybrid lm train` beside KenLM's lmplz: the same text, the same settings, in turns, in one run.

    .venv/bin/python scripts/bench/lm_training.py --kaldi-bin DIR [--shared ../shared] [--repeat 3]

Prints CPU seconds (user + system, from text on disk to ARPA on disk) and peak memory of each run, the ratio of
the medians, and how far the two models' n-grams are apart. Text: the 3.47 million words of the LibriSpeech
pieces, made in a scratch folder by peers/kaldi/libri_lm_text.py of --shared, or --text and --vocabulary.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = {"trigram": (3, (0, 0, 1)), "4-gram": (4, (0,))}


def measure(command: list[str], stdin: Path, log: Path) -> tuple[float, float]:
    """Runs a command; returns its CPU seconds and its peak resident memory in 1e9 bytes."""
    with open(stdin, "rb") as source, open(log, "wb") as errors:
        process = subprocess.Popen(command, stdin=source, stdout=errors, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}\n{log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def commands(case: str, text: Path, vocabulary: Path | None, lmplz: str | None, out: Path) -> dict[str, list[str]]:
    """The two commands of a case, each writing OUT/NAME.arpa."""
    order, prune = CASES[case]
    limit = [str(vocabulary)] if vocabulary else []
    ours = [sys.executable, "-m", "hybrid.cli.main", "lm", "train", str(text), "--order", str(order)]
    ours += ["--prune", ",".join(map(str, prune)), "--out", str(out / "hybrid.arpa")]
    result = {"hybrid": ours + (["--vocabulary", *limit] if limit else [])}
    if lmplz:
        peer = [lmplz, "-o", str(order), "-S", "1G", "-T", str(out), "--discount_fallback", "--prune"]
        peer += [*map(str, prune), "--arpa", str(out / "lmplz.arpa")]
        result["lmplz"] = peer + (["--limit_vocab_file", *limit] if limit else [])
    return result


def compare(out: Path) -> str:
    """Greatest difference of any value of the two ARPA files."""
    import numpy as np

    sys.path.insert(0, str(ROOT))
    from lm.arpa import read_arpa

    ours, peer = read_arpa(out / "hybrid.arpa"), read_arpa(out / "lmplz.arpa")
    if ours.num_ngrams != peer.num_ngrams or ours.vocabulary != peer.vocabulary:
        return f"DIFFERENT n-grams: {ours.num_ngrams} and {peer.num_ngrams}"
    worst = 0.0
    for a, b in zip(ours.levels, peer.levels):
        if not (np.array_equal(a.contexts, b.contexts) and np.array_equal(a.words, b.words)):
            return "DIFFERENT n-grams of the same number"
        worst = max(worst, float(np.abs(a.log10_probs - b.log10_probs).max(initial=0)))
        worst = max(worst, float(np.abs(a.log10_backoffs - b.log10_backoffs).max(initial=0)))
    return f"{' / '.join(map(str, ours.num_ngrams))} n-grams, greatest difference {worst:.1e} (log10)"


def text_of(shared: Path, scratch: Path) -> tuple[Path, Path]:
    """Makes the LM text and its vocabulary in the scratch folder."""
    maker = shared / "peers" / "kaldi" / "libri_lm_text.py"
    if not maker.exists():
        sys.exit(f"skipped: no text; {maker} is absent (give --shared, or --text)")
    subprocess.run([sys.executable, str(maker.resolve())], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    return scratch / "lm_text.txt", scratch / "vocab.txt"


def main() -> None:
    """Parses the options and prints one block a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kaldi-bin", default=os.environ.get("KALDI_BIN"), help="folder that holds lmplz")
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("HYBRID_SHARED", ROOT.parent / "shared")))
    parser.add_argument("--text", type=Path, help="train on this instead, without a fixed vocabulary unless given")
    parser.add_argument("--vocabulary", type=Path, help="fixed vocabulary for --text")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    lmplz = shutil.which("lmplz", path=options.kaldi_bin) if options.kaldi_bin else None
    if not lmplz:
        print("skipped: lmplz (give --kaldi-bin, the folder that holds it)")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        text, vocabulary = (options.text, options.vocabulary) if options.text else text_of(options.shared, scratch)
        small = scratch / "small.txt"
        small.write_text("A B C\nA B D\n")
        for case in options.case or CASES:
            runs = commands(case, text, vocabulary, lmplz, scratch)
            # Once on a few words, so that code compiled on first use is not part of what is measured.
            warm = [str(small) if part == str(text) else part for part in runs["hybrid"] if part != "--vocabulary"]
            measure([part for part in warm if part != str(vocabulary)], text, scratch / "log")
            figures: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
            for _ in range(options.repeat):
                for name, command in runs.items():
                    figures[name].append(measure(command, text, scratch / "log"))
            medians = {name: statistics.median(cpu for cpu, _ in rows) for name, rows in figures.items()}
            for name, rows in figures.items():
                each = " ".join(f"{cpu:.2f}" for cpu, _ in rows)
                peak = max(memory for _, memory in rows)
                print(f"{case}\t{name}\tCPU s {medians[name]:.2f} (of {each})\tpeak GB {peak:.2f}")
            if lmplz:
                print(f"{case}\tratio {medians['hybrid'] / medians['lmplz']:.2f}\t{compare(scratch)}", flush=True)


if __name__ == "__main__":
    main()
