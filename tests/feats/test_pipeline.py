"""What a model's pipeline puts beside the features."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.pipeline import FeaturePipeline


def test_speaker_vector_is_the_offset_of_a_transform() -> None:
    """Columns of zeros, which a speaker's transform moves to his vector; models without one keep their files."""
    plain = FeaturePipeline(cmvn=CmvnConfig(kind="none"))
    pipeline = FeaturePipeline(cmvn=CmvnConfig(kind="none"), speaker_dim=2)
    static = np.random.default_rng(0).normal(size=(5, 13)).astype(np.float32)
    assert pipeline.dim == 15 and not pipeline.apply(static)[:, 13:].any()
    vector = np.concatenate([np.eye(15), np.append(np.zeros(13), [0.5, -2.0])[:, None]], axis=1).astype(np.float32)
    found = pipeline.apply(static, speaker_transform=vector)
    np.testing.assert_array_equal(found, np.concatenate([static, np.tile(np.float32([0.5, -2.0]), (5, 1))], axis=1))
    assert FeaturePipeline.from_dict(pipeline.to_dict()) == pipeline and "speaker_dim" not in plain.to_dict()
    with pytest.raises(ValueError, match="speaker_dim is '-1', wanted 0 to 4096"):
        FeaturePipeline(speaker_dim=-1)
