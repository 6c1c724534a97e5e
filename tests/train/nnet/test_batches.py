"""The plan of an epoch: all is covered, nothing is too large, and the same seed gives the same plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.train.nnet.batches import chunk_starts, plan_epoch
from hybrid.train.nnet.config import BatchConfig

LENGTHS = st.lists(st.integers(1, 900), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.integers(140, 3000), st.sampled_from([60, 90, 138]), st.integers(0, 5))
def test_chunks_lie_inside_and_cover_as_much_as_fits(frames: int, width: int, seed: int) -> None:
    starts = chunk_starts(frames, width, np.random.default_rng(seed))
    assert (starts >= 0).all() and (starts + width <= frames).all()
    assert len(starts) == max(1, round(frames / width)) and (np.diff(starts) >= 0).all()
    if len(starts) * width >= frames:  # overlaps, no gaps
        assert starts[0] == 0 and starts[-1] + width == frames
        assert (np.diff(starts) <= width).all()


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.sampled_from([(0,), (60,), (90, 60)]), st.integers(0, 3))
def test_each_utterance_comes_once_an_epoch_and_no_batch_is_too_large(lengths, widths, epoch) -> None:
    config = BatchConfig(chunk_frames=widths, batch_frames=600)
    batches = plan_epoch(lengths, config, 3, 1, epoch)
    items = np.concatenate([b.items for b in batches])
    frames = np.concatenate([b.frames for b in batches])
    assert set(items.tolist()) == set(range(len(lengths)))
    assert [b.number for b in batches] == list(range(len(batches)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * batch.frames.max() <= 600
    if widths == (0,):
        assert len(items) == len(lengths) and (frames > np.array(lengths)[items] - 3).all()
    else:
        assert (frames <= np.array(lengths)[items]).all() and frames.max() <= max(widths)


def test_a_plan_follows_from_seed_and_epoch() -> None:
    config = BatchConfig(chunk_frames=(60,), batch_frames=240)

    def plan(seed: int, epoch: int) -> list:
        return [(b.items.tolist(), b.starts.tolist())
                for b in plan_epoch([500, 300, 200, 77], config, 3, seed, epoch)]  # fmt: skip

    assert plan(1, 0) == plan(1, 0)
    assert plan(1, 0) != plan(1, 1) and plan(1, 0) != plan(2, 0)


def test_held_out_chunks_are_always_the_same() -> None:
    config = BatchConfig(chunk_frames=(60,), batch_frames=240)
    one = plan_epoch([500, 300], config, 3, 1, 0, shuffle=False)
    other = plan_epoch([500, 300], config, 3, 2, 5, shuffle=False)
    assert [b.starts.tolist() for b in one] == [b.starts.tolist() for b in other]


@pytest.mark.parametrize("settings, text", [
    ({"chunk_frames": (0, 60)}, "chunk_frames: wanted one or more lengths, or 0 alone for whole utterances"),
    ({"cache_type": "int4"}, "cache_type is 'int4', wanted float16, uint8 or float32"),
    ({"batch_frames": 0}, "batch_frames is 0, wanted at least 1"),
])  # fmt: skip
def test_settings_that_are_refused(settings, text) -> None:
    with pytest.raises(ValueError, match=text.split(",")[0]):
        BatchConfig(**settings)
