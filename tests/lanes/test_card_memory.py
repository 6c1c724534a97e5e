"""Memory of the kernels is laid out once, for more lanes than move; no Triton is needed to look at it."""

from __future__ import annotations

import numpy as np

from hybrid.lanes.card_memory import Layouts, rounded
from hybrid.lanes.lane_values import LaneWidths, place_graph
from tests.lanes.test_lanes import CPU, graph_of


def test_memory_is_laid_out_once_for_streams_that_come_and_go() -> None:
    graph, widths, layouts = graph_of(0), LaneWidths(5.0, 2.0, 100, 0, 0.5, 0.5), Layouts(25, 64)
    rng, parts, addresses = np.random.default_rng(0), set(), set()

    def chunk(lanes: int, frames: int = 10) -> None:
        part = layouts.part(graph, widths, lanes, frames, 4, lanes)
        assert len(part.lengths) == rounded(lanes) and part.frames.shape[1:] == (25, 4)
        assert part.rows.data_ptr() % 16 == part.counters.data_ptr() % 16 == part.waves[1].data_ptr() % 16 == 0
        parts.add(id(part))
        addresses.add(part.log_score.data_ptr())

    chunk(300)
    for lanes in rng.integers(1, 513, 200).tolist():
        chunk(lanes, int(rng.integers(1, 26)))
    assert layouts.laid == 1 and len(addresses) == 1 and len(parts) <= 10  # a part for each power of two
    chunk(600)
    assert layouts.laid == 2
    for lanes in range(1, 1025):
        chunk(lanes)
    assert layouts.laid == 2  # what is there for many serves few
    layouts.forget()
    for lanes in range(1, 257):
        chunk(lanes)
    assert layouts.laid == 2 + 9  # streams that begin one by one: at 1, 2, 4, … 256


def test_a_chunk_that_begins_with_more_tokens_than_expected_has_room() -> None:
    rows = np.array([(s + 1, 0, 0) for s in range(4999)] + [(0, 0, 0)], np.int32)
    bounds = np.array([(s, min(s + 1, 5000)) for s in range(5001)], np.int32)
    graph = place_graph(bounds, rows, CPU)
    layouts, widths = Layouts(2, 64), LaneWidths(5.0, 2.0, 100, 0, 0.5, 0.5)
    first = layouts.part(graph, widths, 1, 2, 4, 1000)
    assert first is layouts.part(graph, widths, 1, 2, 4, 1000) and len(first.sizes) < 3000
    assert len(layouts.part(graph, widths, 1, 2, 4, 3000).sizes) == 4 * len(first.sizes) and layouts.laid == 2
    assert len(layouts.part(graph, widths, 2, 2, 4, 1000).sizes) < 3000 and layouts.laid == 3  # rows for two
