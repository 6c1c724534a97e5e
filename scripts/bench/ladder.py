#!/usr/bin/env python3
"""Measures the training and alignment of every rung of the GMM ladder beside Kaldi's `steps/`, in turns, in one run.

    .venv/bin/python scripts/bench/ladder.py --feats exp/feats/train-clean-100 --lang data/lang \
        --kaldi-dir DIR --out-dir bench [--rungs mono,tri1,tri2b,tri3b] [--jobs 2]

Features and lang folder are the same for both; each climbs on its own alignments with the settings of the LibriSpeech
recipe. Prints CPU seconds (user + system, all processes), their ratio and the peak memory of the largest process.
What is done is not done again: delete --out-dir to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

# rung: [(name, our command, Kaldi's command)]; {t} stands for what all of a kind share.
RUNGS = {
    "mono": [
        (
            "mono",
            "train-mono {t} --subset-shortest 300 --boost-silence 1.25 --total-gaussians 1000 --out-dir mono",
            "train_mono.sh --boost-silence 1.25 {j} data/shortest lang mono",
        ),
        (
            "mono_ali",
            "align --model mono {t} --boost-silence 1.25 --out-dir mono_ali",
            "align_si.sh --boost-silence 1.25 {j} data/train lang mono mono_ali",
        ),
    ],
    "tri1": [
        (
            "tri1",
            "train-deltas --model mono --ali mono_ali {t} --max-leaves 1500 --total-gaussians 8000 "
            "--boost-silence 1.25 --out-dir tri1",
            "train_deltas.sh --boost-silence 1.25 {c} 1500 8000 data/train lang mono_ali tri1",
        ),
        (
            "tri1_ali",
            "align --model tri1 {t} --out-dir tri1_ali",
            "align_si.sh {j} data/train lang tri1 tri1_ali",
        ),
    ],
    "tri2b": [
        (
            "tri2b",
            "train-lda-mllt --model tri1 --ali tri1_ali {t} --max-leaves 2000 --total-gaussians 12000 "
            "--splice-left 3 --splice-right 3 --out-dir tri2b",
            'train_lda_mllt.sh {c} --splice-opts "--left-context=3 --right-context=3" '
            "2000 12000 data/train lang tri1_ali tri2b",
        ),
        (
            "tri2b_ali",
            "align --model tri2b {t} --out-dir tri2b_ali",
            "align_si.sh {j} --use-graphs true data/train lang tri2b tri2b_ali",
        ),
    ],
    "tri3b": [
        (
            "tri3b",
            "train-sat --model tri2b --ali tri2b_ali {t} --max-leaves 2000 --total-gaussians 12000 --out-dir tri3b",
            "train_sat.sh {c} 2000 12000 data/train lang tri2b_ali tri3b",
        ),
        (
            "tri3b_ali",
            "align-fmllr --model tri3b {t} --out-dir tri3b_ali",
            "align_fmllr.sh {j} data/train lang tri3b tri3b_ali",
        ),
    ],
}


def measure(command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Runs a command; returns its CPU seconds (children included) and its peak resident memory in 1e9 bytes."""
    with open(log, "wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {shlex.join(command)}\n{log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def kaldi_folder(folder: Path, feats: Path, lang: Path, kaldi: Path, environment: dict[str, str]) -> None:
    """Lays out features, transcripts and scripts as Kaldi's `steps/` want them, speakers' CMVN and subset included."""
    if (folder / "ready").exists():
        return
    from hybrid.base.kaldi_io import write_matrices
    from hybrid.feats.store import FeatureStore

    store = FeatureStore.open(feats)
    data = folder / "data" / "train"
    data.mkdir(parents=True, exist_ok=True)
    write_matrices(data / "feats.ark", ((u, store.load(u)) for u in store.ids), scp=data / "feats.scp")
    (data / "text").write_text("".join(f"{u} {' '.join(store.text(u))}\n" for u in store.ids))
    (data / "utt2spk").write_text("".join(f"{u} {store.speaker(u)}\n" for u in store.ids))
    (folder / "path.sh").write_text("")
    for name, target in (("steps", kaldi / "steps"), ("utils", kaldi / "utils"), ("lang", lang.resolve())):
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    script = (
        "utils/utt2spk_to_spk2utt.pl data/train/utt2spk > data/train/spk2utt && utils/fix_data_dir.sh data/train && "
        "steps/compute_cmvn_stats.sh data/train cmvn cmvn && "
        "utils/subset_data_dir.sh --shortest data/train 300 data/shortest"
    )
    measure(["bash", "-c", script], folder, folder / "data.log", environment)
    (folder / "ready").touch()


def main() -> None:
    """Runs what is not yet measured, rung by rung and in turns, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feats", type=Path, required=True, help="features of the training set")
    parser.add_argument("--lang", type=Path, required=True, help="lang folder")
    parser.add_argument("--kaldi-dir", type=Path, help="has bin/ and egs/wsj/s5; without it only ours is measured")
    parser.add_argument("--out-dir", type=Path, required=True, help="gets both systems' models and the figures")
    parser.add_argument("--rungs", default="mono,tri1,tri2b,tri3b", help="with commas, in this order")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    own, peer = options.out_dir / "hybrid", options.out_dir / "kaldi"
    own.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    kaldi_environment = environment
    if options.kaldi_dir:
        kaldi = options.kaldi_dir.resolve()
        path = f"{kaldi}/bin:{kaldi}/egs/wsj/s5/utils:{peer.resolve()}:{environment['PATH']}"
        kaldi_environment = {**environment, "KALDI_ROOT": str(kaldi), "PATH": path, "LC_ALL": "C"}
        kaldi_folder(peer, options.feats, options.lang, kaldi / "egs/wsj/s5", kaldi_environment)
    else:
        print("SKIPPED: Kaldi's side; give --kaldi-dir")
    shared = shlex.join(
        ["--feats", str(options.feats.resolve()), "--lang", str(options.lang.resolve()), "--jobs", str(options.jobs)]
    )
    figures = options.out_dir / "figures.json"
    done = json.loads(figures.read_text()) if figures.exists() else {}
    print(
        "| rung | hybrid, CPU s | Kaldi, CPU s | ratio | peak GB, hybrid / Kaldi |\n|---|---|---|---|---|", flush=True
    )
    for rung in options.rungs.split(","):
        for name, ours, theirs in RUNGS[rung]:
            if f"hybrid {name}" not in done:
                command = [str(Path(sys.executable).parent / "hybrid"), "gmm", *shlex.split(ours.format(t=shared))]
                done[f"hybrid {name}"] = measure(command, own, options.out_dir / f"hybrid_{name}.log", environment)
            if options.kaldi_dir and f"kaldi {name}" not in done:
                run = "--cmd utils/run.pl"
                line = theirs.format(j=f"--nj {options.jobs} {run}", c=run)
                command = ["bash", *shlex.split(f"steps/{line}")]
                done[f"kaldi {name}"] = measure(command, peer, options.out_dir / f"kaldi_{name}.log", kaldi_environment)
            figures.write_text(json.dumps(done, indent=1))
            print(row(name, done), flush=True)


def row(name: str, done: dict[str, tuple[float, float]]) -> str:
    """Returns the line of the table for one step."""
    cpu, peak = done[f"hybrid {name}"]
    if f"kaldi {name}" not in done:
        return f"| {name} | {cpu:.1f} | | | {peak:.2f} |"
    other, other_peak = done[f"kaldi {name}"]
    return f"| {name} | {cpu:.1f} | {other:.1f} | {cpu / other:.2f} | {peak:.2f} / {other_peak:.2f} |"


if __name__ == "__main__":
    main()
