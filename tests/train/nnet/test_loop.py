"""Steps: limits, memory, numbers that are not finite, several processes, averages, priors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hybrid.base.errors import HybridError, InputError
from hybrid.formats.tensors import load_arrays
from hybrid.nnet.layers import BatchNorm
from hybrid.train.nnet.average import average_arrays, choose, keep_model, kept_models, renew_statistics
from hybrid.train.nnet.config import OptimiserConfig
from hybrid.train.nnet.corpus import fixed_examples, hold_out, usable_items
from hybrid.train.nnet.cross_entropy import CrossEntropy
from hybrid.train.nnet.data import FeatureCache
from hybrid.train.nnet.forward import amp_dtype
from hybrid.train.nnet.log import warn_of_range
from hybrid.train.nnet.loop import Loop
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.optimiser import Optimiser, parameter_groups
from hybrid.train.nnet.run import _maker, _network, train_network
from hybrid.train.nnet.schedule import learning_rate

CPU = torch.device("cpu")


@pytest.fixture
def network(task, source, config):
    return _network(task, source, config)


@pytest.fixture
def maker(task, source, config, network):
    items, failed = usable_items(source, task.targets, 0.5)
    return _maker(source, hold_out(items, failed, config.training), task, network, config)


@pytest.fixture
def log(caplog):

    caplog.set_level("INFO", logger="hybrid")
    return caplog


def test_learning_rates_by_hand() -> None:
    config = OptimiserConfig(learning_rate=0.01, final_learning_rate=0.0001)
    assert learning_rate(config, 0.0) == pytest.approx(0.01)
    assert learning_rate(config, 0.5) == pytest.approx(0.001)  # Kaldi's: the same factor for each hour
    assert learning_rate(config, 1.0) == pytest.approx(0.0001)
    cosine = replace(config, schedule="cosine", warmup=0.2)
    assert learning_rate(cosine, 0.1) == pytest.approx(0.005)
    assert learning_rate(cosine, 0.6) == pytest.approx((0.01 + 0.0001) / 2)
    assert learning_rate(replace(config, schedule="constant"), 0.7) == 0.01


def test_a_step_changes_no_more_than_allowed(network) -> None:
    config = OptimiserConfig(optimiser="sgd", learning_rate=1.0, clip=0.0, max_change=0.5, layer_max_change=0.2)
    optimiser = Optimiser(network, config)
    before = [p.detach().clone() for p in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimiser.step(1.0, optimiser.gradient_norm())
    changes = [float((p - old).norm()) for p, old in zip(network.parameters(), before)]
    assert max(changes) <= 0.2 + 1e-6
    assert math.sqrt(sum(c * c for c in changes)) == pytest.approx(0.5, rel=1e-4)


def test_gradients_are_clipped(network) -> None:
    optimiser = Optimiser(network, OptimiserConfig(optimiser="sgd", momentum=0.0, clip=0.1, learning_rate=1.0))
    before = [p.detach().clone() for p in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step(1.0, optimiser.gradient_norm())
    moved = math.sqrt(sum(float((p - old).square().sum()) for p, old in zip(network.parameters(), before)))
    assert moved == pytest.approx(0.1, rel=1e-4)


def test_decay_belongs_to_weights_and_outputs_have_their_own(network) -> None:
    config = OptimiserConfig(weight_decay=0.1, output_weight_decay=0.01, xent_factor=5.0)
    found = {}
    names = {id(p): n for n, p in network.named_parameters()}
    for group in parameter_groups(network, config):
        for parameter in group["params"]:
            found[names[id(parameter)]] = (group["weight_decay"], group["factor"])
    assert found["layers.0.linear.weight"] == (0.1, 1.0)
    assert found["layers.0.affine.bias"] == (0.0, 1.0)
    assert found["xent.output.weight"] == (0.01, 5.0) and found["xent.affine.weight"] == (0.1, 1.0)
    assert len(found) == len(names)


class Hungry(CrossEntropy):
    """Has memory for a few chunks at a time only."""

    most = 4

    def __call__(self, output, targets):  # type: ignore[no-untyped-def]
        if torch.is_grad_enabled() and len(targets) > self.most:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 123 bytes.")
        return super().__call__(output, targets)


def test_a_batch_too_large_for_memory_is_halved_and_training_goes_on(tmp_path, task, source, config, log) -> None:
    model = train_network(replace(task, objective=Hungry()), source, tmp_path / "x", config)
    assert "memory does not suffice for a batch of 7 chunks: from now on each is computed in 2 parts" in log.text
    assert model.path.exists()


def test_no_memory_for_one_chunk(tmp_path, task, source, config, monkeypatch) -> None:
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(
        HybridError, match="memory does not suffice for 1 chunks of up to 20 frames. Lower batch_frames"
    ):
        train_network(replace(task, objective=Hungry()), source, tmp_path / "x", config)


class Broken(CrossEntropy):
    """Gives NaN for some steps."""

    calls, bad = 0, range(3, 4)

    def __call__(self, output, targets):  # type: ignore[no-untyped-def]
        parts = super().__call__(output, targets)
        type(self).calls += 1
        return Parts(parts.loss * math.nan, parts.frames, parts.figures) if self.calls in self.bad else parts


def test_a_step_with_nan_is_left_out_and_told(tmp_path, task, source, config, log) -> None:
    Broken.calls = 0
    model = train_network(replace(task, objective=Broken()), source, tmp_path / "x", config)
    assert "step 2: the loss or its gradient is NaN or infinite (utterances s" in log.text
    assert "A learning rate that is too high, or broken audio, does this" in log.text
    assert all(np.isfinite(a).all() for a in model.acoustic_model.arrays().values())


def test_nothing_but_nan_stops_the_training(tmp_path, task, source, config, monkeypatch) -> None:
    monkeypatch.setattr(Broken, "bad", range(0, 10_000))
    with pytest.raises(HybridError, match="was NaN or infinite 20 times in a row. Lower the learning rate"):
        train_network(replace(task, objective=Broken()), source, tmp_path / "x", config)


def test_float16_is_refused_where_torch_lacks_it(tmp_path, task, source, config, change, monkeypatch) -> None:
    def autocast(kind, dtype):  # type: ignore[no-untyped-def]
        raise RuntimeError("Currently, AutocastCPU only support Bfloat16 as the autocast_cpu_dtype")

    monkeypatch.setattr(torch, "autocast", autocast)
    (tmp_path / "x" / "checkpoints").mkdir(parents=True)
    with pytest.raises(InputError, match="^amp: is float16, which torch .* cannot do on this CPU. Choose bfloat16 or"):
        train_network(task, source, tmp_path / "x", change(config, "training", amp="float16"))
    assert (tmp_path / "x" / "checkpoints").exists()


def test_float16_is_asked_of_torch_itself() -> None:
    if torch.__version__.startswith("1.13"):
        with pytest.raises(InputError, match="amp: is float16, which torch 1.13"):
            amp_dtype("float16", CPU)
    assert amp_dtype("bfloat16", CPU) is torch.bfloat16 and amp_dtype("none", CPU) is None


def test_what_takes_minutes_after_the_last_measurement_is_told(tmp_path, task, source, config, change, log) -> None:
    train_network(task, source, tmp_path / "x", change(config, "training", average=2))
    last = log.text[log.text.rindex("measurement 6") :]
    assert "measuring batch statistics of the average anew" in last and "measuring the prior: the mean" in last


def test_an_objective_beyond_its_range_explains_itself(log) -> None:
    warn_of_range(CrossEntropy(), {"objective": 0.2}, "held-out")
    assert "the cross-entropy objective on the held-out data is 0.2000 a frame, and can never exceed 0." in log.text
    log.clear()
    warn_of_range(CrossEntropy(), {"objective": -0.2}, "held-out")
    assert not log.text


def test_training_stops_early(tmp_path, task, source, config, change, log) -> None:
    # Nothing is learnt at such a rate, so that nothing gets better.
    settings = change(config, "optimiser", learning_rate=1e-12, final_learning_rate=1e-12)
    settings = change(settings, "training", epochs=50.0, patience=2)
    model = train_network(task, source, tmp_path / "x", settings)
    assert "no better measurement in the last 2: stopping early" in log.text
    assert len((model.path / "passes.tsv").read_text().splitlines()) < 30


def test_hours_of_audio_say_how_long(tmp_path, task, source, config, change) -> None:
    hours = sum(source.store.duration(u) for u in source.store.ids) / 3600
    model = train_network(task, source, tmp_path / "x", change(config, "training", hours=hours))
    last = (model.path / "passes.tsv").read_text().splitlines()[-1].split("\t")
    assert float(last[2]) == pytest.approx(hours, rel=0.1)


def test_models_are_kept_and_averaged(tmp_path, network) -> None:
    for number, objective in enumerate([-3.0, -1.0, -2.0], 1):
        for parameter in network.parameters():
            parameter.data.fill_(float(number))
        keep_model(tmp_path, network, number, objective, 2, best=True)
    assert [k.number for k in kept_models(tmp_path)] == [2, 3]
    assert [k.number for k in choose(kept_models(tmp_path), 1, best=True)] == [2]
    assert [k.number for k in choose(kept_models(tmp_path), 1, best=False)] == [3]
    mean = average_arrays(k.path for k in kept_models(tmp_path))
    assert (mean["prefinal.weight"] == 2.5).all() and mean["input_norm.batches"].shape == ()
    with pytest.raises(InputError, match="models: none is there to average"):
        average_arrays([])


def test_statistics_are_measured_anew(network, maker, config) -> None:
    norms = [m for m in network.modules() if isinstance(m, BatchNorm)]
    for norm in norms:
        norm.mean.fill_(9.0)
    examples = list(fixed_examples(maker, config.batches, 1, 10_000))
    renew_statistics(network, examples, CPU)
    frames = np.concatenate([e.features.reshape(-1, e.features.shape[2]) for e in examples])
    np.testing.assert_allclose(norms[0].mean.numpy(), frames.mean(0), atol=0.15)
    assert not network.training or all(n.momentum == 0.1 for n in norms)


@pytest.mark.parametrize("kind, error", [("float32", 0), ("float16", 0.01), ("uint8", 0.05)])
def test_a_cache_gives_back_what_the_first_epoch_saw(kind, error) -> None:
    features = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32) * 3
    cache = FeatureCache(kind, 1e6)
    seen = cache.put(0, features)
    np.testing.assert_array_equal(cache.get(0), seen)
    np.testing.assert_allclose(seen, features, atol=error)
    full = FeatureCache(kind, 10)
    np.testing.assert_array_equal(full.put(0, features), seen)  # what finds no room is rounded alike
    assert full.get(0) is None


def test_workers_change_nothing(tmp_path, task, source, config, change) -> None:
    short = change(config, "training", epochs=1.0)
    alone = train_network(task, source, tmp_path / "alone", short)
    helped = train_network(task, source, tmp_path / "helped", change(short, "batches", workers=1))
    one, other = (load_arrays(m.path / "final.safetensors")[0] for m in (alone, helped))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_orthonormal_constraint_is_called_every_fourth_step(tmp_path, task, source, config, monkeypatch) -> None:
    steps, called = [0], []
    done = Loop._step

    def step(self, batches):  # type: ignore[no-untyped-def]
        steps[0] += 1
        done(self, batches)

    monkeypatch.setattr(Loop, "_step", step)
    from hybrid.nnet.tdnnf import Tdnnf

    monkeypatch.setattr(Tdnnf, "constrain_", lambda self: called.append(steps[0]))
    train_network(task, source, tmp_path / "x", config)
    assert called == list(range(4, steps[0] + 1, 4))


def test_curves_want_tensorboard(tmp_path, monkeypatch) -> None:
    import sys

    from hybrid.base.errors import MissingDependencyError
    from hybrid.train.nnet.log import Curves

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        MissingDependencyError, match=r"--tensorboard needs the package .*pip install 'hybrid-asr\[tens"
    ):
        Curves(tmp_path, True)
    Curves(tmp_path, False).add({"step": 1.0})
