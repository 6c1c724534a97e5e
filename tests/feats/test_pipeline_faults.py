"""What a damaged config.yaml may hold where the settings of a pipeline stand."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid.base.errors import InputError
from hybrid.feats.pipeline import FeaturePipeline


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (None, "pipeline is 'None', wanted its settings"),
        ([1], "pipeline is '[1]', wanted its settings"),
        ({"transforms": 3}, "transforms are '3', wanted a list of names and dimensions"),
        ({"transforms": [None]}, "wanted a list of names and dimensions"),
        ({"transforms": [{"name": "lda", "input_dim": "x"}]}, "wanted a list of names and dimensions"),
        ({"transforms": [{"name": "lda", "input_dim": 3}]}, "the matrix of transform 0 is missing"),
    ],
)
def test_no_settings_of_a_pipeline(values: Any, told: str) -> None:
    with pytest.raises(InputError, match="config.yaml: ") as caught:
        FeaturePipeline.from_dict(values, {}, "config.yaml")
    assert told in str(caught.value)
