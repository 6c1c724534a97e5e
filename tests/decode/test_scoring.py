"""Scores in batches: in order, within the bound, and a bad utterance alone has none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.decode.scoring import score_all
from hybrid.model.device import usable_device
from hybrid.model.protocol import AcousticModelBase


class Sums(AcousticModelBase):
    """Each frame's score is its sum; notes the shapes of its batches, and refuses utterances that begin with 13."""

    num_pdfs, feature_dim = 1, 2

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def to(self, device: str) -> Sums:
        return self

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if (features[:, 0, 0] == 13).any():
            raise ValueError("thirteen")
        self.shapes.append(tuple(features.shape[:2]))
        inside = torch.arange(features.shape[1])[None] < lengths[:, None]
        return torch.where(inside, features.sum(2), torch.zeros(()))[:, :, None], lengths


def utterance(value: float, frames: int) -> np.ndarray:
    return np.full((frames, 2), value, np.float32)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=12),
    bound=st.sampled_from([1, 15, 40, 10**6]),
)
def test_scores_come_in_order_and_batches_keep_to_the_bound(lengths, bound) -> None:
    features = ["silence" if n is None else utterance(i, n) for i, n in enumerate(lengths)]
    model = SimpleNamespace(acoustic_model=Sums())
    found = list(score_all(model, features, bound))  # type: ignore[arg-type]
    assert len(found) == len(features)
    for i, (one, scores) in enumerate(zip(features, found)):
        if isinstance(one, str) or i == 13:
            assert scores == one
        else:
            assert scores.shape == (len(one), 1) and (scores == 2 * i).all()
    for rows, frames in model.acoustic_model.shapes:
        assert rows == 1 or rows * frames <= bound
    if bound == 10**6:
        assert len(model.acoustic_model.shapes) <= 1


def test_a_bad_utterance_does_not_take_its_neighbours_along() -> None:
    model = SimpleNamespace(acoustic_model=Sums())
    one, bad, two = score_all(model, [utterance(1, 3), utterance(13, 3), utterance(2, 4)])  # type: ignore[arg-type]
    assert bad == "thirteen" and (one == 2).all() and (two == 4).all()


def test_devices_are_looked_for_at_once() -> None:
    assert str(usable_device("cpu")) == "cpu"
    with pytest.raises(InputError, match="device: is 'gpu'. Choose cpu, cuda or cuda:NUMBER."):
        usable_device("gpu")
    with pytest.raises(InputError, match="device: is 'mps'. Choose cpu, cuda or cuda:NUMBER."):
        usable_device("mps")
    with pytest.raises(InputError, match=r"device: is 'cuda:99', but \d+ GPUs can be used here. Choose cpu."):
        usable_device("cuda:99")
