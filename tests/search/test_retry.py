from __future__ import annotations

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import RetryConfig, SearchConfig
from hybrid.search.retry import search_with_retries


def fork() -> FstArrays:
    """Pdf 0 loops without end in state 0; pdf 1 leads to the final state, at a cost of 8."""
    return FstArrays.from_arcs(
        0, np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([0, 3, 0]), np.array([0, 1, 1]),
        np.array([0.0, 8.0, 0.0]), np.array([np.inf, 0.0]),
    )  # fmt: skip


# k2's beam is not strict: it widens where few states are active
@pytest.mark.parametrize("engine", ["reference", "native"])
def test_ladder_reaches_the_end(build, engine: str) -> None:
    config = SearchConfig(beam=5.0, lattice_beam=3.0, max_active=100, min_active=0, acoustic_scale=1.0)
    searcher = build(engine, fork(), config)
    scores = np.zeros((4, 5), np.float32)
    (first,) = searcher.search([scores])
    assert first.partial
    nothing, result, bad = search_with_retries(searcher, [scores[:0], scores, scores + np.nan])
    assert result.complete and [a.beam for a in result.attempts] == [5.0, 7.5, 11.25]
    assert nothing.failed and bad.failed and len(nothing.attempts) == len(bad.attempts) == 1  # no beam helps
    (given_up,) = search_with_retries(searcher, [scores], retry=RetryConfig(retries=1))
    assert given_up.partial and [a.beam for a in given_up.attempts] == [5.0, 7.5]
    assert given_up.attempts[-1].max_active == 150


def test_a_partial_result_is_kept_when_the_wider_search_is_no_better(build) -> None:
    config = SearchConfig(beam=5.0, lattice_beam=3.0, max_active=100, min_active=0, acoustic_scale=1.0)
    (result,) = search_with_retries(build("native", fork(), config), [np.array([[-np.inf] * 4 + [0]] * 2)])
    assert result.empty and result.lattice.num_states == Lattice.empty().num_states == 0
    assert len(result.attempts) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0.0}, "beam is 0, wanted more than 0"),
        ({"max_active": 100}, "min_active 200 is more than max_active 100"),
        ({"acoustic_scale": 0.0}, "acoustic_scale is 0, wanted more than 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchConfig(**settings)


def test_retry_settings() -> None:
    with pytest.raises(ValueError, match="retries is -1, wanted 0 to 20"):
        RetryConfig(retries=-1)
    assert RetryConfig(retries=0).ladder(SearchConfig()) == []
