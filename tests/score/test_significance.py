"""Bootstrap and matched pairs: worked examples, laws, Kaldi's compute-wer-bootci."""

from __future__ import annotations

import itertools
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.score.edits import UtteranceErrors, score_utterances
from hybrid.score.significance import (
    BootstrapConfig,
    confidence_interval,
    mapsswe,
    paired_bootstrap,
    segment_differences,
)

CONFIG = BootstrapConfig(replications=2000)


def errors(words: list[int], wrong: list[int]) -> UtteranceErrors:
    nothing = np.zeros(len(words), np.int64)
    names = tuple(f"u{i}" for i in range(len(words)))
    return UtteranceErrors(names, np.array(words), nothing, nothing, np.array(wrong))


def test_equal_utterances_have_no_spread() -> None:
    found = confidence_interval(errors([10, 10, 10], [2, 2, 2]), CONFIG)
    assert (found.low, found.high) == (20.0, 20.0)


def test_two_utterances_by_enumeration() -> None:
    # Resampled sets: (0,0) 1/4, (0,1) and (1,0) 1/2, (1,1) 1/4: rates 0, 50, 100.
    found = confidence_interval(errors([4, 4], [0, 4]), CONFIG)
    assert (found.low, found.high) == (0.0, 100.0)
    lead = paired_bootstrap(errors([4, 4], [0, 4]), errors([4, 4], [1, 4]), CONFIG)
    assert lead.difference == -12.5
    # The first is better unless only the second utterance was drawn, where they tie.
    assert lead.p_better == pytest.approx(0.75 + 0.25 / 2, abs=0.03)


def test_seed_decides() -> None:
    data = errors(list(range(1, 40)), [i % 5 % (i + 1) for i in range(1, 40)])
    assert confidence_interval(data, CONFIG) == confidence_interval(data, CONFIG)
    assert confidence_interval(data, CONFIG) != confidence_interval(data, BootstrapConfig(2000, seed=1))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_swapping_the_systems_swaps_the_signs(wrong: list[tuple[int, int]]) -> None:
    one, two = errors([5] * len(wrong), [a for a, _ in wrong]), errors([5] * len(wrong), [b for _, b in wrong])
    config = BootstrapConfig(replications=200)
    there, back = paired_bootstrap(one, two, config), paired_bootstrap(two, one, config)
    assert there.difference == pytest.approx(-back.difference)
    assert there.low == pytest.approx(-back.high)
    assert there.p_better == pytest.approx(1 - back.p_better)


def test_sets_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="same utterances"):
        paired_bootstrap(errors([1], [0]), errors([2], [0]), CONFIG)


@pytest.mark.parametrize("bad", [{"replications": 10}, {"level": 1.0}])
def test_bad_config(bad: dict) -> None:
    with pytest.raises(ValueError, match="wanted"):
        BootstrapConfig(**bad)


def test_segments_by_hand() -> None:
    reference = ["a", "b", "c", "d", "e", "f", "g", "h"]
    # First wrong at b; second wrong at d (one good word between: same segment); both right at e f g; first wrong at h.
    first, second = ["a", "X", "c", "d", "e", "f", "g", "X"], ["a", "b", "c", "X", "e", "f", "g", "h"]
    assert segment_differences(reference, first, second) == [0, 1]
    # An insertion between two good words separates runs: never two on end, so everything is one segment.
    assert segment_differences(["a", "b"], ["X", "a", "X", "b"], ["a", "b", "X"]) == [1]
    assert segment_differences(["a", "b"], ["a", "b"], ["a", "b"]) == []
    assert segment_differences([], ["a"], []) == [1]


@given(*[st.lists(st.sampled_from("abc"), max_size=10)] * 3)
def test_segments_add_up_to_the_difference(reference: list[str], first: list[str], second: list[str]) -> None:
    total = [int(score_utterances({"u": (reference, h)}).errors.sum()) for h in (first, second)]
    assert sum(segment_differences(reference, first, second)) == total[0] - total[1]


def test_mapsswe_by_hand() -> None:
    # Segment differences 1, 1, 0, 1 (first has more errors): mean 0.75, deviation 0.5, z = 0.75 / (0.5 / 2) = 3.
    reference = ["a"]
    triples = {str(i): (reference, ["x"], ["a"]) for i in range(3)}
    triples["3"] = (reference, ["x"], ["x"])
    found = mapsswe(triples)
    assert (found.segments, found.mean) == (4, 0.75)
    assert found.statistic == pytest.approx(3.0)
    assert found.p_value == pytest.approx(0.0027, abs=1e-5)


def test_mapsswe_of_equal_systems() -> None:
    assert mapsswe({"u": (["a"], ["b"], ["c"])}).p_value == 1.0
    assert mapsswe({}).segments == 0
    always = mapsswe({str(i): (["a"], ["b"], ["a"]) for i in range(5)})
    assert always.statistic == math.inf
    assert always.p_value == 0.0


@pytest.mark.peer
def test_interval_equals_kaldis(tmp_path: Path, kaldi_bin: Path) -> None:
    generator = np.random.default_rng(3)
    pairs = {}
    for i, size in enumerate(generator.integers(3, 20, 200)):
        reference = [str(w) for w in generator.integers(0, 50, size)]
        pairs[f"u{i:03}"] = reference, ["x" if generator.random() < 0.3 else w for w in reference]
    for name, column in (("ref", 0), ("hyp", 1)):
        (tmp_path / name).write_text("".join(" ".join([u, *p[column]]) + "\n" for u, p in pairs.items()))
    command = [kaldi_bin / "compute-wer-bootci", f"ark:{tmp_path}/ref", f"ark:{tmp_path}/hyp"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Set1: %WER 30.23 95% Conf Interval [ 28.11, 32.35 ]
    low, high = (float(x) for x in output.split("[")[1].split("]")[0].split(","))
    found = confidence_interval(score_utterances(pairs), BootstrapConfig())
    assert found.low == pytest.approx(low, abs=0.15)
    assert found.high == pytest.approx(high, abs=0.15)


def test_draws_are_whole_sets() -> None:
    from hybrid.score.significance import _draws

    blocks = list(_draws(7, BootstrapConfig(replications=1201)))
    assert sum(len(b) for b in blocks) == 1201
    assert all((b.sum(axis=1) == 7).all() for b in itertools.chain(blocks))
