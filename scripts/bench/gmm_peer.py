"""What the benchmarks of the E-step and of alignment share: a model's data in Kaldi's forms, and measuring."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def parse_options(description: str) -> argparse.Namespace:
    """Parses the options that both benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="model folder of a GMM without speaker transforms")
    parser.add_argument("--feats", type=Path, required=True, help="features of a set with transcripts")
    parser.add_argument("--lang", type=Path, required=True, help="lang folder")
    parser.add_argument("--utterances", type=int, default=300, help="the shortest ones")
    parser.add_argument("--kaldi-bin", type=Path, help="folder of Kaldi's programs; without it only ours is measured")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each program, in turns")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def load(options: argparse.Namespace):
    """Loads model, store and lang folder."""
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from lexicon.lang_dir import LangDir

    store = FeatureStore.open(options.feats).shortest(options.utterances)
    return load_model(options.model), store, LangDir.load(options.lang)


def export(options: argparse.Namespace, scratch: Path) -> None:
    """Writes model, features, training graphs and alignments of the set for both programs."""
    from hybrid.align.config import AlignConfig
    from hybrid.align.corpus_alignments import Aligner, align_corpus
    from hybrid.align.texts import usable_texts
    from hybrid.formats.kaldi_io import write_int_vectors, write_matrices
    from hybrid.formats.openfst import write_fst
    from hybrid.gmm.kaldi_model import write_kaldi_model
    from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs

    model, store, lang = load(options)
    write_kaldi_model(scratch / "final.mdl", model.transition_model, model.acoustic_model.gmm)
    texts, _ = usable_texts(store, lang, store.ids)
    graphs, _ = compile_training_graphs(TrainingGraphCompiler(lang, model.transition_model), texts)
    graphs.save(scratch / "graphs.safetensors", model.transition_model)
    with open(scratch / "graphs.ark", "wb") as archive:
        for utterance, fst in graphs.items():
            write_fst(scratch / "one.fst", fst)
            archive.write(f"{utterance} ".encode() + (scratch / "one.fst").read_bytes())
    write_matrices(scratch / "feats.ark", ((u, model.pipeline.features(store, u)) for u in graphs.ids))
    aligner = Aligner(model.acoustic_model, model.transition_model, model.pipeline, AlignConfig(acoustic_scale=0.1))
    alignments = align_corpus(aligner, store, graphs, list(graphs.ids))
    write_int_vectors(scratch / "ali.ark", alignments.items())


def measure(command: list[str], log: Path) -> tuple[float, float]:
    """Runs a command; returns its CPU seconds (children included) and its peak resident memory in 1e9 bytes."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}\n{log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def worker_command(script: str, options: argparse.Namespace, scratch: Path, worker: str) -> list[str]:
    """Returns the command that runs one part of a benchmark script in a process of its own."""
    given = ["--model", options.model, "--feats", options.feats, "--lang", options.lang]
    given += ["--utterances", options.utterances, "--scratch", scratch, "--worker", worker]
    return [sys.executable, script, *map(str, given)]


def export_apart(script: str, options: argparse.Namespace, scratch: Path) -> None:
    """Runs `export` in a process of its own: a child's peak memory is counted from its parent's size."""
    measure(worker_command(script, options, scratch, "export"), scratch / "export.log")


def beside_kaldi(
    script: str,
    description: str,
    work: Callable[[argparse.Namespace], None],
    program: str,
    arguments: Callable[[Path], list[str]],
    report: Callable[[Path, bool], None],
) -> None:
    """Runs a benchmark: ours and a program of Kaldi's in turns, or, told so by --worker, one part of ours.

    Args:
      script: its file. description: for --help.
      work: one process of ours.
      program, arguments: Kaldi's, and what it is given, for a scratch folder with the exported data.
      report: (scratch, whether Kaldi ran) prints what else was found.
    """
    options = parse_options(description)
    if options.worker:
        work(options)
        return
    kaldi = shutil.which(program, path=str(options.kaldi_bin)) if options.kaldi_bin else None
    if kaldi is None:
        print(f"Kaldi skipped: no {program} (give --kaldi-bin)")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        export_apart(script, options, scratch)
        commands = {f"hybrid{x}": worker_command(script, options, scratch, x.strip() or "all") for x in ("", " start")}
        if kaldi:
            commands["kaldi"] = [kaldi, *arguments(scratch)]
        for line in in_turns(commands, scratch, options.repeat):
            print(line)
        report(scratch, kaldi is not None)


def in_turns(commands: dict[str, list[str]], scratch: Path, repeat: int) -> Iterator[str]:
    """Runs the commands in turns; yields lines with CPU seconds, peak memory and ratios to `kaldi`."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            figures[name].append(measure(command, scratch / f"{name.replace(' ', '_')}.log"))
    medians = {name: statistics.median(cpu for cpu, _ in runs) for name, runs in figures.items()}
    for name, runs in figures.items():
        cpu = ", ".join(f"{value:.2f}" for value, _ in runs)
        yield f"{name}: CPU s {cpu} (median {medians[name]:.2f}), peak {max(m for _, m in runs):.3f} GB"
    if "kaldi" in medians:
        own = medians["hybrid"] - medians["hybrid start"]
        yield (
            f"ratio hybrid / kaldi {medians['hybrid'] / medians['kaldi']:.2f}, "
            f"without the start of Python and loading {own / medians['kaldi']:.2f}"
        )
