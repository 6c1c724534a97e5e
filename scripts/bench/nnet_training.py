"""CPU seconds that training a network takes per hour of audio, by part: batches, forward, objective, backward, step.

    python scripts/bench/nnet_training.py --config egs/librispeech/conf/chain.yaml --feats exp/hires/train \
        --tree exp/chain_tree --den exp/chain_den --sup exp/chain_sup --kaldi KALDI_CHAIN_DIR

Start-up, compilation of kernels and measurements are left out: the first steps warm up. `--kaldi` is the folder of a
chain training of Kaldi's on the same data (`../shared/peers/kaldi/librispeech_chain.sh`, whose egs were kept:
`--cleanup.remove-egs=false`): `nnet3-chain-train`, found in $KALDI_BIN or on the PATH, then goes once over its
`egs/cegs.1.ark` from the last `*.mdl` there, as `chain/train.py` calls it. The hours are those of the frames that it
says it trained on; reading, shuffling and merging of egs count, as our batches do.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


class Clock:
    """CPU seconds of this process, threads included, by part."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds what the body takes."""
        begin = time.process_time()
        yield
        self.spent[name] += time.process_time() - begin


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="YAML of the training")
    parser.add_argument("--feats", type=Path, required=True, help="feature store of the training set")
    for name in ("tree", "den", "sup"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"folder of `hybrid nnet chain-{name}`")
    parser.add_argument("--steps", type=int, default=20, help="steps measured")
    parser.add_argument("--warm-up", type=int, default=4, help="steps before")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kaldi", type=Path, help="folder of a chain training of Kaldi's, with its egs")
    return parser.parse_args()


def kaldi_seconds(folder: Path) -> tuple[float, float]:
    """Trains one step of Kaldi's on its first archive of egs.

    Returns:
      CPU seconds per hour of audio, hours.
    """
    binaries = os.environ.get("KALDI_BIN", "")
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "OPENBLAS_NUM_THREADS": "1"}
    model = max(folder.glob("[0-9]*.mdl"), key=lambda path: int(path.stem))
    egs = f"ark:nnet3-chain-copy-egs --frame-shift=1 ark:{folder}/egs/cegs.1.ark ark:- | " \
        "nnet3-chain-shuffle-egs --buffer-size=5000 --srand=0 ark:- ark:- | " \
        "nnet3-chain-merge-egs --minibatch-size=64,32 ark:- ark:- |"  # fmt: skip
    command = ["nnet3-chain-train", "--use-gpu=no", "--apply-deriv-weights=false", "--l2-regularize=0.0",
               "--leaky-hmm-coefficient=0.1", "--xent-regularize=0.1", "--max-param-change=2.0", "--srand=0",
               f"nnet3-am-copy --raw=true --learning-rate=0.002 {model} - |", f"{folder}/den.fst", egs,
               "/dev/null"]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"for 'output' is .* over (\S+) frames", done.stderr)
    if done.returncode or not found:
        sys.exit(f"nnet3-chain-train failed:\n{done.stderr[-2000:]}")
    hours = float(found[1]) * 0.03 / 3600
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / hours, hours


def main() -> None:
    options = parse_options()
    import torch

    from hybrid.nnet.network import build_network
    from hybrid.nnet.sequence.config import ChainConfig
    from hybrid.train.nnet.batches import plan_epoch
    from hybrid.train.nnet.chain import chain_task
    from hybrid.train.nnet.config import AugmentConfig
    from hybrid.train.nnet.data import BatchMaker, FeatureCache
    from hybrid.train.nnet.forward import forward
    from hybrid.train.nnet.optimiser import Optimiser
    from hybrid.train.nnet.settings import settings_of
    from hybrid.train.nnet.tasks import store_source

    torch.set_num_threads(options.threads)
    settings = settings_of(options.config)
    config = settings.config
    task = chain_task(options.tree, options.den, options.sup, ChainConfig(), settings.subsampling_factor, False)
    source = store_source(options.feats, settings.cmvn, AugmentConfig())
    items = [item for item in source.items()[0] if not task.targets.fault(item)]
    network = build_network(config.architecture, config.network, source.pipeline.dim, task.transition_model.num_pdfs)
    optimiser = Optimiser(network, config.optimiser)
    left, right = network.chunk_context
    plain = replace(config.augment, speeds=(1.0,))
    maker = BatchMaker(source, items, task.targets, left, right, network.subsampling_factor, plain, 0,
                       FeatureCache("float16", 4e9))  # fmt: skip
    plan = plan_epoch([item.frames for item in items], config.batches, network.subsampling_factor, 0, 0)
    clock, frames = Clock(), 0
    for number in range(options.warm_up + options.steps):
        if number == options.warm_up:
            clock, frames = Clock(), 0
        batch = plan[number % len(plan)]
        with clock.part("batches"):
            example = maker.make(0, batch)
        with clock.part("forward"):
            output = forward(network, example, torch.device("cpu"))
        with clock.part("objective"):
            parts = task.objective(output, example.targets)
        with clock.part("backward"):
            optimiser.zero_grad()
            (parts.loss / parts.frames).backward()
        with clock.part("step"):
            optimiser.step(1e-3, optimiser.gradient_norm())
            if number % config.optimiser.constrain_every == 0:
                network.constrain_()
        frames += int(batch.frames.sum())
    hours = frames * source.pipeline.frame_shift / 3600
    total = sum(clock.spent.values()) / hours
    for name, seconds in clock.spent.items():
        print(f"{name:10} {seconds / hours:7.1f} CPU s per hour of audio, {seconds / hours / total:5.1%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    shown = f"{hours:.2f} h, {options.threads} threads"
    print(f"{'total':10} {total:7.1f} CPU s per hour of audio ({shown}), peak {peak:.2f} GB")
    if options.kaldi:
        kaldi, hours = kaldi_seconds(options.kaldi)
        print(f"{'Kaldi':10} {kaldi:7.1f} CPU s per hour of audio ({hours:.2f} h); ours is {total / kaldi:.2f} of it")


if __name__ == "__main__":
    main()
