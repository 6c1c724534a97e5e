"""Any model in chunks: its scores are those of whole utterances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.model.kinds import kind_named, kind_of, register
from hybrid.model.protocol import AcousticModel, AcousticModelBase, score_one


@register("test-convolution")
class Convolution(AcousticModelBase):
    """Each score sees the features from `left` before to `right` after it."""

    def __init__(self, left: int = 5, right: int = 5, factor: int = 3, dim: int = 2, pdfs: int = 4) -> None:
        self.left_context, self.right_context, self.subsampling_factor = left, right, factor
        self.feature_dim, self.num_pdfs = dim, pdfs
        generator = torch.Generator().manual_seed(left + 10 * right)
        self.weight = torch.randn(pdfs, dim, left + 1 + right, generator=generator)

    def to(self, device: str) -> "Convolution":
        return self

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inside = (torch.arange(features.shape[1])[None] < lengths[:, None])[:, :, None]
        padded = torch.nn.functional.pad(
            torch.where(inside, features, 0.0), (0, 0, self.left_context, self.right_context)
        )
        out = torch.nn.functional.conv1d(padded.mT, self.weight, stride=self.subsampling_factor).mT
        counts = torch.tensor([self.num_frames(int(n)) for n in lengths])
        inside = (torch.arange(out.shape[1])[None] < counts[:, None])[:, :, None]
        return torch.where(inside, out, 0.0), counts


def data(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 2)).astype(np.float32)


models = st.builds(Convolution, st.integers(0, 7), st.integers(0, 7), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(model=models, lengths=st.lists(st.integers(0, 40), min_size=1, max_size=3), chunk=st.integers(1, 50))
def test_chunks_equal_the_whole(model, lengths, chunk) -> None:
    whole = [score_one(model, data(n, n)) for n in lengths]
    streams = [model.open() for _ in lengths]
    parts: list[list[np.ndarray]] = [[] for _ in lengths]
    for begin in range(0, max(lengths) + chunk, chunk):
        open_ = [i for i, s in enumerate(streams) if not s.ended]
        pieces = [data(lengths[i], lengths[i])[begin : begin + chunk] for i in open_]
        last = [begin + chunk >= lengths[i] for i in open_]
        for i, scores in zip(open_, model.advance([streams[i] for i in open_], pieces, last)):
            parts[i].append(scores.numpy())
    for wanted, part, length in zip(whole, parts, lengths):
        found = np.concatenate(part)
        assert found.shape == wanted.shape == (model.num_frames(length), 4)
        assert np.allclose(found, wanted, atol=1e-5)


def test_scores_come_as_soon_as_they_are_known_and_memory_is_bounded() -> None:
    model = Convolution(5, 5, 3)
    stream = model.open()
    assert [len(model.advance([stream], [data(i, 1)])[0]) for i in range(12)] == [0] * 5 + [1, 0, 0, 1, 0, 0, 1]
    for i in range(50):
        model.advance([stream], [data(i, 30)])
    assert len(stream._kept) <= 5 + 5 + 3


def test_a_batch_equals_its_utterances_and_ignores_padding() -> None:
    model = Convolution()
    batch = torch.full((2, 9, 2), float("nan"))
    batch[0, :9], batch[1, :4] = torch.from_numpy(data(1, 9)), torch.from_numpy(data(2, 4))
    scores, lengths = model.scores(batch, torch.tensor([9, 4]))
    assert lengths.tolist() == [3, 2] and (scores[1, 2:] == 0).all()
    assert np.allclose(scores[1, :2].numpy(), score_one(model, data(2, 4)), atol=1e-6)


def test_the_band_of_an_alignment_is_cut_out_of_the_scores() -> None:
    model, features = Convolution(), data(3, 20)
    score = model.band(features, np.array([3, 1]))
    assert np.array_equal(score(2, 5, np.array([1, 0])), score_one(model, features)[2:5][:, [1, 3]])


def test_wrong_use_is_told() -> None:
    model = Convolution()
    stream = model.open()
    with pytest.raises(InputError, match=r"features: have shape \(3, 5\), wanted \[frames\]\[2\]"):
        model.advance([stream], [np.zeros((3, 5))])
    with pytest.raises(InputError, match="streams: 1 streams but 2 chunks"):
        model.advance([stream], [data(0, 1), data(0, 1)])
    model.advance([stream], [data(0, 1)], [True])
    with pytest.raises(InputError, match="stream: has ended already. Open another one"):
        model.advance([stream], [data(0, 1)])


def test_kinds_are_registered_once() -> None:
    assert kind_named("test-convolution", "c.yaml") is Convolution and kind_of(Convolution()) == "test-convolution"
    assert isinstance(Convolution(), AcousticModel)
    with pytest.raises(ValueError, match="kind 'test-convolution' is registered already, for .*Convolution"):
        register("test-convolution")(dict)
    with pytest.raises(InputError, match=r"c.yaml: kind is 'tdnn'; wanted one of gmm, .*test-convolution.*\. Import"):
        kind_named("tdnn", "c.yaml")
    with pytest.raises(TypeError, match="no kind of model is registered for object"):
        kind_of(object())  # type: ignore[arg-type]
