"""CPU seconds that training a network takes per hour of audio, by part: batches, forward, objective, backward, step.

    python scripts/bench/nnet_training.py --config egs/librispeech/conf/chain.yaml --feats exp/hires/train \
        --tree exp/chain_tree --den exp/chain_den --sup exp/chain_sup --kaldi 44

Start-up, compilation of kernels and measurements are left out: the first steps warm up. `--kaldi` is what
`nnet3-chain-train` takes (its CPU seconds over the hours in its egs, and over three times its epochs: an epoch of
`chain/train.py` goes over the data once for each shift of the subsampled frames), for the ratio.
"""

from __future__ import annotations

import argparse
import resource
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
    parser.add_argument("--kaldi", type=float, help="CPU seconds per hour of audio of nnet3-chain-train")
    return parser.parse_args()


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
        print(f"{'Kaldi':10} {options.kaldi:7.1f}; ours is {total / options.kaldi:.2f} of it")


if __name__ == "__main__":
    main()
