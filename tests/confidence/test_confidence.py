"""Facts of words, regressions, calibrations, measures: worked examples, brute force, laws, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybrid.base.errors import InputError, MismatchError
from hybrid.confidence.calibration import Calibration, CalibrationConfig, fit_calibration
from hybrid.confidence.facts import FEATURES, WordFacts, join, utterance_confidence, without_words, word_facts
from hybrid.confidence.quality import deferral, normalised_cross_entropy, reliability
from hybrid.confidence.regression import fit_isotonic, fit_logistic, isotonic_reference, sigmoid
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.trim import from_rows, no_paths
from lexicon.symbols import SymbolTable


def two_words():
    """A B (0.75) or A C (0.25), A for two frames; one frame of C before its end has another arc."""
    arcs = [
        (0, 1, 1, -1.0, -2.0, [7, 7]),
        (1, 2, 2, np.log(0.75), 0.0, [8, 8]),
        (1, 3, 3, np.log(0.25), 0.0, [9]),
        (3, 2, 0, 0.0, 0.0, [9]),
    ]
    return from_rows(arcs, {2: (0.0, 0.0, [])}, 4)


def test_facts_of_a_worked_example():
    compact = two_words()
    facts = word_facts(compact, mbr_decode(compact, 0.1), ["A", "BEE"], 0.1)
    assert facts.posterior == pytest.approx([1.0, 0.75])
    assert facts.letters.tolist() == [1, 3] and facts.frames.tolist() == [2, 2]
    assert facts.lm_score == pytest.approx([-1.0, np.log(0.75)])
    assert facts.depth.tolist() == [1, 2]
    matrix = facts.matrix()
    assert matrix.shape == (2, len(FEATURES)) and matrix[1] == pytest.approx(
        [np.log(3), np.log(3), np.log(2), np.log(0.75), np.log(2)]
    )
    assert matrix[0, 0] == pytest.approx(np.log(999))  # held: a lattice cannot be that sure
    with pytest.raises(ValueError, match="1 labels for 2 words"):
        word_facts(compact, mbr_decode(compact, 0.1), ["A"], 0.1)


def test_silence_is_no_word():
    compact, table = two_words(), SymbolTable(("<eps>", "<SIL>", "B", "C"))
    found = mbr_decode(without_words(compact, ["<SIL>"], table), 0.1)
    assert found.word_ids.tolist() == [2] and found.confidences == pytest.approx([0.75])
    assert without_words(compact, [], table) is compact
    with pytest.raises(InputError, match="words.txt: lacks the silent word 'X'. Name words of the graph."):
        without_words(compact, ["X"], table)


def test_facts_of_nothing():
    none = word_facts(no_paths(), mbr_decode(no_paths(), 1.0), [], 1.0)
    assert len(none) == 0 and none.matrix().shape == (0, len(FEATURES)) and utterance_confidence(none.posterior) == 0.0
    compact = two_words()
    one = word_facts(compact, mbr_decode(compact, 0.1), ["A", "B"], 0.1)
    assert len(join([one, none, one])) == 4 and len(join([])) == 0


def test_logistic_by_its_slope():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(400, 3))
    correct = random.random(400) < sigmoid(inputs @ np.array([1.0, -2.0, 0.0]) + 0.5)
    weights, bias = fit_logistic(inputs, correct, l2=0.5)

    def likelihood(w, b):
        chance = sigmoid(inputs @ w + b)
        return np.log(np.where(correct, chance, 1 - chance)).sum() - 0.25 * (w**2).sum() - 0.0005 * b**2

    best = likelihood(weights, bias)
    for step in 1e-3 * np.concatenate([np.eye(4), -np.eye(4)]):
        assert likelihood(weights + step[:3], bias + step[3]) < best
    parted, _ = fit_logistic(inputs[:, :1], inputs[:, 0] > 0, l2=1.0)  # without the pull it would run away
    assert np.isfinite(parted).all() and parted[0] < 20


def test_isotonic_equals_its_formula():
    assert [v.tolist() for v in fit_isotonic(np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1]))] == [
        [1.0, 2.5, 4.0], [0.0, 0.5, 1.0],
    ]  # fmt: skip
    random = np.random.default_rng(1)
    for _ in range(100):
        values, correct = random.integers(0, 12, 30) / 12.0, random.random(30) < 0.5
        knots, levels = fit_isotonic(values, correct)
        wanted = isotonic_reference(values, correct)
        pools = np.searchsorted((knots[1:] + knots[:-1]) / 2, values)
        assert np.all(np.diff(levels) > 0) and np.all(np.diff(knots) > 0)
        assert sorted(set(np.round(wanted, 9))) == pytest.approx(levels)
        assert len(pools) == len(values) and np.interp(values.min(), knots, levels) == levels[0]


def some_facts(count: int, seed: int = 0) -> tuple[WordFacts, np.ndarray]:
    """Posteriors that are too sure of themselves, as those of lattices are."""
    random = np.random.default_rng(seed)
    truth = random.random(count)
    correct = random.random(count) < truth
    others = [random.integers(1, 9, count).astype(float) for _ in range(3)]
    return WordFacts(
        sigmoid(3 * np.log(truth / (1 - truth))), others[0], others[1], -others[2], np.ones(count)
    ), correct


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_calibration_mends_what_is_too_sure(tmp_path, method):
    facts, correct = some_facts(4000)
    other, truth = some_facts(4000, 1)
    calibration = fit_calibration(facts, correct, 0.1, config=CalibrationConfig(method))
    values = calibration.apply(other)
    assert reliability(other.posterior, truth).error > 0.1 and reliability(values, truth).error < 0.03
    assert normalised_cross_entropy(values, truth) > normalised_cross_entropy(other.posterior, truth) + 0.2
    assert np.all((values > 0) & (values < 1)) and calibration.method == method
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration
    assert Calibration.load(tmp_path / "c.json").apply(other).tolist() == values.tolist()
    assert len(calibration.apply(join([]))) == 0


def test_measures_by_hand():
    confidence, correct = np.array([0.05, 0.95, 0.95, 0.55, 1.0]), np.array([0, 1, 0, 1, 1], bool)
    found = reliability(confidence, correct)
    assert found.counts.tolist() == [1, 1, 3] and found.accuracy == pytest.approx([0, 1, 2 / 3])
    assert found.error == pytest.approx((0.05 + 0.45 + 3 * abs(2.9 / 3 - 2 / 3)) / 5)
    assert normalised_cross_entropy(np.full(4, 0.5), np.array([1, 0, 1, 0])) == pytest.approx(0.0)
    assert normalised_cross_entropy(np.array([1.0, 0, 1, 0]), np.array([1, 0, 1, 0], bool)) == pytest.approx(
        1.0, abs=1e-4
    )
    assert normalised_cross_entropy(np.array([0.9]), np.array([True])) == 0.0
    errors, words = np.array([0, 5, 1, 4]), np.array([10, 10, 10, 10])
    curve = deferral(np.array([0.9, 0.5, 0.8, 0.1]), errors, words)
    assert curve.kept.tolist() == pytest.approx([25, 20, 5, 0]) and curve.ideal.tolist() == pytest.approx(
        [25, 50 / 3, 5, 0]
    )
    assert curve.gain(0.25) == pytest.approx(5 / (25 - 50 / 3)) and curve.kept_at(1.0) == 0
    assert deferral(np.array([0.5]), np.array([0]), np.array([3])).gain() == 0.0


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"features": ["colour", "letters", "frames", "lm_score", "depth"]},
            "knows no feature 'colour', wanted some of",
        ),
        ({"weights": [1.0]}, "has lists of unequal length"),
        ({"knots": [0.1, 0.2], "levels": [0.1, 0.2]}, "wants either features or knots"),
        ({"deviations": [0.0] * 5}, "deviations is 0, wanted more than 0"),
        ({"acoustic_scale": "x"}, "acoustic_scale is 'x', wanted a number"),
        ({"bias": 1e99}, "bias is 1e+99, wanted"),
        ({"more": 1}, "is no calibration of word confidences"),
    ],
)
def test_damaged_files(tmp_path, change, message):
    facts, correct = some_facts(100)
    file = tmp_path / "c.json"
    fit_calibration(facts, correct, 0.1).save(file)
    record = json.loads(file.read_text()) | change
    file.write_text(json.dumps(record))
    with pytest.raises(MismatchError):
        Calibration.load(file)
    (tmp_path / "c.json.meta.json").unlink()
    with pytest.raises(InputError) as error:
        Calibration.load(file)
    assert (
        message in str(error.value) and "hybrid confidence train" in str(error.value) and str(file) in str(error.value)
    )


def test_falling_levels():
    with pytest.raises(ValueError, match="has knots or levels that fall"):
        Calibration(0.1, knots=(0.1, 0.2), levels=(0.5, 0.4))


def test_too_little_to_fit():
    facts, correct = some_facts(20)
    with pytest.raises(InputError, match="20 words, .* of them right, wanted 50 or more of both kinds"):
        fit_calibration(facts, correct, 0.1)
    facts, correct = some_facts(60)
    with pytest.raises(InputError, match="60 words, 60 of them right"):
        fit_calibration(facts, np.ones(60, bool), 0.1)
    with pytest.raises(ValueError, match="method is 'x', wanted logistic or isotonic"):
        CalibrationConfig("x")
