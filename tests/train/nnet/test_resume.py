"""Killed at any moment, a training goes on to the same weights; and what a saved state refuses."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.train.nnet.average import average_arrays, kept_models
from hybrid.train.nnet.checkpoint import TrainState, load_state, network_arrays, save_state
from hybrid.train.nnet.data import Position
from hybrid.train.nnet.loop import Loop
from hybrid.train.nnet.optimiser import Optimiser
from hybrid.train.nnet.run import train_network

YAML = """
network: {architecture: tdnnf, dim: 16, bottleneck_dim: 8, prefinal_dim: 8, time_strides: [1, 1], first_context: 1,
          subsampling_factor: 1, chain: false, dropout: 0.1}
batches: {chunk_frames: [20], batch_frames: 160}
augment: {freq_masks: 1, freq_width: 2}
training: {epochs: 3, heldout: 4, checkpoint_minutes: 0, average: 2}
"""


class Killed(BaseException):
    """Stands for SIGKILL inside one process."""


def weights(model):  # type: ignore[no-untyped-def]
    return load_arrays(model.path / "final.safetensors")[0]


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("optimiser", ["adam", "sgd", "natural"])
def test_interrupted_anywhere_the_weights_are_the_same(tmp_path, task, source, config, change, monkeypatch, optimiser):
    settings = change(change(config, "training", checkpoint_minutes=0.0, average=2), "optimiser", optimiser=optimiser,
                      accumulate=2, max_change=2.0)  # fmt: skip
    settings = replace(settings, network={**settings.network, "dropout": 0.1})
    whole = train_network(task, source, tmp_path / "whole", settings)
    done = Loop._step
    chance = random.Random(3)

    def step(self, batches):  # type: ignore[no-untyped-def]
        if chance.random() < 0.1:
            raise Killed
        done(self, batches)
        if chance.random() < 0.1:
            raise Killed

    monkeypatch.setattr(Loop, "_step", step)
    kills, model = 0, None
    while model is None:
        try:
            model = train_network(task, source, tmp_path / "killed", settings)
        except Killed:
            kills += 1
    assert kills >= 3
    assert_same(weights(whole), weights(model))
    assert (whole.path / "passes.tsv").read_text() == (model.path / "passes.tsv").read_text()


def cut(path):  # type: ignore[no-untyped-def]
    path.write_bytes(path.read_bytes()[:-100])


def change_a_byte(path):  # type: ignore[no-untyped-def]
    path.write_bytes(path.read_bytes()[:-9] + b"\x3f" + path.read_bytes()[-8:])


@pytest.mark.parametrize("spoil, text", [
    (cut, "cannot be read as safetensors"), (change_a_byte, "was changed or damaged: found hash"),
])  # fmt: skip
def test_a_damaged_older_model_is_left_out(tmp_path, task, source, config, change, monkeypatch, caplog, spoil, text):
    settings, done = change(config, "training", average=10), Loop._step

    def step(self, batches):  # type: ignore[no-untyped-def]
        if len(self.state.rows) == 2:
            raise Killed
        done(self, batches)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Loop, "_step", step)
        train_network(task, source, tmp_path / "x", settings)
    first = tmp_path / "x/checkpoints/0001.safetensors"
    spoil(first)
    model = train_network(task, source, tmp_path / "x", settings)
    assert read_meta(model.path)["facts"]["averaged"] == [2, 3, 4, 5, 6]
    assert caplog.text.count(f"{first}: {text}") == 1
    assert "; it is left out, and renamed to 0001.safetensors.damaged" in caplog.text
    spoil(model.path / "checkpoints/0002.safetensors")
    cure = "0002.safetensors: .* Remove it: the training goes on, and an average is made, without it.$"
    with pytest.raises(HybridError, match=cure):
        average_arrays(kept.path for kept in kept_models(model.path))


@pytest.mark.slow
def test_sigkill_ten_times_and_the_same_final_weights(tmp_path, model, store) -> None:
    (tmp_path / "xent.yaml").write_text(YAML)

    def start(name: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "hybrid.cli.main", "nnet", "train", "--objective", "xent", "--config",
                   str(tmp_path / "xent.yaml"),
                   "--feats", str(store.path), "--model", str(model.path), "--ali", str(model.path),
                   "--out-dir", str(tmp_path / name)]  # fmt: skip
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    begin = time.monotonic()
    assert start("whole").wait() == 0
    seconds = time.monotonic() - begin
    chance, kills = random.Random(1), 0
    for _ in range(40):
        process = start("killed")
        try:
            process.wait(chance.uniform(0.3, 1.0) * seconds if kills < 10 else None)
            assert process.returncode == 0, process.stderr.read()
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 1
    one, other = (load_arrays(tmp_path / name / "final.safetensors")[0] for name in ("whole", "killed"))
    assert_same(one, other)


@pytest.fixture
def network(task, source, config):
    from hybrid.train.nnet.run import _network

    return _network(task, source, config)


def test_a_state_comes_back_to_the_last_bit(tmp_path, network, config) -> None:
    optimiser = Optimiser(network, config.optimiser)
    for parameter in network.parameters():
        parameter.grad = parameter.detach() * 0.1 + 1
    optimiser.step(0.01, optimiser.gradient_norm())
    state = TrainState(Position(2, 5), 7, 900, 2, {"frames": 3.0}, [{"number": 1.0}], {"u": "why"}, {}, 1, True)
    save_state(tmp_path / "s", network, optimiser, state, "me")
    before, held = network_arrays(network), optimiser.arrays()
    for parameter in network.parameters():
        parameter.data.zero_()
    fresh = Optimiser(network, config.optimiser)
    assert vars(load_state(tmp_path / "s", network, fresh, "me")) == vars(state)
    assert_same(before, network_arrays(network))
    assert_same(held, fresh.arrays())


@pytest.mark.parametrize("spoil, text", [
    (lambda p: p.write_bytes(p.read_bytes()[:200]), "cannot be continued"),
    (change_a_byte, "was changed or damaged: found hash"),
    (lambda p: save_arrays(p, {"network.x": np.zeros(2)}, {"record": "{"}), "cannot be continued"),
])  # fmt: skip
def test_a_damaged_state_is_not_used(tmp_path, network, config, caplog, spoil, text) -> None:
    optimiser = Optimiser(network, config.optimiser)
    save_state(tmp_path / "s", network, optimiser, TrainState(), "me")
    assert load_state(tmp_path / "s", network, optimiser, "another training") is None
    spoil(tmp_path / "s")
    with caplog.at_level("WARNING", logger="hybrid"):
        assert load_state(tmp_path / "s", network, optimiser, "me") is None
    assert text in caplog.text


@pytest.mark.parametrize("values, text", [
    ({"step": -1}, "counts that are no counts"),
    ({"parts": 0}, "counts that are no counts"),
    ({"stopped": 1}, "counts that are no counts"),
    ({"rows": [{"number": "1"}]}, "figures that are no numbers"),
    ({"failed": {"u": 1}}, "reasons that are no text"),
])  # fmt: skip
def test_what_no_training_counts_is_refused(values, text) -> None:
    with pytest.raises(ValueError, match=text):
        TrainState(**values)


@pytest.mark.parametrize("key, value, text", [
    ("step", -1.0, "step' with values that no optimiser has"),
    ("exp_avg_sq", -1.0, "exp_avg_sq' with values that no optimiser has"),
    ("exp_avg", np.nan, "exp_avg' with values that no optimiser has"),
    ("exp_avg", None, "exp_avg_sq, step of '.*', not the state of adam"),
])  # fmt: skip
def test_what_no_optimiser_holds_is_refused(network, config, key, value, text) -> None:
    optimiser = Optimiser(network, config.optimiser)
    for parameter in network.parameters():
        parameter.grad = parameter.detach() * 0.1 + 1
    optimiser.step(0.01, optimiser.gradient_norm())
    arrays = optimiser.arrays()
    spoiled = next(name for name in arrays if name.endswith(f"/{key}"))
    if value is None:
        del arrays[spoiled]
    else:
        arrays[spoiled] = np.full_like(arrays[spoiled], value)
    with pytest.raises(HybridError, match=f"^state: holds .*{text}"):
        Optimiser(network, config.optimiser).load(arrays, "state")


def test_a_model_of_another_tree_is_refused(network, tmp_path) -> None:
    from hybrid.train.nnet.checkpoint import load_network

    arrays = network_arrays(network)
    name = "xent.output.weight"
    arrays[name] = np.concatenate([arrays[name], arrays[name]])
    with pytest.raises(
        HybridError, match=r"holds 'xent.output.weight' of shape .* \(another tree, or other settings\)"
    ):
        load_network(network, arrays, "old.safetensors")
    del arrays[name]
    with pytest.raises(HybridError, match="old.safetensors: lacks the parameter 'xent.output.weight' of this network"):
        load_network(network, arrays, "old.safetensors")
