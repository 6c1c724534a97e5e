"""A network on features that speakers' transforms are applied to: trained and decoded on the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.adapt.sources import AdaptedFeatureFolder
from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.data.utterance import Utterance
from hybrid.feats.cmvn import CmvnConfig
from hybrid.gmm.speaker_transforms import save_transforms
from hybrid.train.nnet.config import AugmentConfig
from hybrid.train.nnet.run import train_network
from hybrid.train.nnet.tasks import store_source


@pytest.fixture
def transforms(tmp_path, model, store):
    rng = np.random.default_rng(0)
    dim = model.pipeline.dim
    found = {s: np.eye(dim, dim + 1, dtype=np.float32) + 0.1 * rng.standard_normal((dim, dim + 1)).astype(np.float32)
             for s in store.speakers()}  # fmt: skip
    save_transforms(tmp_path / "transforms.safetensors", found, model.tree.content_hash())
    return tmp_path, found


def test_training_and_decoding_see_the_same_features(tmp_path, transforms, task, config, model, store) -> None:
    folder, found = transforms
    source = store_source(store.path, CmvnConfig(), AugmentConfig(), model.path, folder)
    short = replace(config, training=replace(config.training, epochs=0.5))
    trained = train_network(task, source, tmp_path / "x", short)
    utterance = store.ids[4]
    seen = source.features(next(i for i in source.items()[0] if i.name == utterance), 0, 0)
    wanted = trained.scores(model.pipeline.features(store, utterance, found[store.speaker(utterance)]))
    np.testing.assert_allclose(trained.scores(seen), wanted, atol=1e-5)
    scores = list(AdaptedFeatureFolder(str(store.path), str(folder)).scores(trained, [Utterance(utterance)]))[0]
    np.testing.assert_allclose(np.asarray(scores), wanted, atol=1e-4)


def test_what_is_refused(tmp_path, transforms, store) -> None:
    with pytest.raises(
        InputError, match="--transforms: are of no use without the pipeline of their model. Give --like"
    ):
        store_source(store.path, CmvnConfig(), AugmentConfig(), None, transforms[0])
    with pytest.raises(InputError, match="--feats: cannot change speed or add noise and rooms"):
        store_source(store.path, CmvnConfig(), AugmentConfig(speeds=(0.9,)))
    words = [
        "decode",
        "--model",
        "m",
        "--graph",
        "g",
        "--cuts",
        "c",
        "--transforms",
        "t",
        "--out-dir",
        str(tmp_path / "o"),
    ]
    result = CliRunner().invoke(command, words)
    assert "--transforms goes with --feats" in result.output
