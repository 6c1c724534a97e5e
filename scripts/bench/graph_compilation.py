#!/usr/bin/env python3
"""Measures graph compilation beside Kaldi's: HCLG against the steps of mkgraph.sh, training graphs against
compile-train-graphs; the same tree, topology, lang folder and grammar, in turns, in one run.

    .venv/bin/python scripts/bench/graph_compilation.py --model exp/mono --lang data/lang --grammar G.fst \
        [--larger LANG G.fst] [--text text] --kaldi-bin DIR [--repeat 1] [--check]

Prints CPU seconds (user + system) and peak memory. Kaldi's steps run one after another through files; its peak is that
of its largest process. `--larger` compiles a second graph with the same model (its lang folder has the same phones) and
tells how arcs, seconds and memory grow. `--text` (utterance id and words a line) adds training graphs; `--check` weighs
random paths of each HCLG in the other.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SORT = "fstarcsort"  # OpenFst's own, which mkgraph.sh calls too


def measure(command: list[str], scratch: Path) -> tuple[float, float]:
    """Runs a command in the scratch folder; returns its CPU seconds and its peak resident memory in 1e9 bytes."""
    with open(scratch / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=scratch, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {shlex.join(command)}\n{(scratch / 'log').read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def mkgraph(lang: Path, grammar: Path, width: int, central: int) -> list[str]:
    """The steps of Kaldi's mkgraph.sh, through files."""
    return [
        f"fsttablecompose {lang}/L_disambig.fst {grammar} a.fst",
        "fstdeterminizestar --use-log=true a.fst b.fst",
        "fstminimizeencoded b.fst c.fst",
        "fstpushspecial c.fst LG.fst",
        "fstisstochastic --delta=100 LG.fst",
        f"fstcomposecontext --context-size={width} --central-position={central} "
        f"--read-disambig-syms={lang}/phones/disambig.int --write-disambig-syms=dis ilabels LG.fst d.fst",
        f"{SORT} --sort_type=ilabel d.fst CLG.fst",
        "fstisstochastic --delta=100 CLG.fst",
        "make-h-transducer --disambig-syms-out=tid --transition-scale=1.0 ilabels tree flat.mdl Ha.fst",
        "fsttablecompose Ha.fst CLG.fst e.fst",
        "fstdeterminizestar --use-log=true e.fst f.fst",
        "fstrmsymbols tid f.fst g.fst",
        "fstrmepslocal g.fst h.fst",
        "fstminimizeencoded h.fst HCLGa.fst",
        "fstisstochastic --delta=100 HCLGa.fst",
        "add-self-loops --self-loop-scale=0.1 --reorder=true flat.mdl HCLGa.fst HCLG.fst",
    ]


def run_steps(steps: list[str], folder: str, scratch: Path) -> tuple[float, float]:
    """Runs programs of a folder (or of the PATH) one after another: CPU seconds in all, largest peak."""
    total, peak = 0.0, 0.0
    for step in steps:
        words = shlex.split(step)
        program = shutil.which(words[0], path=folder) or shutil.which(words[0])
        if program is None:
            sys.exit(f"failed: {words[0]} is neither in {folder} nor on the PATH")
        seconds, memory = measure([program, *words[1:]], scratch)
        total, peak = total + seconds, max(peak, memory)
    return total, peak


def prepare(model: Path, scratch: Path) -> tuple[int, int]:
    """Writes tree and topology, and the transition model with the topology's probabilities; returns the context."""
    from hybrid.hmm import TransitionModel, read_topology, read_transition_model
    from hybrid.tree import read_tree

    tree = read_tree(model / "tree")
    if (model / "topo").exists():
        topology = read_topology(model / "topo")
    else:
        topology = read_transition_model(model / "transitions", tree).topology
    tree.write(scratch / "tree")
    topology.write(scratch / "topo")
    TransitionModel(topology, tree).write(scratch / "transitions")
    return tree.context_width, tree.central_position


def write_text_ids(text: Path, lang: Path, out: Path) -> int:
    """Writes word ids in the place of words; returns how many utterances there are."""
    from lexicon.lang_dir import LangDir

    folder = LangDir.load(lang)
    lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [" ".join([fields[0], *map(str, folder.text_to_ids(fields[1:]))]) for fields in lines]
    out.write_text("\n".join(rows) + "\n")
    return len(rows)


def training_worker(lang: Path, scratch: Path) -> None:
    """Our training graphs, in a process of their own."""
    from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
    from hybrid.hmm import read_transition_model
    from hybrid.tree import read_tree
    from lexicon.lang_dir import LangDir

    tree = read_tree(scratch / "tree")
    model = read_transition_model(scratch / "transitions", tree)
    rows = [line.split() for line in (scratch / "text.int").read_text().splitlines()]
    texts = [(row[0], [int(i) for i in row[1:]]) for row in rows]
    graphs, failed = compile_training_graphs(TrainingGraphCompiler(LangDir.load(lang), model), texts)
    graphs.save(scratch / "graphs.safetensors", model)
    if failed:
        sys.exit(f"{len(failed)} utterances failed")


