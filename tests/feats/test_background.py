"""Digital silence within speech is filled with noise at the recording's own level, and nothing else is touched."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.feats.background import Background, filled

RATE = 8000
STEP = 1 / 32768


def sound(level: float, seconds: float, seed: int = 0) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    """Digital silence as converters leave it: zeros and single steps of 16 bits."""
    return (np.random.default_rng(1).integers(-1, 2, int(seconds * RATE)) * STEP).astype(np.float32)


def test_only_silence_is_filled_at_the_quietest_level() -> None:
    parts = [
        sound(0.1, 1),
        sound(0.002, 1),
        silence(0.09),
        sound(0.1, 1),
        silence(2),
        sound(0.1, 1),
        np.zeros(800, "f"),
    ]
    samples, places = np.concatenate(parts), np.cumsum([0, *map(len, parts)])
    out = filled(samples, RATE)
    for i, part in enumerate(parts):
        now = out[places[i] : places[i + 1]]
        if i in (4, 6):
            assert 0.0015 < np.std(now) < 0.0025 and not np.any(now == 0)
        else:
            assert np.array_equal(now, part)
    assert filled(samples[: places[4]], RATE) is not None and np.array_equal(filled(parts[0], RATE), parts[0])


def test_levels_stay_within_what_rooms_have() -> None:
    for level, wanted in ((0.0001, -70), (0.3, -45)):
        out = filled(np.concatenate([sound(level, 1), np.zeros(RATE, np.float32)]), RATE)
        assert abs(20 * np.log10(np.std(out[RATE:])) - wanted) < 1
    assert abs(20 * np.log10(np.std(filled(np.zeros(RATE, np.float32), RATE))) + 60) < 1
    assert len(filled(np.zeros(0, np.float32), RATE)) == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.1]), st.floats(0, 0.5)), max_size=8), st.integers(1, 3000))
def test_a_stream_is_filled_alike_however_it_is_cut(parts: list[tuple[float, float]], size: int) -> None:
    samples = np.concatenate([np.zeros(0, np.float32), *(sound(*part, seed=i) for i, part in enumerate(parts))])
    whole, pieces = Background(RATE), Background(RATE)
    cut = [pieces.advance(samples[i : i + size]) for i in range(0, len(samples), size)]
    out = whole.advance(samples)
    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *cut]), out)
    loud = np.abs(samples) > 1.5 * STEP
    assert np.array_equal(out[loud], samples[loud])


def test_a_stream_knows_what_it_has_heard_and_no_more() -> None:
    stream = Background(RATE)
    first = stream.advance(np.zeros(RATE, np.float32))
    assert not first[:80].any() and abs(20 * np.log10(np.std(first[81:])) + 60) < 1
    stream.advance(sound(0.003, 1))
    assert 0.0025 < np.std(stream.advance(np.zeros(RATE, np.float32))[81:]) < 0.0035
