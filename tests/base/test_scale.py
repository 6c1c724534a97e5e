"""Settings that leave the acoustic scale to the model, in one place for all of them."""

from __future__ import annotations

import pytest

from hybrid.align.config import AlignConfig
from hybrid.search.config import SearchConfig


@pytest.mark.parametrize("config", [AlignConfig, SearchConfig])
def test_a_scale_that_nobody_states_is_told(config) -> None:
    assert config(acoustic_scale=0.5).scale == 0.5
    with pytest.raises(ValueError, match="acoustic_scale is not set, and no model at hand states one: give a number"):
        _ = config().scale
