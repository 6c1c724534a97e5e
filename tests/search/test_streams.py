"""Streams: partial results, what is settled, committing; against the readable engine and whole utterances."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays
from hybrid.lattice.paths import best_path
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.engines.trace import begin_trace, extend, settle

SCALE = 0.5
CONFIG = SearchConfig(20.0, 5.0, 1000, 0, SCALE)
seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, frames=st.integers(0, 90), step=st.sampled_from([1, 7, 30]), beam=st.sampled_from([2.0, 20.0]))
def test_partial_results_are_the_reference_s(build, tools, seed, frames, step, beam) -> None:
    """A narrow beam with min-active keeps tokens alive that have no say in what is settled."""
    scores, config = tools.scores(seed, frames), SearchConfig(beam, 5.0, 1000, 8, SCALE)
    slow, fast = (build(e, tools.fst(seed, 12, 40), config).open() for e in ("reference", "native"))
    for begin in range(0, frames, step):
        slow.advance(scores[begin : begin + step])
        fast.advance(scores[begin : begin + step])
        one, two = slow.partial(), fast.partial()
        assert one.transition_ids.tolist() == two.transition_ids.tolist()
        assert one.word_ids.tolist() == two.word_ids.tolist()
        assert (one.settled_frames, one.settled_words) == (two.settled_frames, two.settled_words)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    frames=st.integers(1, 120),
    step=st.sampled_from([7, 30]),
    engine=st.sampled_from(["reference", "native"]),
)
def test_settled_words_never_change(build, tools, seed, frames, step, engine) -> None:
    scores = tools.scores(seed, frames)
    stream = build(engine, tools.fst(seed, 12, 40), CONFIG).open()
    settled: list[int] = []
    for begin in range(0, frames, step):
        stream.advance(scores[begin : begin + step])
        now = stream.partial()
        if not len(now.transition_ids):
            return
        assert now.transition_ids[: len(settled)].tolist() == settled
        assert np.count_nonzero(now.word_ids[: now.settled_words]) == now.settled_words <= len(now.word_ids)
        settled = now.transition_ids[: now.settled_frames].tolist()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, frames=st.integers(30, 120), step=st.sampled_from([5, 30]), share=st.sampled_from([0.4, 1.0]))
@pytest.mark.parametrize("engine", ["reference", "native"])
def test_committing_keeps_the_best_path(build, tools, engine, seed, frames, step, share) -> None:
    fst, scores = tools.fst(seed, 12, 40), tools.scores(seed, frames)
    searcher = build(engine, fst, CONFIG)
    (whole,) = searcher.search([scores])
    stream, parts, first = searcher.open(), [], 0
    for begin in range(0, frames, step):
        stream.advance(scores[begin : begin + step])
        now = stream.partial()
        assert now.first_frame == first and now.first_frame + now.num_frames == min(begin + step, frames)
        part = stream.commit(int(share * now.settled_frames))
        if part is not None:
            assert part.status == "committed" and part.first_frame == first
            parts.append(part)
            first += part.num_frames
    parts.append(stream.finish())
    assert sum(part.num_frames for part in parts) == frames
    if whole.empty or parts[-1].num_frames == 0:
        return
    assert parts[-1].status == whole.status
    paths = [best_path(part.lattice, SCALE) for part in parts]
    wanted = best_path(whole.lattice, SCALE)
    assert wanted is not None and all(path is not None for path in paths)
    total = sum(path.graph_score + SCALE * path.acoustic_score for path in paths)
    assert total == pytest.approx(wanted.graph_score + SCALE * wanted.acoustic_score, rel=1e-5, abs=1e-3)
    ours = [i for path in paths for i in path.transition_ids.tolist()]
    again = sum(SCALE * scores[t, i - 1] for t, i in enumerate(ours))
    assert len(ours) == frames and sum(SCALE * p.acoustic_score for p in paths) == pytest.approx(again, abs=1e-3)


def test_more_than_is_settled_cannot_be_committed(build, tools) -> None:
    for engine in ("reference", "native", "torch", "k2"):
        if engine == "k2":
            pytest.importorskip("k2")
        stream = build(engine, tools.fst(1), CONFIG).open()
        stream.advance(tools.scores(1, 3))
        with pytest.raises(ValueError, match="99 frames to be committed, [0-3] are settled"):
            stream.commit(99)
        assert stream.commit(0) is None


def test_memory_of_a_stream_that_commits_is_bounded(build, tools) -> None:
    scores = tools.scores(3, 400)
    stream = build("native", tools.fst(3, 12, 40), CONFIG).open()
    sizes = []
    for _ in range(20):
        for begin in range(0, 400, 40):
            stream.advance(scores[begin : begin + 40])
            stream.commit(stream.partial().settled_frames)
        sizes.append(stream.memory)
    assert max(sizes[10:]) <= 1.5 * max(sizes[:10]) and sizes[-1] < 100_000


def test_streams_share_the_memory_of_a_graph(build, tools) -> None:
    searcher = build("native", tools.fst(5, 2000, 6000), CONFIG)
    streams = [searcher.open() for _ in range(50)]
    searcher.advance(streams, [tools.scores(i, 3) for i in range(50)])
    assert all(stream.memory < 50_000 for stream in streams)  # nothing of the graph's size is a stream's own


def test_streams_in_threads_do_not_disturb_each_other(build, tools) -> None:
    searcher: NativeSearcher = build("native", tools.fst(7, 12, 40), CONFIG)
    wanted = [tools.arcs_of(searcher.search([tools.scores(i, 60)])[0].lattice) for i in range(8)]
    found: dict[int, list] = {}

    def work(number: int) -> None:
        stream = searcher.open()
        for begin in range(0, 60, 5):
            stream.advance(tools.scores(number, 60)[begin : begin + 5])
            stream.partial()
        found[number] = tools.arcs_of(stream.finish().lattice)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(8)] == wanted


@pytest.mark.parametrize("engine", ["reference", "native", "torch"])
def test_facts_for_an_end_by_hand(build, tools, engine: str) -> None:
    """Word 3 over transition-id 1, then silence, 2, which may end at a cost of 1; or id 3, after which nothing ends."""
    fst = FstArrays.from_arcs(
        0, np.array([0, 1, 2, 1]), np.array([1, 2, 2, 3]), np.array([3, 0, 0, 0]), np.array([1, 2, 2, 3]),
        np.zeros(4), np.array([np.inf, np.inf, 1.0, np.inf]),
    )  # fmt: skip
    stream, silent = build(engine, fst, CONFIG).open(), np.array([False, False, True, False, False, False])
    assert stream.partial().trailing_frames(silent) == 0 and stream.partial().final_loss == np.inf
    scores = np.full((3, tools.num_pdfs), -40.0, np.float32)
    scores[0, 0] = scores[1:, 1] = -2.0
    stream.advance(scores[:1])
    found = stream.partial()
    assert (found.trailing_frames(silent), found.final_loss) == (0, np.inf)
    stream.advance(scores[1:])
    found = stream.partial()
    assert (found.trailing_frames(silent), found.final_loss) == (2, 1.0)
    quiet = build(engine, fst, CONFIG).open()
    quiet.advance(np.array([[-2, -40, -40, 0, 0], [-40, -4, -2, 0, 0]], np.float32))
    assert quiet.partial().trailing_frames(silent) == 0
    assert quiet.partial().final_loss == pytest.approx(1 + SCALE * 2)


def test_k2_does_not_tell_what_an_end_costs(build, tools) -> None:
    pytest.importorskip("k2")
    assert build("k2", tools.fst(1), CONFIG).open().partial().final_loss is None


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_stream_given_up_in_the_middle_leaves_the_others_alone(build, tools, engine: str) -> None:
    searcher = build(engine, tools.fst(7, 12, 40), CONFIG)
    scores = [tools.scores(i, 60) for i in range(3)]
    streams = [searcher.open() for _ in range(3)]
    searcher.advance(streams, [each[:28] for each in scores])
    del streams[1]
    searcher.advance(streams, [scores[0][28:], scores[2][28:]])
    for stream, each in zip(streams, (scores[0], scores[2])):
        (alone,) = searcher.search([each])
        result = stream.finish()
        assert result.status == alone.status and tools.arcs_of(result.lattice) == tools.arcs_of(alone.lattice)


def test_trace_by_hand() -> None:
    """Start 0; two tokens from it; both survivors of frame 2 come from the first of them."""
    trace = begin_trace(np.full((1, 2), -1, np.int32))
    trace = extend(trace, np.array([[0, 10], [0, 11]], np.int32), np.full((2, 2), -1, np.int32))
    trace = extend(trace, np.array([[0, 20], [0, 21]], np.int32), np.array([[-1, -1], [-1, -1], [1, 30]], np.int32))
    assert trace.branch(2).tolist() == [10, 21, 30] and trace.trunk.tolist() == []
    trace = settle(trace, np.ones(3, bool))
    assert trace.trunk.tolist() == [10] and trace.branch(0).tolist() == [20] and trace.branch(2).tolist() == [21, 30]
    trace = extend(trace, np.array([[2, 40]], np.int32), np.array([[-1, -1]], np.int32))
    trace = settle(trace, np.ones(1, bool))
    assert trace.trunk.tolist() == [10, 21, 30, 40] and trace.branch(0).tolist() == []
    trace = trace.cut(3)
    assert trace.trunk.tolist() == [40]


def test_a_token_without_a_say_is_an_orphan_once_its_past_is_not_the_trunk() -> None:
    trace = begin_trace(np.full((1, 2), -1, np.int32))
    trace = extend(trace, np.array([[0, 10], [0, 11]], np.int32), np.full((2, 2), -1, np.int32))
    trace = extend(trace, np.array([[0, 20], [1, 21]], np.int32), np.full((2, 2), -1, np.int32))
    trace = settle(trace, np.array([True, False]))
    assert trace.trunk.tolist() == [10, 20] and trace.kin.tolist() == [True, False]
    trace = extend(
        trace, np.array([[1, 31], [0, 30]], np.int32), np.array([[-1, -1], [-1, -1], [0, 32], [1, 33]], np.int32)
    )
    assert trace.kin.tolist() == [False, True, False, True] and trace.branch(3).tolist() == [30, 33]
    trace = settle(trace, np.array([True, False, True, False]))  # only orphans have a say: nothing is settled
    assert trace.trunk.tolist() == [10, 20]


def test_a_stretch_that_only_min_active_keeps_alive_does_not_stop_settling(build) -> None:
    """State 0 waits for ever (a pause before the first word); the loop over states 1 and 2 is what is heard."""
    fst = FstArrays.from_arcs(
        0, np.array([0, 0, 1, 2]), np.array([1, 2, 3, 2]), np.array([0, 1, 2, 1]), np.array([0, 1, 2, 1]),
        np.zeros(4), np.array([np.inf, 0.0, 0.0]),
    )  # fmt: skip
    scores = np.full((200, 5), -30.0, np.float32)
    scores[0::2, 1] = scores[1::2, 2] = 0.0
    for engine in ("reference", "native"):
        stream = build(engine, fst, SearchConfig(5.0, 3.0, 1000, 100, SCALE)).open()
        stream.advance(scores)
        assert stream.partial().settled_frames > 150
