"""The engine "torch": the lattices of the reference engine, in batches, streams and pieces; a full card."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays
from hybrid.lattice.paths import best_path
from hybrid.search.config import SearchConfig
from hybrid.search.together import torch_lanes, torch_search

SCALE = 0.5
NARROWER = "Use a narrower beam or fewer active tokens, or the engine native."
seeds = st.integers(0, 10**6)


def awkward(seed: int) -> FstArrays:
    """Chains of epsilons, self-loops, costs that tie, several finals, a dead end, an arc that nothing can take."""
    rng = np.random.default_rng(seed)
    arcs = [(s, 1 + s % 5, 0, s, 0.5) for s in range(9)]  # self-loops
    arcs += [(s, 1 + int(rng.integers(5)), int(rng.integers(3)), int(rng.integers(10)), int(rng.integers(4)) / 2)
             for s in range(8) for _ in range(3)]  # fmt: skip
    arcs += [(s, 0, int(rng.integers(2)), s + 1, 0.5) for s in (1, 2, 3, 6)]  # a chain of three, and one more
    arcs += [(1, 0, 0, 3, 1.0), (0, 2, 1, 9, 0.0), (4, 3, 0, 5, np.inf)]  # the chain's cost; a dead end; never
    columns = [np.array(column) for column in zip(*arcs)]
    finals = np.full(10, np.inf)
    finals[[5, 7, 8]] = [0.0, 0.5, 0.5]
    return FstArrays.from_arcs(0, *columns, finals)


@settings(max_examples=8, deadline=None)
@given(
    seed=seeds,
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    beam=st.sampled_from([2.0, 5.0, 30.0]),
    lattice_beam=st.sampled_from([1.0, 4.0, 20.0]),
    active=st.sampled_from([(0, 3), (2, 5), (0, 1000), (4, 1000)]),
)
@pytest.mark.parametrize("kind", ["random", "awkward"])
def test_it_keeps_what_the_reference_keeps(build, tools, kind, seed, lengths, beam, lattice_beam, active) -> None:
    fst = tools.fst(seed, 12, 40) if kind == "random" else awkward(seed)
    rng = np.random.default_rng(seed)
    scores = [tools.scores(seed + i, n) for i, n in enumerate(lengths)]
    if kind == "awkward":
        scores = [(rng.integers(-6, 3, (n, 5)) / 2).astype(np.float32) for n in lengths]  # ties
    config = SearchConfig(beam, lattice_beam, active[1], active[0], SCALE)
    wanted, plain, found = (build(engine, fst, config).search(scores) for engine in ("reference", "native", "torch"))
    for one, two, three in zip(wanted, plain, found):
        assert (one.status, one.limited_frames, one.num_frames) == (
            three.status,
            three.limited_frames,
            three.num_frames,
        )
        assert tools.arcs_of(one.lattice) == tools.arcs_of(two.lattice) == tools.arcs_of(three.lattice)


def test_kernels_make_the_lattice_of_the_reference(build, tools) -> None:
    pytest.importorskip("triton")
    config, scores = SearchConfig(4.0, 3.0, 6, 2, SCALE), [tools.scores(3, 4), tools.scores(4, 2)]
    wanted, twin, found = (build(e, awkward(5), config).search(scores) for e in ("reference", "torch", "triton"))
    assert [tools.arcs_of(one.lattice) for one in wanted] == [tools.arcs_of(one.lattice) for one in found]
    assert [one.status for one in wanted] == [one.status for one in found]
    assert [one.lattice for one in twin] == [one.lattice for one in found]  # in the same order too: programs may race


def test_lattices_of_all_lanes_at_once_are_those_made_one_by_one(build, tools) -> None:
    for seed, active in ((5, 50), (6, 3), (7, 1000)):
        searcher = build("torch", awkward(seed), SearchConfig(20.0, 4.0, active, 2, SCALE))
        scores = [tools.scores(seed + i, n) for i, n in enumerate((40, 33, 7, 1))]
        dead = np.full((9, 5), -np.inf, np.float32)
        dead[:, 4] = -1e9
        wanted, results = [], []
        for found in torch_lanes.search_together(searcher, [*scores, dead, scores[0][:0]], 4):
            wanted += found.plain_results()
            results += [*found.results(0, 2), *found.results(2, 9)]
        assert len(wanted) == len(results) == 6 and sum(len(one.lattice.next_states) for one in results) > 40
        for one, two in zip(wanted, results):
            assert one.lattice == two.lattice and one.status == two.status
            for name in (
                "row_splits",
                "transition_ids",
                "acoustic_scores",
                "final_graph_scores",
                "final_acoustic_scores",
            ):
                ours, theirs = getattr(two.lattice, name), getattr(one.lattice, name)
                assert ours.dtype == theirs.dtype and ours.flags.c_contiguous
            assert (one.limited_frames, one.num_frames) == (two.limited_frames, two.num_frames)


def test_a_lattice_is_the_same_to_the_byte_in_any_batch_order_or_chunks(build, tools) -> None:
    searcher = build("torch", awkward(5), SearchConfig(20.0, 8.0, 50, 2, SCALE))
    scores = [tools.scores(i, n) for i, n in enumerate((40, 33, 7))]
    wanted = [one.lattice for one in searcher.search(scores)]
    assert [one.lattice for one in searcher.search(scores[::-1])] == wanted[::-1]
    for length in (1, 10):
        stream = searcher.open()
        for begin in range(0, 40, length):
            stream.advance(scores[0][begin : begin + length])
        assert stream.finish().lattice == wanted[0]


@settings(max_examples=8, deadline=None)
@given(seed=seeds, frames=st.integers(1, 90), step=st.sampled_from([7, 30, 60]))
def test_partial_results_are_the_reference_s(build, tools, seed, frames, step) -> None:
    """Frames may be settled later: what lived before the last one must have one past, inside the beam or not."""
    scores, config = tools.scores(seed, frames), SearchConfig(8.0, 5.0, 1000, 4, SCALE)
    slow, fast = (build(engine, tools.fst(seed, 12, 40), config).open() for engine in ("reference", "torch"))
    settled: list[int] = []
    for begin in range(0, frames, step):
        slow.advance(scores[begin : begin + step])
        fast.advance(scores[begin : begin + step])
        one, two = slow.partial(), fast.partial()
        assert one.transition_ids.tolist() == two.transition_ids.tolist()
        assert one.word_ids.tolist() == two.word_ids.tolist()
        assert two.transition_ids[: len(settled)].tolist() == settled
        settled = two.transition_ids[: two.settled_frames].tolist()


@settings(max_examples=8, deadline=None)
@given(seed=seeds, frames=st.integers(30, 100), step=st.sampled_from([5, 30]), share=st.sampled_from([0.4, 1.0]))
def test_committing_keeps_the_best_path(build, tools, seed, frames, step, share) -> None:
    fst, scores, config = tools.fst(seed, 12, 40), tools.scores(seed, frames), SearchConfig(20.0, 5.0, 1000, 0, SCALE)
    (whole,) = build("reference", fst, config).search([scores])
    stream, parts = build("torch", fst, config).open(), []
    for begin in range(0, frames, step):
        stream.advance(scores[begin : begin + step])
        part = stream.commit(int(share * stream.partial().settled_frames))
        parts += [] if part is None else [part]
    parts.append(stream.finish())
    assert sum(part.num_frames for part in parts) == frames
    if whole.empty or parts[-1].num_frames == 0:
        return
    paths, wanted = [best_path(part.lattice, SCALE) for part in parts], best_path(whole.lattice, SCALE)
    assert parts[-1].status == whole.status and wanted is not None
    total = sum(path.graph_score + SCALE * path.acoustic_score for path in paths if path is not None)
    assert total == pytest.approx(wanted.graph_score + SCALE * wanted.acoustic_score, rel=1e-5, abs=1e-3)


def test_streams_begin_and_end_at_different_times_and_one_is_given_up(build, tools) -> None:
    fst, config = tools.fst(7, 12, 40), SearchConfig(20.0, 5.0, 1000, 0, SCALE)
    searcher = build("torch", fst, config)
    scores = [tools.scores(i, n) for i, n in enumerate((70, 31, 50, 12))]
    first, second, given_up = searcher.open(), searcher.open(), searcher.open()
    searcher.advance([first, second, given_up], [scores[0][:30], scores[1], scores[2][:3]])
    del given_up
    third = searcher.open()
    done = second.finish()
    searcher.advance([third, first], [scores[3], scores[0][30:]])
    results = [first.finish(), done, third.finish()]
    alone = searcher.search([scores[0], scores[1], scores[3]])
    for one, two in zip(results, alone):
        assert one.status == two.status and tools.arcs_of(one.lattice) == tools.arcs_of(two.lattice)


@pytest.mark.parametrize("step", [7, 10, 25])
def test_levels_of_streams_wait_on_the_device_until_they_are_pruned(build, tools, step) -> None:
    """They leave late, or when somebody asks; the lattice does not tell."""
    searcher = build("torch", awkward(5), SearchConfig(20.0, 4.0, 50, 2, SCALE))
    scores = [tools.scores(i, 180) for i in range(4)]
    wanted = searcher.search(scores)
    streams, early = [searcher.open() for _ in scores], []
    for begin in range(0, 180, step):
        searcher.advance(streams, [one[begin : begin + step] for one in scores[: len(streams)]])
        early.append(sum(len(piece.splits) - 1 for piece in streams[0].kept._waiting))
        if begin // step == 12:
            asked = streams[1].partial()
            assert asked.num_frames == begin + step and len(asked.transition_ids) == begin + step
        if begin // step == 14:
            streams.pop()  # given up: the others go on in other company
    assert early[0] == 0 and max(early) > 0  # waits first
    for stream, one in zip(streams, wanted):
        found = stream.finish()
        assert found.lattice == one.lattice and found.status == one.status and found.num_frames == 180
        assert found.limited_frames == one.limited_frames


def test_a_session_of_streams_lays_memory_out_when_they_open(build, tools) -> None:
    pytest.importorskip("triton")
    fst, config = tools.fst(7, 12, 40), SearchConfig(6.0, 3.0, 20, 0, 0.5)
    searcher, native = build("triton", fst, config), build("native", fst, config)
    scores, layouts = [tools.scores(i, n) for i, n in enumerate((6, 2, 4, 3))], searcher.code.card.layouts
    streams = [searcher.open() for _ in range(3)]
    laid = layouts.laid
    assert laid == 3  # for one, two and, from the third on, four
    searcher.advance(streams, [scores[0][:2], scores[1], scores[2][:2]])
    done = streams.pop(1).finish()
    searcher.advance(streams, [scores[0][2:3], scores[2][2:3]])
    streams.append(searcher.open())  # one ended, another begins
    searcher.advance(streams, [scores[0][3:5], scores[2][3:], scores[3][:1]])
    searcher.advance([streams[0], streams[2]], [scores[0][5:], scores[3][1:]])
    assert layouts.laid == laid
    wanted = native.search(scores)
    found = [streams[0].finish(), done, streams[1].finish(), streams[2].finish()]
    assert [tools.arcs_of(one.lattice) for one in found] == [tools.arcs_of(one.lattice) for one in wanted]


LENGTHS = 75, 24, 50, 25, 24, 1, 60, 24, 3


def test_a_lane_takes_the_next_utterance_when_one_ends(build, tools, monkeypatch) -> None:
    """The lattices do not tell how many lanes there were; lanes rest only where nothing waits."""
    searcher = build("torch", awkward(5), SearchConfig(20.0, 4.0, 50, 2, SCALE))
    scores = [tools.scores(i, n) for i, n in enumerate(LENGTHS)]
    scores[6][30:, :] = -np.inf
    scores[6][30:, 4] = -1e9  # dies within
    monkeypatch.setattr(torch_search, "LANES", 16)
    wanted, passed = searcher.search(scores), []
    pruned = searcher.code.pruned

    def counted(graph, level, frames, lengths, widths):  # type: ignore[no-untyped-def]
        passed.append(frames.shape[:2])
        return pruned(graph, level, frames, lengths, widths)

    searcher.code = searcher.code._replace(pruned=counted)
    for lanes in (1, 2, 3, 7):
        monkeypatch.setattr(torch_search, "LANES", lanes)
        searcher._lanes = 0
        passed.clear()
        found = searcher.search(scores)
        assert [one.lattice for one in found] == [one.lattice for one in wanted]
        assert [(one.status, one.limited_frames) for one in found] == [(o.status, o.limited_frames) for o in wanted]
        assert {n for n, _ in passed} == {lanes} and max(n for _, n in passed) <= 25
    passed.clear()
    monkeypatch.setattr(torch_search, "LANES", 2)
    searcher._lanes = 0
    searcher.search([tools.scores(0, n) for n in (75, 24, 24, 24)])
    assert passed == [(2, 25)] * 3  # two by two it took 75 and 24 frames


def test_what_ended_before_memory_was_full_is_kept(build, tools, monkeypatch, caplog) -> None:
    searcher = build("torch", tools.fst(7, 12, 40), SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    scores = [tools.scores(i, 19 + i) for i in range(6)]
    wanted = [one.lattice for one in searcher.search(scores)]
    pruned, lanes = searcher.code.pruned, []

    def full_once(graph, level, frames, lengths, widths):  # type: ignore[no-untyped-def]
        lanes.append(len(lengths))
        if len(lanes) == 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return pruned(graph, level, frames, lengths, widths)

    searcher.code = searcher.code._replace(pruned=full_once)
    monkeypatch.setattr(torch_search, "LANES", 4)
    searcher._lanes = 0
    assert [one.lattice for one in searcher.search(scores)] == wanted
    assert lanes[:3] == [4, 4, 1] and "2 utterances at once do not fit into cpu; going on with 1" in caplog.text


def test_a_batch_larger_than_memory_shrinks(build, tools, monkeypatch, caplog) -> None:
    searcher = build("torch", tools.fst(7, 12, 40), SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    scores = [tools.scores(i, 30 + 7 * i) for i in range(5)]
    wanted = [tools.arcs_of(one.lattice) for one in searcher.search(scores)]
    together, whole, sizes = torch_search.search_together, torch_search.TorchSearcher._move, []

    def little(searcher, utterances, lanes):  # type: ignore[no-untyped-def]
        if min(len(utterances), lanes) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return together(searcher, utterances, lanes)

    def short(self, streams, chunks):  # type: ignore[no-untyped-def]
        sizes.append(len(streams))
        if len(streams) > 2 and len(sizes) > 1:  # the first frames fitted
            raise torch.cuda.OutOfMemoryError("out of memory")
        whole(self, streams, chunks)

    monkeypatch.setattr(torch_search, "search_together", little)
    monkeypatch.setattr(torch_search.TorchSearcher, "_move", short)
    assert [tools.arcs_of(one.lattice) for one in searcher.search(scores)] == wanted
    assert "5 utterances at once do not fit into cpu; going on with 2" in caplog.text
    streams = [searcher.open() for _ in scores]
    searcher.advance(streams, scores)
    assert [tools.arcs_of(stream.finish().lattice) for stream in streams] == wanted
    assert caplog.text.count("going on with 2") == 2 and sizes[0] == 5

    def never(*_):  # type: ignore[no-untyped-def]
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch_search, "search_together", never)
    monkeypatch.setattr(torch_search.TorchSearcher, "_move", never)
    results = searcher.search(scores)
    assert {one.error for one in results} == {f"does not fit into the memory of cpu by itself. {NARROWER}"}


def test_an_utterance_larger_than_memory_fails_alone(build, tools, monkeypatch) -> None:
    searcher = build("torch", tools.fst(7, 12, 40), SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    scores = [tools.scores(i, 30 + 7 * i) for i in range(3)]
    wanted = [tools.arcs_of(one.lattice) for one in searcher.search(scores)]
    whole, together = torch_search.TorchSearcher._move, torch_search.search_together

    def little(searcher, utterances, lanes):  # type: ignore[no-untyped-def]
        if any(len(one) > 50 and one[50, 0] == 77 for one in utterances):
            raise torch.cuda.OutOfMemoryError("out of memory")
        return together(searcher, utterances, lanes)

    def short(self, streams, chunks):  # type: ignore[no-untyped-def]
        if any(len(chunk) and chunk[0, 0] == 77 for chunk in chunks):
            raise torch.cuda.OutOfMemoryError("out of memory")
        whole(self, streams, chunks)

    monkeypatch.setattr(torch_search, "search_together", little)
    monkeypatch.setattr(torch_search.TorchSearcher, "_move", short)
    large = np.zeros((60, tools.num_pdfs), np.float32)
    large[50, 0] = 77  # its beginning fits
    results = searcher.search([scores[0], large, *scores[1:]])
    assert results[1].failed and results[1].error.endswith(NARROWER)
    assert [tools.arcs_of(results[i].lattice) for i in (0, 2, 3)] == wanted
    streams = [searcher.open(), searcher.open()]
    errors = searcher.advance(streams, [scores[0], large])
    assert errors[0] == "" and errors[1].endswith(NARROWER)
    assert tools.arcs_of(streams[0].finish().lattice) == wanted[0]


def test_impossible_and_dead_utterances_leave_the_others_alone(build, tools) -> None:
    fst = tools.fst(1)
    fst = replace(fst, ilabels=np.minimum(fst.ilabels, 4))  # of pdf 4 there is no arc
    searcher = build("torch", fst, SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    good, dead = tools.scores(1, 40), np.full((40, 5), -np.inf, np.float32)
    late = good.copy()
    late[30] = -np.inf
    dead[:, 4] = late[30, 4] = 0
    alone, empty, other = searcher.search([good, dead, late])
    assert (alone.status, empty.status, other.status) == ("complete", "empty", "empty")
    assert other.num_frames == 40 and other.lattice.is_empty
    assert tools.arcs_of(alone.lattice) == tools.arcs_of(searcher.search([good])[0].lattice)
    stream = searcher.open()
    stream.advance(late)
    assert not len(stream.partial().transition_ids[30:])
