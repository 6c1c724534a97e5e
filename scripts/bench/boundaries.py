#!/usr/bin/env python3
"""Measures phone and word boundaries against the times that the synthesiser gives, beside Kaldi's alignment.

    .venv/bin/python scripts/bench/boundaries.py --train data/train --test data/test --lang data/lang --model exp/mono \
        [--kaldi-bin DIR --kaldi-scripts DIR/egs/wsj/s5 --kaldi-dir exp/kaldi]

`--train` and `--test` are corpora of `hybrid synth corpus` (their phones.jsonl.gz is the reference), the model was
trained on the first by ours, the voices of the second are others. Kaldi trains its own models on the same audio with
the same lang folder and features (train_mono.sh, train_deltas.sh; normalised by utterance) and aligns with align_si.sh;
what its folder has already is not trained again. Ours is `hybrid align audio`. Prints mean, median and 95 % of the
absolute errors of phone and word starts, and the mean of the signed ones, for each and for the boundaries both have;
there also Kaldi's moved by half of what windows overlap, which is how much of the difference is convention.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hybrid.score.boundaries import Boundary, PhoneStart, common, compare_starts, report  # noqa: E402

LAG = 0.0075  # seconds from frame × shift to the middle of two windows of 25 ms, 10 ms apart: ours has it, Kaldi not
Phones = dict[str, list[PhoneStart]]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def reference(corpus: Path) -> Phones:
    """Reads the synthesiser's phones of a corpus."""
    from hybrid.synth.arpabet import starts_of

    with gzip.open(corpus / "phones.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return {row["id"]: [PhoneStart(label, start) for label, start in starts_of(row["phones"])] for row in rows}


def phone(name: str, start: float) -> PhoneStart:
    """Takes the marks off a phone of a position-dependent lang folder."""
    label, _, mark = name.partition("_")
    return PhoneStart(label.rstrip("012"), start, mark in ("B", "S"))


def run(command: list[str], log: Path, folder: Path | None = None) -> None:
    """Runs a command on one thread; stops with the end of its log where it fails."""
    environment = {**os.environ, **ONE_THREAD, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    with open(log, "wb") as stream:
        code = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, env=environment).returncode
    if code:
        sys.exit(f"failed: {' '.join(command)}\n{log.read_text(errors='replace')[-2000:]}")


def align_ours(options: argparse.Namespace, scratch: Path, pauses: set[str]) -> Phones:
    """Aligns the test set with the product."""
    command = [sys.executable, "-m", "hybrid.cli.main", "align", "audio", "--format", "lhotse", "--phone-marks"]
    command += ["--model", str(options.model), "--lang", str(options.lang), "--out-dir", str(scratch / "ours")]
    run([*command, "--cuts", str(options.test / "cuts.jsonl.gz")], scratch / "ours.log")
    with gzip.open(scratch / "ours" / "supervisions.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return {
        row["id"]: [phone(name, start) for name, start, *_ in row["alignment"]["phone"] if name not in pauses]
        for row in rows
    }


def write_kaldi_set(corpus: Path, folder: Path) -> None:
    """Writes a Kaldi data folder in which every utterance is a speaker of its own."""
    from hybrid.data.manifest import read_cuts

    folder.mkdir(parents=True, exist_ok=True)
    cuts = sorted(read_cuts(corpus / "cuts.jsonl.gz"), key=lambda cut: cut.id)
    columns: dict[str, Callable] = {
        "wav.scp": lambda cut: cut.path,
        "text": lambda cut: " ".join(cut.words),
        "utt2spk": lambda cut: cut.id,
        "spk2utt": lambda cut: cut.id,
    }
    for name, value in columns.items():
        (folder / name).write_text("".join(f"{cut.id} {value(cut)}\n" for cut in cuts), encoding="utf-8")


def kaldi_steps(options: argparse.Namespace, lang: str, leaves: int, gaussians: int) -> Iterator[tuple[str, list[str]]]:
    """Yields what each step makes, and its command, in the Kaldi folder."""
    job = ["--cmd", "utils/run.pl", "--nj", "1"]
    for name in ("train", "test"):
        yield f"data/{name}/feats.scp", ["steps/make_mfcc.sh", *job, f"data/{name}", f"log/{name}", f"mfcc/{name}"]
        yield f"data/{name}/cmvn.scp", ["steps/compute_cmvn_stats.sh", f"data/{name}", f"log/{name}", f"mfcc/{name}"]
    totals = ["--totgauss", str(options.mono_gaussians)]
    yield "mono/final.mdl", ["steps/train_mono.sh", *job, *totals, "data/train", lang, "mono"]
    yield "mono_ali/ali.1.gz", ["steps/align_si.sh", *job, "data/train", lang, "mono", "mono_ali"]
    sizes = [str(leaves), str(gaussians)]
    deltas = ["steps/train_deltas.sh", *job[:2], *sizes, "data/train", lang, "mono_ali", "tri1"]
    if options.kaldi_model == "tri1":
        yield "tri1/final.mdl", deltas
    model = options.kaldi_model
    yield f"{model}_test/ali.1.gz", ["steps/align_si.sh", *job, "data/test", lang, model, f"{model}_test"]


def align_kaldi(options: argparse.Namespace, folder: Path, pauses: set[str]) -> Phones:
    """Trains Kaldi's models where they are not there yet, and aligns the test set."""
    from hybrid.base.config import read_yaml
    from lexicon.symbols import SymbolTable

    (folder / "conf").mkdir(parents=True, exist_ok=True)
    static = read_yaml(options.model / "config.yaml")["pipeline"]["static"]
    names = {"sampling_rate": "sample-frequency", "num_mel_bins": "num-mel-bins", "num_ceps": "num-ceps",
             "low_freq": "low-freq", "high_freq": "high-freq"}  # fmt: skip
    lines = ["--use-energy=false", *(f"--{theirs}={static[ours]}" for ours, theirs in names.items())]
    (folder / "conf" / "mfcc.conf").write_text("\n".join(lines) + "\n")
    (folder / "path.sh").write_text(
        f"export PATH={options.kaldi_bin}:{options.kaldi_scripts}/utils:{options.kaldi_scripts}/steps:$PATH LC_ALL=C\n"
    )
    for name in ("steps", "utils"):
        if not (folder / name).exists():
            (folder / name).symlink_to(options.kaldi_scripts / name)
    for name, corpus in (("train", options.train), ("test", options.test)):
        if not (folder / "data" / name / "wav.scp").exists():
            write_kaldi_set(corpus, folder / "data" / name)
    lang = str(options.lang.resolve())
    for made, command in kaldi_steps(options, lang, options.leaves, options.gaussians):
        if not (folder / made).exists():
            line = f". ./path.sh; {' '.join(command)}"
            run(["bash", "-c", line], folder / f"{made.replace('/', '_')}.log", folder)
    model = options.kaldi_model
    line = f". ./path.sh; gunzip -c {model}_test/ali.1.gz | ali-to-phones --ctm-output {model}/final.mdl ark:- test.ctm"
    run(["bash", "-c", line], folder / "ctm.log", folder)
    table = SymbolTable.read(options.lang / "phones.txt")
    found: Phones = {}
    for row in (folder / "test.ctm").read_text().splitlines():
        utterance, _, start, _, number = row.split()[:5]
        name = table.symbol(int(number))
        found.setdefault(utterance, [])
        if name not in pauses:
            found[utterance].append(phone(name, float(start)))
    return found


def boundaries(truth: Phones, aligned: Phones, shift: float = 0.0) -> list[Boundary]:
    """Compares all utterances that were aligned."""
    return [b for u in sorted(aligned) for b in compare_starts(u, truth[u], aligned[u], shift)]


def show(name: str, found: list[Boundary]) -> None:
    """Prints phones, words, and the kinds of phone."""
    print(f"{name}: phone starts, {report(found)}")
    print(f"{name}: word starts, {report([b for b in found if b.opens])}")
    for kind in ("stop", "vowel", "other"):
        print(f"{name}: starts of {kind}s, {report([b for b in found if b.kind == kind])}")


def parse() -> argparse.Namespace:
    """Parses the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "test", "lang", "model"):
        parser.add_argument(f"--{name}", type=lambda p: Path(p).resolve(), required=True)
    parser.add_argument("--kaldi-bin", default=os.environ.get("KALDI_BIN"), help="folder of Kaldi's programs")
    parser.add_argument("--kaldi-scripts", type=Path, help="folder with Kaldi's steps/ and utils/ (egs/wsj/s5)")
    parser.add_argument("--kaldi-dir", type=Path, help="keeps Kaldi's models; by default a scratch folder")
    parser.add_argument(
        "--kaldi-model", choices=("mono", "tri1"), default="mono", help="which of Kaldi's models aligns"
    )
    parser.add_argument("--mono-gaussians", type=int, default=1500)
    parser.add_argument("--leaves", type=int, default=1500, help="of tri1")
    parser.add_argument("--gaussians", type=int, default=8000, help="of tri1")
    return parser.parse_args()


def main() -> None:
    """Aligns with both and prints the errors."""
    from lexicon.lang_dir import LangDir

    options = parse()
    kaldi = options.kaldi_bin and options.kaldi_scripts and shutil.which("gmm-align-compiled", path=options.kaldi_bin)
    if not kaldi:
        print("Kaldi skipped: no gmm-align-compiled or no steps/ (give --kaldi-bin and --kaldi-scripts)")
    lang = LangDir.load(options.lang)
    pauses = {lang.phones.symbol(p) for p in lang.silence_phones}
    truth = reference(options.test)
    with tempfile.TemporaryDirectory() as name:
        ours = boundaries(truth, align_ours(options, Path(name), pauses))
        show("hybrid", ours)
        if not kaldi:
            return
        folder = (options.kaldi_dir or Path(name) / "kaldi").resolve()
        phones = align_kaldi(options, folder, pauses)
    theirs = boundaries(truth, phones)
    show("kaldi", theirs)
    first, second = common(ours, theirs)
    print(f"both have: hybrid {report(first)}")
    print(f"both have: kaldi {report(second)}")
    later = common(ours, boundaries(truth, phones, LAG))[1]
    print(f"both have: kaldi, {1000 * LAG:g} ms later {report(later)}")


if __name__ == "__main__":
    main()
