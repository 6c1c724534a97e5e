#!/usr/bin/env python3
"""Measures the training and alignment of every stage of the GMM ladder beside Kaldi's `steps/`, in turns, in one run.

    .venv/bin/python scripts/bench/ladder.py --feats exp/feats/train-clean-100 --lang data/lang \
        --kaldi-dir DIR --out-dir bench [--models mono,tri1,tri2b,tri3b] [--jobs 2]

Features and lang folder are the same for both; each climbs on its own alignments with the settings of the LibriSpeech
recipe. Prints CPU seconds (user + system, all processes), their ratio and the peak memory of the largest process.
What is done is not done again: delete --out-dir to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

RECIPE = ROOT / "egs/librispeech/run.sh"
SCRIPTS = {"train-deltas": "train_deltas.sh", "train-lda-mllt": "train_lda_mllt.sh", "train-sat": "train_sat.sh"}

Step = tuple[
    str, str, str
]  # name, our command, Kaldi's; {t} stands for what all of ours share, {j} and {c} for Kaldi's


def recipe_steps() -> dict[str, list[Step]]:
    """Returns the steps of each stage with the settings that the recipe's own script gives."""
    text = RECIPE.read_text(encoding="utf-8")
    options = dict(re.findall(r"^option (\w+) (\S+)", text, re.M))
    stages: dict[str, list[Step]] = {}
    for line in re.findall(r"^  ((?:flat_start|climb|align) .*)$", text, re.M):
        line = re.sub(
            r"\$\{(\w+)/,/ \}", lambda found: options[found[1]].replace(",", " "), line
        )  # leaves and Gaussians
        kind, *words = shlex.split(re.sub(r"\$(\w+)", lambda found: options[found[1]], line))
        name = "mono" if kind == "flat_start" else words[0]
        step = {"flat_start": _flat_start, "climb": _climb, "align": _align}[kind](words)
        stages.setdefault(name, []).append(step)
    return stages


def _boost(words: list[str]) -> str:
    return f"--boost-silence {words[words.index('--boost-silence') + 1]} " if "--boost-silence" in words else ""


def _flat_start(words: list[str]) -> Step:
    gaussians = words[words.index("--total-gaussians") + 1]
    theirs = f"train_mono.sh --totgauss {gaussians} {_boost(words)}{{j}} data/shortest lang mono"
    return "mono", f"train-mono {{t}} {shlex.join(words)} --out-dir mono", theirs


def _climb(words: list[str]) -> Step:
    name, command, start, leaves, gaussians, *more = words
    sizes = f"--max-leaves {leaves} --total-gaussians {gaussians} {shlex.join(more)}"
    splice = f'--splice-opts "--left-context={more[1]} --right-context={more[3]}" ' if "--splice-left" in more else ""
    theirs = f"{SCRIPTS[command]} {_boost(more)}{{c}} {splice}{leaves} {gaussians} data/train lang {start}_ali {name}"
    return name, f"{command} --model {start} --ali {start}_ali {{t}} {sizes} --out-dir {name}", theirs


def _align(words: list[str]) -> Step:
    name, *more = words
    ours, theirs = ("align-fmllr", "align_fmllr.sh") if name == "tri3b" else ("align", "align_si.sh")
    graphs = "--use-graphs true " if name == "tri2b" else ""
    return (
        f"{name}_ali",
        f"{ours} --model {name} {{t}} {shlex.join(more)} --out-dir {name}_ali",
        f"{theirs} {_boost(more)}{{j}} {graphs}data/train lang {name} {name}_ali",
    )


def measure(command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Runs a command; returns its CPU seconds (children included) and its peak resident memory in 1e9 bytes."""
    with open(log, "wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {shlex.join(command)}\n{log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def kaldi_folder(
    folder: Path, feats: Path, lang: Path, kaldi: Path, shortest: str, environment: dict[str, str]
) -> None:
    """Lays out features, transcripts and scripts as Kaldi's `steps/` want them, speakers' CMVN and subset included."""
    if (folder / "ready").exists():
        return
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import write_matrices

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
        f"utils/subset_data_dir.sh --shortest data/train {shortest} data/shortest"
    )
    measure(["bash", "-c", script], folder, folder / "data.log", environment)
    (folder / "ready").touch()


def main() -> None:
    """Runs what is not yet measured, stage by stage and in turns, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feats", type=Path, required=True, help="features of the training set")
    parser.add_argument("--lang", type=Path, required=True, help="lang folder")
    parser.add_argument("--kaldi-dir", type=Path, help="has bin/ and egs/wsj/s5; without it only ours is measured")
    parser.add_argument("--out-dir", type=Path, required=True, help="gets both systems' models and the figures")
    parser.add_argument("--models", default="mono,tri1,tri2b,tri3b", help="with commas, in this order")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    stages = recipe_steps()
    own, peer = options.out_dir / "hybrid", options.out_dir / "kaldi"
    own.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    kaldi_environment = environment
    if options.kaldi_dir:
        kaldi = options.kaldi_dir.resolve()
        path = f"{kaldi}/bin:{kaldi}/egs/wsj/s5/utils:{peer.resolve()}:{environment['PATH']}"
        kaldi_environment = {**environment, "KALDI_ROOT": str(kaldi), "PATH": path, "LC_ALL": "C"}
        flat = shlex.split(stages["mono"][0][1])
        shortest = flat[flat.index("--subset-shortest") + 1]
        kaldi_folder(peer, options.feats, options.lang, kaldi / "egs/wsj/s5", shortest, kaldi_environment)
    else:
        print("SKIPPED: Kaldi's side; give --kaldi-dir")
    shared = shlex.join(
        ["--feats", str(options.feats.resolve()), "--lang", str(options.lang.resolve()), "--jobs", str(options.jobs)]
    )
    figures = options.out_dir / "figures.json"
    done = json.loads(figures.read_text()) if figures.exists() else {}
    print(
        "| stage | hybrid, CPU s | Kaldi, CPU s | ratio | peak GB, hybrid / Kaldi |\n|---|---|---|---|---|", flush=True
    )
    for stage in options.models.split(","):
        for name, ours, theirs in stages[stage]:
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
