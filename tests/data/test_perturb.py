"""Sets at other speeds and volumes."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.data.audio import write_audio
from hybrid.data.manifest import load_samples, read_cuts
from hybrid.data.noise import change_speed
from hybrid.data.perturb import PerturbConfig, perturb_set
from hybrid.data.sets import write_set
from hybrid.data.utterance import Utterance

RATE = 8000


@pytest.fixture
def cuts(tmp_path):
    rng = np.random.default_rng(0)
    items = []
    for name in ("a", "b"):
        samples = np.cumsum(rng.standard_normal(RATE)) / 400
        write_audio(tmp_path / f"{name}.wav", samples, RATE)
        items.append(Utterance(name, tmp_path / f"{name}.wav", "s1", "ONE TWO"))
    write_set(items, tmp_path / "set", "set", {})
    return tmp_path / "set"


def test_each_utterance_at_each_speed(tmp_path, cuts) -> None:
    assert perturb_set(cuts, tmp_path / "sp", PerturbConfig(speeds=(0.9, 1.0, 1.1))) == 6
    found = {u.id: u for u in read_cuts(tmp_path / "sp")}
    assert set(found) == {"a", "b", "sp0.9-a", "sp0.9-b", "sp1.1-a", "sp1.1-b"}
    slow = found["sp0.9-a"]
    assert slow.speaker == "sp0.9-s1" and found["a"].speaker == "s1" and slow.words == ["ONE", "TWO"]
    assert slow.duration == pytest.approx(1 / 0.9, abs=1e-3)
    plain, _ = load_samples(found["a"])
    samples, rate = load_samples(slow)
    ours = change_speed(plain, RATE, 0.9, RATE)
    assert rate == RATE and abs(len(samples) - len(ours)) <= 1
    count = min(len(samples), len(ours))
    middle = slice(200, count - 200)
    assert np.corrcoef(samples[:count][middle], ours[:count][middle])[0, 1] > 0.999


def test_volumes_lie_in_their_range_and_repeat(tmp_path, cuts) -> None:
    config = PerturbConfig(speeds=(1.0,), volume_low=0.2, volume_high=0.5)
    for name in ("one", "two"):
        perturb_set(cuts, tmp_path / name, config)
    plain = {u.id: load_samples(u)[0] for u in read_cuts(cuts)}
    one, two = ({u.id: load_samples(u)[0] for u in read_cuts(tmp_path / name)} for name in ("one", "two"))
    for name, samples in one.items():
        np.testing.assert_array_equal(samples, two[name])
        assert 0.2 <= np.dot(samples, plain[name]) / np.dot(plain[name], plain[name]) <= 0.5


def test_what_is_refused(tmp_path, cuts) -> None:
    with pytest.raises(ValueError, match="speeds is 3, wanted 0.5 to 2"):
        PerturbConfig(speeds=(3.0,))
    with pytest.raises(ValueError, match="volume_low is 2, more than volume_high"):
        PerturbConfig(volume_low=2.0)
    with pytest.raises(InputError, match="manifest is missing"):
        perturb_set(tmp_path / "none", tmp_path / "x", PerturbConfig())