def compare(ours: Path, theirs: Path) -> str:
    """Whether random paths weigh the same in both graphs."""
    from hybrid.formats.openfst import read_fst
    from hybrid.fst.equivalence import randomly_equivalent

    difference = randomly_equivalent(read_fst(ours), read_fst(theirs), 20, 2e-3, max_length=300)
    return f"20 random paths of each in the other: {difference or 'equal'}"


def counts(file: Path) -> tuple[int, int]:
    """States and arcs of an FST file."""
    from hybrid.formats.openfst import read_fst

    fst = read_fst(file)
    return fst.num_states, fst.num_arcs


def report(name: str, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> None:
    """Prints the runs and the ratio of the medians."""
    for who, runs in (("hybrid", ours), ("kaldi", theirs)):
        for seconds, memory in runs:
            print(f"{name}: {who} {seconds:.1f} CPU s, {memory:.2f} GB")
    if theirs:
        ratios = [statistics.median(r[k] for r in ours) / statistics.median(r[k] for r in theirs) for k in (0, 1)]
        print(f"{name}: ratio hybrid / kaldi {ratios[0]:.2f} CPU, {ratios[1]:.2f} memory")


def main() -> None:
    """Parses the options and runs both in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "lang", "grammar"):
        parser.add_argument(f"--{name}", type=lambda p: Path(p).resolve(), required=True)
    parser.add_argument("--larger", nargs=2, type=lambda p: Path(p).resolve(), metavar=("LANG", "GRAMMAR"))
    parser.add_argument("--text", type=Path)
    parser.add_argument("--kaldi-bin", default=os.environ.get("KALDI_BIN"))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.worker:
        training_worker(options.lang, options.worker)
        return
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    kaldi = options.kaldi_bin if options.kaldi_bin and shutil.which("add-self-loops", path=options.kaldi_bin) else None
    if kaldi is None:
        print("Kaldi skipped: no add-self-loops (give --kaldi-bin)")
    elif not shutil.which(SORT, path=kaldi) and not shutil.which(SORT):
        print(f"Kaldi skipped: no {SORT}, OpenFst's program (Debian: libfst-tools)")
        kaldi = None
    with tempfile.TemporaryDirectory() as name:
        run(options, kaldi, Path(name))


def run(options: argparse.Namespace, kaldi: str | None, scratch: Path) -> None:
    """Both benchmarks in a scratch folder."""
    width, central = prepare(options.model, scratch)
    if kaldi:
        run_steps(["gmm-init-model-flat tree topo flat.mdl"], kaldi, scratch)
    pairs = [(options.lang, options.grammar), *([tuple(options.larger)] if options.larger else [])]
    names = ["HCLG", "larger HCLG"][: len(pairs)]
    medians = []
    for name, (lang, grammar) in zip(names, pairs):
        ours, theirs = [], []
        command = [sys.executable, "-m", "hybrid.cli.main", "graph", "compile", "--model", str(scratch)]
        command += ["--lang", str(lang), "--grammar", str(grammar), "--out-dir", str(scratch / name)]
        for _ in range(options.repeat):
            ours.append(measure(command, scratch))
            if kaldi:
                theirs.append(run_steps(mkgraph(lang, grammar, width, central), kaldi, scratch))
                (scratch / "HCLG.fst").rename(scratch / f"kaldi {name}.fst")
        report(name, ours, theirs)
        medians.append([[statistics.median(r[k] for r in runs) for k in (0, 1)] for runs in (ours, theirs) if runs])
    base = ["--model", str(options.model), "--lang", str(options.lang), "--grammar", str(options.grammar)]
    if options.text:
        number = write_text_ids(options.text, options.lang, scratch / "text.int")
        ours, theirs = [], []
        worker = [sys.executable, str(Path(__file__).resolve()), *base, "--worker", str(scratch)]
        step = f"compile-train-graphs --read-disambig-syms={options.lang}/phones/disambig.int tree flat.mdl "
        step += f"{options.lang}/L.fst ark:text.int ark:graphs.ark"
        for _ in range(options.repeat):
            ours.append(measure(worker, scratch))
            if kaldi:
                theirs.append(run_steps([step], kaldi, scratch))
        report(f"training graphs of {number} utterances", ours, theirs)
    # Last, since what this process holds counts towards the peak of the processes it starts.
    files = [("hybrid", "{}/HCLG.fst"), *([("kaldi", "kaldi {}.fst")] if kaldi else [])]
    for number, (who, file) in enumerate(files):
        sizes = [counts(scratch / file.format(name)) for name in names]
        for name, (states, arcs) in zip(names, sizes):
            print(f"{name}: {who} {states} states, {arcs} arcs")
        if options.larger:
            (cpu, gb), (more_cpu, more_gb) = (runs[number] for runs in medians)
            arcs = sizes[1][1] / sizes[0][1]
            print(f"{who}: {arcs:.2f} times the arcs: {more_cpu / cpu:.2f} CPU, {more_gb / gb:.2f} memory")
    if kaldi and options.check:
        for name in names:
            print(f"{name}: {compare(scratch / name / 'HCLG.fst', scratch / f'kaldi {name}.fst')}")


if __name__ == "__main__":
    main()
