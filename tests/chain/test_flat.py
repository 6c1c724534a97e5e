"""Flat start: biphone trees by hand, texts' pdf sequences by enumeration, drawing by probability."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hybrid.chain.config import SupervisionConfig
from hybrid.chain.flat import biphone_tree, draw_path, text_numerator
from hybrid.chain.numerator import NumeratorError, aligned_numerator
from hybrid.chain.reference import pdf_sequences
from hybrid.chain.supervision import require_room
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import read_tree

SETS = ((1,), (2, 3), (4,))  # 1 is silence


def optional_silence() -> FstArrays:
    """1? 2 (3 | 4) 1?: silences with probability 0.25, 4 with 0.1."""
    rows = [(0, 1, 1, 0.25), (0, 2, 2, 0.75), (1, 2, 2, 1.0), (2, 3, 3, 0.9), (2, 4, 3, 0.1), (3, 1, 4, 0.25)]
    sources, phones, to, probabilities = (np.array(column) for column in zip(*rows))
    finals = np.array([np.inf, np.inf, np.inf, -math.log(0.75), 0.0])
    costs = -np.log(probabilities)
    return FstArrays.from_arcs(0, sources, phones, phones, to.astype(np.int32), costs, finals)


def test_every_pair_has_its_own(tmp_path):
    tree = biphone_tree(SETS, [1], [np.array([1, 2, 4])])
    assert tree.num_pdfs == 2 * (1 + 4 + 4)  # 1 alone; the others after the beginning, 1, 2 or 3, and 4
    assert tree.pdf_id((2, 4), 0) == tree.pdf_id((3, 4), 0) != tree.pdf_id((0, 4), 0)
    assert tree.pdf_id((2, 1), 0) == tree.pdf_id((0, 1), 0) != tree.pdf_id((2, 1), 1)
    seen = {tree.pdf_id((left, phone), c) for left in range(5) for phone in range(1, 5) for c in (0, 1)}
    assert seen == set(range(tree.num_pdfs))
    tree.write(tmp_path / "tree")
    assert read_tree(tmp_path / "tree").content_hash() == tree.content_hash()
    assert TransitionModel(HmmTopology.chain([1, 2, 3, 4]), tree).num_pdfs == tree.num_pdfs


def test_rare_pairs_share():
    data = [np.array([1, 2, 4, 1]), np.array([1, 3, 4])]  # after 1 comes 2 or 3 twice; after those 4 twice
    tree = biphone_tree(SETS, [1], data, min_count=2)
    assert tree.num_pdfs == 2 * (1 + 2 + 2)
    assert tree.pdf_id((1, 2), 0) == tree.pdf_id((1, 3), 0) != tree.pdf_id((4, 2), 0) == tree.pdf_id((0, 3), 0)


def test_text_is_every_way_and_duration():
    model = TransitionModel(HmmTopology.chain([1, 2, 3, 4]), biphone_tree(SETS, [1], []))
    numerator, config = text_numerator(optional_silence(), 16, model), SupervisionConfig(3)
    wanted: set[tuple[int, ...]] = set()
    for first, second, last in itertools.product(((1,), ()), (3, 4), ((1,), ())):
        phones = np.array([*first, 2, second, *last])
        durations = np.array([*[1] * (len(phones) - 1), 16 - len(phones) + 1])
        wanted |= pdf_sequences(aligned_numerator(phones, durations, model), config, timed=False)
    assert pdf_sequences(numerator, config, timed=False) == wanted
    with pytest.raises(NumeratorError, match="3 frames give 1 of output, too few for 2 phones"):
        require_room(text_numerator(optional_silence(), 3, model), config, timed=False)


def test_paths_are_drawn_by_their_probability():
    rng, graph = np.random.default_rng(0), optional_silence()
    drawn = [tuple(draw_path(graph, rng).tolist()) for _ in range(4000)]
    assert np.mean([path[0] == 1 for path in drawn]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([4 in path for path in drawn]) == pytest.approx(0.1, abs=0.02)
    assert set(drawn) == {(*a, 2, b, *c) for a, b, c in itertools.product(((1,), ()), (3, 4), ((1,), ()))}


def test_a_phone_of_no_set_is_told():
    model = TransitionModel(HmmTopology.chain([1, 2, 3]), biphone_tree(SETS[:2], [1], []))
    with pytest.raises(NumeratorError, match="has phone 4, which the tree does not have"):
        text_numerator(optional_silence(), 30, model)
