"""Linear transforms: by hand, composition, misuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.feats.transform import LinearTransform


def test_by_hand() -> None:
    swap = LinearTransform("swap", np.array([[0, 1, 5], [1, 0, 0]], np.float32), 2)
    assert swap(np.array([[1, 2]], np.float32)).tolist() == [[7, 1]]
    assert swap.is_affine and swap.dim == 2


@settings(max_examples=20, deadline=None)
@given(st.booleans(), st.booleans(), st.integers(0, 1000))
def test_composition_is_application_in_turn(first_affine: bool, second_affine: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    first = LinearTransform("a", random.standard_normal((3, 4 + first_affine)), 4)
    second = LinearTransform("b", random.standard_normal((2, 3 + second_affine)), 3)
    features = random.standard_normal((5, 4)).astype(np.float32)
    both = first.then(second)
    assert both.name == "a+b" and both.input_dim == 4
    np.testing.assert_allclose(both(features), second(first(features)), atol=1e-4)


def test_misuse() -> None:
    transform = LinearTransform("lda", np.ones((2, 3)), 3)
    with pytest.raises(InputError, match="'lda': was made for features of dimension 3, found 4"):
        transform(np.zeros((1, 4), np.float32))
    with pytest.raises(InputError, match="takes dimension 3, 'lda' gives 2"):
        transform.then(transform)
    with pytest.raises(InputError, match=r"has shape \(2, 3\), wanted \[out\]\[5\]"):
        LinearTransform("lda", np.ones((2, 3)), 5)
    with pytest.raises(InputError, match="holds NaN"):
        LinearTransform("lda", np.full((2, 3), np.nan), 3)


def test_the_matrix_lies_in_rows_as_a_file_gives_it_back():
    """BLAS rounds products with columns in another way: a training that went on before MLLT gave other models."""
    matrix = np.random.default_rng(0).normal(size=(40, 117)).astype(np.float32)
    columns = LinearTransform("lda", np.asfortranarray(matrix), 117)
    features = np.random.default_rng(1).normal(size=(90, 117)).astype(np.float32)
    assert columns.matrix.flags.c_contiguous
    assert np.array_equal(columns(features), LinearTransform("lda", matrix, 117)(features))
