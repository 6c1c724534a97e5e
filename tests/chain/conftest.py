"""Small chain models whose trees ask random questions about the neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Split, Table


@pytest.fixture(scope="session")
def chain_model() -> Callable[..., TransitionModel]:
    """Makes a chain model of phones 1 … `phones`, in a window, with other pdfs in random contexts."""

    def make(phones: int, width: int = 2, central: int = 1, seed: int = 0) -> TransitionModel:
        rng, number = np.random.default_rng(seed), iter(range(10**6))
        others = [p for p in range(width) if p != central]

        def ask(positions: list[int]) -> Split | Leaf:
            if not positions:
                return Leaf(next(number))
            values = tuple(sorted({0, *rng.choice(np.arange(1, phones + 1), max(1, phones // 2)).tolist()}))
            return Split(positions[0], values, ask(positions[1:]), ask(positions[1:]))

        leaves = [Table(PDF_CLASS_KEY, (ask(others), ask(others))) for _ in range(phones)]
        tree = ContextTree(width, central, Table(central, (None, *leaves)))
        return TransitionModel(HmmTopology.chain(range(1, phones + 1)), tree)

    return make


@pytest.fixture(scope="session")
def sentences() -> list[np.ndarray]:
    """Phone sequences of a language with habits: 1 is silence at both ends, some pairs are frequent."""
    rng = np.random.default_rng(11)
    step = rng.dirichlet(np.full(6, 0.3), 6)
    found = []
    for _ in range(60):
        phones = [1]
        for _ in range(int(rng.integers(0, 9))):
            phones.append(1 + int(rng.choice(6, p=step[phones[-1] - 1])))
        found.append(np.array([*phones, 1], np.int32))
    return found
