"""Named tuples whose arrays are handed on as pointers within kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from hybrid.base.compiled import kernel
from hybrid.lookahead.lent import lent


class Inner(NamedTuple):
    """What another tuple holds."""

    rows: np.ndarray


class Outer(NamedTuple):
    """A number, arrays of several types, and a tuple."""

    number: int
    scores: np.ndarray
    table: np.ndarray
    inner: Inner


@kernel
def _added(value, i):
    held = lent(value)
    held.scores[i] = held.number + held.table[2 * i + 1] + held.inner.rows[i]
    return held.scores[i]


def test_arrays_are_read_and_written_in_their_memory():
    value = Outer(1, np.zeros(3), np.arange(6, dtype=np.int32).reshape(3, 2), Inner(np.array([10, 20, 30], np.uint8)))
    assert _added(value, 2) == 1 + 5 + 30 and value.scores.tolist() == [0, 0, 36]
    assert lent(value) is value  # outside kernels


def test_arrays_with_gaps_cannot_be_lent():
    value = Outer(1, np.zeros(6)[::2], np.zeros((3, 2), np.int32), Inner(np.zeros(3, np.uint8)))
    with pytest.raises(TypingError, match="an array that is lent must lie in memory without gaps"):
        _added(value, 0)
