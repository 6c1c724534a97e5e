"""Range checks of ids."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.base.errors import MismatchError
from hybrid.ids import check_range


def test_inside_and_empty():
    check_range("pdf_id", np.array([0, 3]), 0, 3, "scores")
    check_range("pdf_id", np.array([], np.int32), 0, 3, "scores")


@pytest.mark.parametrize("ids, wrong", [([0, 4], 4), ([-1, 2], -1)])
def test_outside(ids, wrong):
    with pytest.raises(MismatchError, match=rf"graph: pdf_id {wrong} lies outside 0–3. Compile it again."):
        check_range("pdf_id", np.array(ids), 0, 3, "graph", "Compile it again.")
