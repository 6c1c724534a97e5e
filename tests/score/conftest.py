"""A lattice small enough to draw."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.lattice.lattice import Lattice
from lexicon.symbols import SymbolTable


@pytest.fixture
def words() -> SymbolTable:
    """Names of the word ids of `two_paths`."""
    return SymbolTable(("<eps>", "A", "B", "C"))


@pytest.fixture
def two_paths() -> Lattice:
    """Path `A B` (graph -1, acoustic -20) and path `C` (graph -3, acoustic -6)."""
    splits = np.array([0, 2, 3, 4, 4])
    following, ids = np.array([1, 2, 3, 3]), np.array([1, 2, 3, 4])
    words = np.array([1, 3, 2, 0])
    graph, acoustic = np.array([-1.0, -3, 0, 0]), np.array([-10.0, -3, -10, -3])
    final = np.array([-np.inf, -np.inf, -np.inf, 0])
    return Lattice(splits, following, ids, words, graph, acoustic, final, final)
