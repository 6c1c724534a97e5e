"""Parts of the native engine by themselves: room that runs out, and the choice of who goes on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays
from hybrid.search.config import SearchConfig
from hybrid.search.engines.widths import Widths, find_cutoff

FAN = 400  # epsilon arcs of one state, for which the first room of a level is far too short


def test_more_epsilons_than_there_was_room_for(build, tools) -> None:
    """Tokens, the stack and the hash table grow in the middle of the walk, and nothing is lost or met twice."""
    fan = np.arange(1, FAN + 1)
    sources = np.concatenate([np.zeros(FAN, int), fan, [2 * FAN + 1]])
    targets = np.concatenate([fan, fan + FAN, [2 * FAN + 1]])
    sources, targets = np.append(sources, fan + FAN), np.append(targets, np.full(FAN, 2 * FAN + 1))
    ids = np.concatenate([np.zeros(2 * FAN, int), [1], np.ones(FAN, int)])
    finals = np.full(2 * FAN + 2, np.inf)
    finals[-1] = 0.0
    costs = np.random.default_rng(0).random(len(ids))
    fst = FstArrays.from_arcs(0, sources, ids, np.zeros(len(ids), int), targets, costs, finals)
    config = SearchConfig(beam=50.0, lattice_beam=50.0, max_active=10**6, min_active=0, acoustic_scale=1.0)
    scores = np.zeros((2, 5), np.float32)
    native, reference = (build(engine, fst, config).search([scores])[0].lattice for engine in ("native", "reference"))
    assert native.num_arcs == 3 * FAN + 1
    assert tools.arcs_of(native) == tools.arcs_of(reference)


@given(
    seed=st.integers(0, 10**6), count=st.integers(2, 3000), most=st.integers(1, 200),
    beam=st.sampled_from([0.001, 1.0, 13.0, 1e30, np.inf]), ties=st.booleans(),
)  # fmt: skip
def test_the_score_at_place_max_active_is_exact(seed: int, count: int, most: int, beam: float, ties: bool) -> None:
    scores = -1000 + np.random.default_rng(seed).gamma(2.0, 3.0, count)
    scores = np.round(scores) if ties else scores
    cutoff, width, limited = find_cutoff(scores, Widths(beam, 6.0, most, 0, 1.0, 0.5, 25))
    inside = np.sort(scores[scores > scores.max() - beam])[::-1]
    if count > most and len(inside) >= most:
        assert (cutoff, limited) == (inside[most - 1], True) and width == scores.max() - cutoff + 0.5
    else:
        assert (cutoff, width, limited) == (scores.max() - beam, beam, False)
