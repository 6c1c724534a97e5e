"""A whole training: from features and targets to a model folder that decodes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybrid.base.config import config_to_dict
from hybrid.base.content import ByContent
from hybrid.base.disk import remove_mark
from hybrid.base.doors import output_folder, paths_of
from hybrid.base.errors import InputError
from hybrid.base.failures import write_failed
from hybrid.base.jobs import pool
from hybrid.base.log import get_logger, log_settings
from hybrid.hmm import TransitionModel
from hybrid.model.folder import Model, load_model, save_model
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import Network, build_network, told_frames
from hybrid.nnet.priors import measure_log_prior
from hybrid.train.gmm.begin_and_end import finished_model, work_dir
from hybrid.train.gmm.state import fingerprint
from hybrid.train.nnet.average import FOLDER, choose, kept_models, load_average, renew_statistics
from hybrid.train.nnet.checkpoint import TrainState, load_network, save_state
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.corpus import Corpus, fixed_examples, hold_out, usable_items
from hybrid.train.nnet.data import BatchMaker, FeatureCache, Targets
from hybrid.train.nnet.distributed import Group, process_group
from hybrid.train.nnet.finish import STATISTICS_FRAMES, without_context
from hybrid.train.nnet.forward import amp_dtype
from hybrid.train.nnet.log import write_rows
from hybrid.train.nnet.loop import Loop
from hybrid.train.nnet.measure import Measurer
from hybrid.train.nnet.objective import Objective
from hybrid.train.nnet.resume import begin_or_resume
from hybrid.train.nnet.sources import FeatureSource

__all__ = ["NnetConfig", "Task", "train_network"]

logger = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class NnetConfig(ByContent):
    """All settings of a training; each part has its section in `conf/*.yaml`."""

    architecture: str = "tdnnf"
    network: Mapping[str, Any] = field(default_factory=dict)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, a section for each part."""
        parts = {name: config_to_dict(getattr(self, name)) for name in ("augment", "batches", "optimiser", "training")}
        return {"network": {"architecture": self.architecture, **self.network}, **parts}


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained towards.

    Attributes:
      transition_model: whose pdfs the network scores.
      phones_path: their phone table.
      head: of the network, by which the finished model scores: chain or xent.
      scales: acoustic, transition and self-loop scale of these scores.
      inputs: what it was made from, by name, for meta.json.
      start: parameters to start from instead of random ones.
      with_prior: the finished model divides by the prior, which is measured at the end.
      log_prior: of the finished model, where it is known before.
    """

    transition_model: TransitionModel
    phones_path: Path
    targets: Targets
    objective: Objective
    head: str
    scales: tuple[float, float, float] = (1.0, 1.0, 1.0)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, np.ndarray] | None = None
    with_prior: bool = False
    log_prior: np.ndarray | None = None


def train_network(task: Task, source: FeatureSource, out_dir: Path, config: NnetConfig) -> Model:
    """Trains a network and writes its model folder; killed at any moment, the same call goes on.

    Returns:
      The finished model, also where it was finished before.

    Raises:
      HybridError: see `usable_items` and `Loop.run`.
      InputError: settings that do not fit the data, the network or each other.
    """
    training = config.training
    if training.threads:
        torch.set_num_threads(training.threads)
    with process_group(training.device) as (group, device):
        amp_dtype(training.amp, device)  # told before anything is read or removed
        if not group.is_first:
            return _train(task, source, out_dir, config, group, device)
        with output_folder(out_dir, "nnet", paths_of(list(task.inputs.values()))):
            return _train(task, source, out_dir, config, group, device)


def _train(
    task: Task, source: FeatureSource, out_dir: Path, config: NnetConfig, group: Group, device: torch.device
) -> Model:
    training, inputs = config.training, {**source.inputs(), **task.inputs}
    identity = _identity(config, task, source)
    done = finished_model(out_dir, identity)
    if group.agree([float(done is not None)])[0]:
        return done or load_model(out_dir)
    items, failed = usable_items(source, task.targets, training.max_failed)
    corpus = hold_out(items, failed, training)
    network = _network(task, source, config).to(device)
    _check_chunks(config.batches, network)
    maker = _maker(source, corpus, task, network, config)
    if group.is_first:
        log_settings(logger, f"nnet, {task.objective.name}", config.to_dict())
    logger.info("%d utterances (%.2f h with all speeds), %d held out; %d parameters, context %s and %s",
                len(corpus.training), corpus.hours, len(corpus.heldout), sum(p.numel() for p in network.parameters()),
                told_frames(network.left_context), told_frames(network.right_context))  # fmt: skip
    path, optimiser, state = begin_or_resume(network, config.optimiser, out_dir, identity, group.is_first)
    epochs = training.hours / corpus.hours if training.hours else training.epochs
    total = max(1, round(epochs * corpus.frames))

    def save(now: TrainState) -> None:
        if group.is_first:
            save_state(path, network, optimiser, now, identity)
        group.wait()

    heldout = replace(maker, items=corpus.heldout, cache=FeatureCache("float32", 1e9))
    with Measurer(out_dir, network, task.objective, heldout, config, corpus, group, device, save) as measure:
        loop = Loop(
            network, task.objective, optimiser, maker, config.batches, config.optimiser, training, group, device, state,
            total, max(1, round(corpus.frames / training.evaluations)), measure, save,
        )  # fmt: skip
        with pool(config.batches.workers + 1 if config.batches.workers else 1) as executor:
            loop.run(executor)
    if group.is_first:
        _finish(out_dir, task, source, network, maker, config, state, corpus, identity, inputs, device)
        shutil.rmtree(work_dir(out_dir), ignore_errors=True)
    group.wait()
    return load_model(out_dir)


def _identity(config: NnetConfig, task: Task, source: FeatureSource) -> str:
    """A hash of all that the weights depend on; how often states are saved, and who computes batches, is none of it."""
    plain = config.to_dict()
    for section, names in {
        "training": ("checkpoint_minutes", "tensorboard", "threads"),
        "batches": ("workers", "cache_gb"),
    }.items():
        plain[section] = {k: v for k, v in plain[section].items() if k not in names}
    known = {name: _hash_of(value) for name, value in {**source.inputs(), **task.inputs}.items()}
    pipeline = source.pipeline.to_dict()
    trees = (task.transition_model.tree.content_hash(), task.transition_model.topology.content_hash())
    return fingerprint(plain, known, pipeline, trees, task.objective.name, dict(task.settings), task.head)


def _hash_of(value: Any) -> str:
    from hybrid.base.artifact import content_hash

    return (
        str(value[1])
        if isinstance(value, tuple) and value[1]
        else content_hash(value[0] if isinstance(value, tuple) else value)
    )


def _network(task: Task, source: FeatureSource, config: NnetConfig) -> Network:
    torch.manual_seed(config.training.seed)
    network = build_network(
        config.architecture, config.network, source.pipeline.dim, task.transition_model.num_pdfs, "network"
    )
    for head in dict.fromkeys((task.head, *getattr(task.objective, "heads", ()))):
        if getattr(network, head, None) is None:
            raise InputError.at("network", f"has no head '{head}', which {task.objective.name} trains",
                                f"Set {head}: true in the section network.")  # fmt: skip
    if task.start is not None:
        load_network(network, task.start, "the model to start from")
    return network


def _check_chunks(config: BatchConfig, network: Network) -> None:
    factor = network.subsampling_factor
    for frames in config.chunk_frames:
        if frames % factor:
            near = max(factor, round(frames / factor) * factor)
            found = f"is {frames}, no multiple of the network's subsampling factor {factor}"
            raise InputError.at("chunk_frames", found, f"Use {near}.")


def _maker(source: FeatureSource, corpus: Corpus, task: Task, network: Network, config: NnetConfig) -> BatchMaker:
    left, right = network.chunk_context
    batches = config.batches
    cache = FeatureCache(batches.cache_type, batches.cache_gb * 1e9 / max(1, batches.workers))
    return BatchMaker(
        source, corpus.training, task.targets, left, right, network.subsampling_factor, config.augment,
        config.training.seed, cache,
    )  # fmt: skip


def _finish(
    out_dir: Path, task: Task, source: FeatureSource, network: Network, maker: BatchMaker, config: NnetConfig,
    state: TrainState, corpus: Corpus, identity: str, inputs: Mapping[str, Any], device: torch.device,
) -> None:  # fmt: skip
    """Averages models, measures batch statistics and priors, and writes the model folder."""
    training = config.training
    remove_mark(out_dir)
    chosen = choose(kept_models(out_dir), training.average, training.average_of == "best")
    load_average(network, chosen)
    if len(chosen) > 1 and not getattr(task.objective, "frozen_norms", False):
        renew_statistics(network, fixed_examples(maker, config.batches, state.parts, STATISTICS_FRAMES), device)
    prior = task.log_prior
    if task.with_prior:
        examples = fixed_examples(maker, config.batches, state.parts, STATISTICS_FRAMES)
        prior = measure_log_prior(network, without_context(examples, maker.left))
    acoustic, transition, self_loop = task.scales
    acoustic_model = NetworkAcousticModel(network.cpu(), task.head, prior, acoustic, transition, self_loop)
    write_rows(out_dir / "passes.tsv", state.rows)
    write_failed(out_dir / "failed.txt", {**corpus.failed, **state.failed})
    files = ["passes.tsv", "failed.txt", "heldout.txt", *(f"{FOLDER}/{k.path.name}" for k in kept_models(out_dir))]
    facts = {
        "identity": identity,
        "pdfs": network.num_pdfs,
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": state.step,
        "frames": state.frames,
        "hours": round(state.frames / corpus.frames * corpus.hours, 4),
        "utterances": len(corpus.training),
        "failed": len(corpus.failed) + len(state.failed),
        "skipped_steps": state.skipped,
        "averaged": [k.number for k in chosen],
        **{name: value for name, value in state.rows[-1].items() if name.endswith("objective")},
    }
    model = Model(task.transition_model, acoustic_model, source.pipeline, task.phones_path)
    settings = {"objective": task.objective.name, **task.settings, **config.to_dict()}
    save_model(out_dir, model, settings, inputs, facts, files)
