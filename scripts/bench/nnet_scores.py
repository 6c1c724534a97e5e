#!/usr/bin/env python3
"""Measures the acoustic scores of a TDNN-F beside Kaldi's nnet3: one shape, random weights, the same features, one run.

    .venv/bin/python scripts/bench/nnet_scores.py --kaldi-bin DIR [--utterances 60] [--seconds 12] [--repeat 3]

Prints CPU seconds per second of audio, one thread each: ours at each precision, whole utterances in batches and pieces
of 0.3 s of one stream; Kaldi's by `nnet3-latgen-faster` with a graph of one state, whose search costs nothing, less
what it takes for a single utterance (start, compilation). Without --kaldi-bin only ours is measured, and said so.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SHAPE = {"dim": 384, "bottleneck_dim": 96, "time_strides": (1, 1, 0, 3, 3, 3), "prefinal_dim": 96}
DIM, PHONES = 40, 300  # a topology with two pdfs a phone
XCONFIG = """input dim=40 name=input
batchnorm-component name=batchnorm0 input=input
relu-batchnorm-layer name=tdnn1 dim=384 input=Append(-2,-1,0,1,2)
{layers}
linear-component name=prefinal-l dim=96 orthonormal-constraint=-1.0
prefinal-layer name=prefinal-chain input=prefinal-l small-dim=96 big-dim=384
output-layer name=output include-log-softmax=false dim=600
"""


def run(command: list[str], log: Path, env: dict[str, str]) -> float:
    """Runs a command; returns its CPU seconds."""
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=subprocess.STDOUT, env=env)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}\n{log.read_text(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def make_peer(scratch: Path, tools: Path, features: dict) -> dict[str, str]:  # type: ignore[type-arg]
    """Writes Kaldi's model, a graph of one state and the features; returns the environment of its programs."""
    import numpy as np

    from hybrid.formats.fst_arrays import FstArrays
    from hybrid.formats.kaldi_io import write_matrices
    from hybrid.formats.openfst_files import write_fst

    steps = tools.parent / "egs/wsj/s5/steps"
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
           "PYTHONPATH": str(steps)}  # fmt: skip
    phones = " ".join(map(str, range(1, PHONES + 1)))
    (scratch / "topo").write_text(
        f"<Topology>\n<TopologyEntry>\n<ForPhones>\n{phones}\n</ForPhones>\n<State> 0 <ForwardPdfClass> 0 "
        "<SelfLoopPdfClass> 1 <Transition> 0 0.5 <Transition> 1 0.5 </State>\n<State> 1 </State>\n"
        "</TopologyEntry>\n</Topology>\n"
    )
    strides = enumerate(SHAPE["time_strides"], 2)  # type: ignore[arg-type]
    layers = [
        f"tdnnf-layer name=tdnnf{i} bypass-scale=0.66 dim=384 bottleneck-dim=96 time-stride={s}" for i, s in strides
    ]
    (scratch / "configs").mkdir()
    (scratch / "configs/network.xconfig").write_text(XCONFIG.format(layers="\n".join(layers)))
    log = scratch / "log"
    run([sys.executable, f"{steps}/nnet3/xconfig_to_configs.py", f"--xconfig-file={scratch}/configs/network.xconfig",
         f"--config-dir={scratch}/configs"], log, env)  # fmt: skip
    run(["nnet3-init", f"{scratch}/configs/final.config", f"{scratch}/raw"], log, env)
    run(["nnet3-copy", "--binary=false", f"{scratch}/raw", f"{scratch}/raw.txt"], log, env)
    text = (scratch / "raw.txt").read_text().replace("<Count> 0 <StatsMean>", "<Count> 100 <StatsMean>")
    lines = [line.replace(" 0", " 1") if line.startswith("<StatsVar>") else line for line in text.split("\n")]
    (scratch / "raw.txt").write_text("\n".join(lines))
    run(["gmm-init-mono", f"{scratch}/topo", str(DIM), f"{scratch}/mono.mdl", f"{scratch}/tree"], log, env)
    run(["copy-transition-model", f"{scratch}/mono.mdl", f"{scratch}/trans.mdl"], log, env)
    run(["nnet3-am-init", f"{scratch}/trans.mdl", f"{scratch}/raw.txt", f"{scratch}/final.mdl"], log, env)
    arcs = np.array([1], np.int32)
    write_fst(scratch / "HCLG.fst", FstArrays(0, np.array([0, 1]), arcs, arcs, np.array([0], np.int32),
                                              np.zeros(1, np.float32), np.zeros(1, np.float32)))  # fmt: skip
    write_matrices(scratch / "all.ark", features.items())
    write_matrices(scratch / "one.ark", list(features.items())[:1])
    return env


