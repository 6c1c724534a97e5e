"""Features that are damaged while a network learns from them: told, counted, and never a model of nothing."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from hybrid.base.errors import HybridError, InputError
from hybrid.feats.cmvn import CmvnConfig
from hybrid.train.nnet.average import renew_statistics
from hybrid.train.nnet.checkpoint import TrainState
from hybrid.train.nnet.config import AugmentConfig
from hybrid.train.nnet.data import BatchMaker, Example
from hybrid.train.nnet.finish import average_model
from hybrid.train.nnet.run import _network, train_network
from hybrid.train.nnet.tasks import store_source

CPU = torch.device("cpu")


@pytest.fixture
def damaged(tmp_path, store):
    """A copy of the features with its blocks cut in half."""
    folder = shutil.copytree(store.path, tmp_path / "feats")
    for block in (folder / "blocks").glob("*.f32"):
        os.truncate(block, block.stat().st_size // 2)
    return store_source(folder, CmvnConfig(), AugmentConfig())


def test_truncated_features_end_the_training_with_place_and_cure(tmp_path, task, damaged, config, caplog) -> None:
    with pytest.raises(HybridError) as told:
        train_network(task, damaged, tmp_path / "x", config)
    text = str(told.value)
    assert r"utterances cannot be trained on (allowed: 50%, max_failed); the last, " in text
    assert "blocks/00000.f32: was changed or damaged: found hash " in text and "Copy or make" in text
    assert "step 0: utterance " in caplog.text and caplog.text.count("cannot be trained on") == 1
    assert not (tmp_path / "x" / "final.safetensors").exists()


@pytest.mark.parametrize("epochs, most", [(0.1, 0.5), (1.0, 1.0)])
def test_without_any_example_there_is_no_model(tmp_path, task, store, damaged, config, change, epochs, most) -> None:
    settings = change(config, "training", epochs=epochs, max_failed=most)
    for _ in range(2):
        with pytest.raises(HybridError, match="^nothing was learnt: none of .* steps .* last that failed, .*f32: "):
            train_network(task, damaged, tmp_path / "x", settings)
    shutil.rmtree(damaged.store.path / "blocks")
    shutil.copytree(store.path / "blocks", damaged.store.path / "blocks")
    fresh = store_source(damaged.store.path, CmvnConfig(), AugmentConfig())
    mended = train_network(task, fresh, tmp_path / "x", settings)
    whole = train_network(task, store_source(store.path, CmvnConfig(), AugmentConfig()), tmp_path / "y", settings)
    for name, array in whole.acoustic_model.arrays().items():
        assert (array == mended.acoustic_model.arrays()[name]).all(), name


def test_a_few_that_fail_are_told_and_left_out(tmp_path, task, source, config, monkeypatch, caplog) -> None:
    done, bad = BatchMaker._features, source.store.ids[3]

    def features(self, epoch, number, item):  # type: ignore[no-untyped-def]
        if item.name == bad:
            raise InputError.at("00000.f32", "is cut short", "Copy it again.")
        return done(self, epoch, number, item)

    monkeypatch.setattr(BatchMaker, "_features", features)
    model = train_network(task, source, tmp_path / "x", config)
    assert caplog.text.count(f"utterance {bad} cannot be trained on: 00000.f32: is cut short. Copy it again.") == 1
    assert f"1 utterances cannot be used so far; the last, {bad}: 00000.f32: is cut short." in caplog.text
    assert (model.path / "failed.txt").read_text() == f"{bad} 00000.f32: is cut short. Copy it again.\n"


def test_statistics_of_nothing_are_refused(tmp_path, task, source, damaged, config) -> None:
    network = _network(task, source, config)
    with pytest.raises(InputError, match="features: none can be used for batch statistics: b.f32: is gone"):
        renew_statistics(network, [Example(None, None, None, (), {"a": "b.f32: is gone"})], CPU)  # type: ignore[arg-type]
    trained = train_network(task, source, tmp_path / "x", config)
    with pytest.raises(InputError, match="none can be used for batch statistics: .*f32: was changed or damaged"):
        average_model(trained.path, tmp_path / "y", 2, False, damaged, CPU)


def test_what_is_learnt_is_known() -> None:
    assert TrainState(step=2, skipped=1, rows=[{"objective": -1.0}]).learnt
    assert not TrainState(step=2, skipped=2, rows=[{"objective": -1.0}]).learnt
    assert not TrainState(step=2, rows=[{"epoch": 1.0}]).learnt
