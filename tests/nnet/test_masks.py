"""The one mask of attention: by definition, and by what it says of itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.nnet.masks import Scope, attention_mask

scopes = st.one_of(
    st.builds(Scope, look_back=st.integers(-1, 4), look_ahead=st.integers(-1, 4)),
    st.builds(Scope, chunk=st.integers(1, 5), left_chunks=st.integers(-1, 3)),
)


def rows(mask: torch.Tensor) -> list[str]:
    return ["".join("x" if v else "." for v in row) for row in mask.tolist()]


@pytest.mark.parametrize("scope, drawn", [
    (Scope(), ["xxxx."] * 5),
    (Scope(look_back=1, look_ahead=0), ["x....", "xx...", ".xx..", "..xx.", "...x."]),
    (Scope(look_ahead=1), ["xx...", "xxx..", "xxxx.", "xxxx.", "xxxx."]),
    (Scope(chunk=2, left_chunks=0), ["xx...", "xx...", "..xx.", "..xx.", "....."]),
    (Scope(chunk=2), ["xx...", "xx...", "xxxx.", "xxxx.", "xxxx."]),
])  # fmt: skip
def test_drawn(scope, drawn) -> None:
    """An utterance of four frames in a batch of five."""
    assert rows(attention_mask(torch.tensor([4]), 5, scope)[0]) == drawn


@settings(max_examples=60, deadline=None)
@given(scope=scopes, lengths=st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_mask_is_what_each_frame_sees(scope, lengths) -> None:
    mask = attention_mask(torch.tensor(lengths), 12, scope)
    for n, length in enumerate(lengths):
        for t in range(12):
            first, last = scope.sees(t)
            last = length - 1 if last is None else min(last, length - 1)
            assert mask[n, t].nonzero().flatten().tolist() == list(range(first, last + 1))


@settings(max_examples=60, deadline=None)
@given(scope=scopes, first=st.integers(0, 9))
def test_a_piece_has_the_mask_of_its_place(scope, first) -> None:
    whole = attention_mask(torch.tensor([12]), 12, scope)[0]
    piece = attention_mask(torch.tensor([12 - first]), 12 - first, scope, torch.tensor([first]))[0]
    assert (piece == whole[first:, first:]).all()


@pytest.mark.parametrize("wrong, message", [
    ({"chunk": 2, "look_ahead": 1}, "chunk is given beside look_back or look_ahead"),
    ({"left_chunks": 1}, "left_chunks is 1 without chunk; wanted the frames of a chunk"),
    ({"look_ahead": -2}, "look_ahead is -2, wanted at least -1"),
])  # fmt: skip
def test_wrong_scopes(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        Scope(**wrong)