def peer_seconds(scratch: Path, env: dict[str, str]) -> float:
    """CPU seconds of Kaldi's scores of all utterances but one."""
    took = []
    for ark in ("all", "one"):
        took.append(run([
            "nnet3-latgen-faster", "--frame-subsampling-factor=3", "--frames-per-chunk=140", "--acoustic-scale=1.0",
            "--beam=1", "--determinize-lattice=false", f"{scratch}/final.mdl", f"{scratch}/HCLG.fst",
            f"ark:{scratch}/{ark}.ark", "ark:/dev/null",
        ], scratch / "log", env))  # fmt: skip
    return took[0] - took[1]


def our_seconds(model, features: dict, piece: int = 0) -> float:  # type: ignore[no-untyped-def, type-arg]
    """CPU seconds of ours, eight utterances a batch, or one stream after another in pieces of so many frames."""
    import numpy as np
    import torch

    items, begin = list(features.values()), time.process_time()
    for first in range(0, len(items), 8):
        batch = items[first : first + 8]
        if not piece:
            model.scores(torch.from_numpy(np.stack(batch)), torch.tensor([len(f) for f in batch]))
            continue
        for one in batch:
            stream = model.open()
            for t in range(0, len(one), piece):
                model.advance([stream], [one[t : t + piece]], [t + piece >= len(one)])
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kaldi-bin", type=Path)
    parser.add_argument("--utterances", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    import numpy as np
    import torch

    from hybrid.nnet.acoustic import NetworkAcousticModel
    from hybrid.nnet.network import build_network
    from hybrid.nnet.quantise import PRECISIONS

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    shape = (options.seconds * 100, DIM)
    features = {f"u{i:03d}": rng.normal(size=shape).astype(np.float32) for i in range(options.utterances)}
    audio = options.utterances * options.seconds
    network = build_network("tdnnf", SHAPE, DIM, 2 * PHONES).eval()
    models = {name: NetworkAcousticModel(network, precision=name) for name in PRECISIONS}
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        env = make_peer(Path(folder), options.kaldi_bin.resolve(), features) if options.kaldi_bin else {}
        if not env:
            print("Kaldi is not measured: no --kaldi-bin")
        for model in models.values():
            our_seconds(model, dict(list(features.items())[:8]))
        for _ in range(options.repeat):
            for name, model in models.items():
                took.setdefault(name, []).append(our_seconds(model, features) / audio)
            took.setdefault("float32, pieces of 0.3 s", []).append(our_seconds(models["float32"], features, 30) / audio)
            if env:
                took.setdefault("Kaldi", []).append(peer_seconds(Path(folder), env) / (audio - options.seconds))
    print(f"torch {torch.__version__}, {audio} s of audio, CPU seconds per second, median of {options.repeat}")
    for name, values in took.items():
        median = statistics.median(values)
        ratio = f"  {median / statistics.median(took['Kaldi']):.2f} x Kaldi" if env else ""
        print(f"{name:26s} {median:.5f}{ratio}")


if __name__ == "__main__":
    main()
