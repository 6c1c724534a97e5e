"""What every engine must do: laws on random graphs, against brute force and against each other."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError, InputError
from hybrid.decode.system import SystemSpec, load_system
from hybrid.formats.openfst import FstArrays
from hybrid.lattice.paths import best_path
from hybrid.search.choose import choose_engine, make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.engines.k2 import K2Searcher
from hybrid.search.engines.k2_config import K2Config

SCALE = 0.5
WIDE = SearchConfig(beam=1000.0, lattice_beam=1000.0, max_active=10**6, min_active=0, acoustic_scale=SCALE)
seeds = st.integers(0, 10**6)
few = settings(max_examples=25, deadline=None)
OWN = ["reference", "native", "torch"]
every_engine = pytest.mark.parametrize("engine", [*OWN, pytest.param("k2", marks=pytest.mark.k2)])
own_engines = pytest.mark.parametrize("engine", OWN)


def linear() -> FstArrays:
    """Transition-ids 1 (word 3) then 2, then 2 for ever; final cost 1."""
    return FstArrays.from_arcs(
        0, np.array([0, 1, 2]), np.array([1, 2, 2]), np.array([3, 0, 0]), np.array([1, 2, 2]),
        np.array([0.5, 0.25, 0.125]), np.array([np.inf, np.inf, 1.0]),
    )  # fmt: skip


@every_engine
def test_by_hand(build, engine: str) -> None:
    scores = np.zeros((3, 5), np.float32)
    scores[0, 0], scores[1, 1], scores[2, 1] = -1, -2, -3
    (result,) = build(engine, linear(), WIDE).search([scores])
    path = best_path(result.lattice, SCALE)
    assert result.status == "complete" and path is not None
    assert path.transition_ids.tolist() == [1, 2, 2] and path.word_ids.tolist() == [3]
    assert path.acoustic_score == pytest.approx(-6) and path.graph_score == pytest.approx(-1.875)
    assert result.num_frames == 3 and result.lattice.num_frames == 3


@every_engine
@few
@given(seed=seeds, frames=st.integers(1, 4))
def test_wide_search_finds_every_path(build, tools, engine: str, seed: int, frames: int) -> None:
    fst, scores = tools.fst(seed), tools.scores(seed + 1, frames)
    wanted = tools.enumerate_paths(fst, scores, SCALE)
    (result,) = build(engine, fst, WIDE).search([scores])
    assert result.complete == bool(wanted)
    if wanted:
        found = tools.lattice_paths(result.lattice, SCALE)
        assert found.keys() == wanted.keys()
        assert all(found[k] == pytest.approx(wanted[k], rel=1e-5, abs=1e-4) for k in wanted)


@every_engine
@few
@given(seed=seeds, frames=st.integers(1, 4), lattice_beam=st.sampled_from([0.5, 2.0, 5.0]))
def test_lattice_holds_the_paths_within_its_beam(build, tools, engine, seed, frames, lattice_beam) -> None:
    fst, scores = tools.fst(seed), tools.scores(seed + 1, frames)
    wanted = tools.enumerate_paths(fst, scores, SCALE)
    config = SearchConfig(1000.0, lattice_beam, 10**6, 0, SCALE)
    (result,) = build(engine, fst, config).search([scores])
    if wanted:
        found, top = tools.lattice_paths(result.lattice, SCALE), max(wanted.values())
        assert max(found.values()) == pytest.approx(top, abs=1e-4)
        assert {k for k, v in wanted.items() if v >= top - lattice_beam + 1e-3} <= found.keys() <= wanted.keys()


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    frames=st.integers(1, 70),
    beam=st.sampled_from([2.0, 5.0, 30.0]),
    lattice_beam=st.sampled_from([1.0, 4.0, 20.0]),
    active=st.sampled_from([(0, 3), (2, 5), (0, 1000), (4, 1000)]),
)
def test_native_keeps_what_the_reference_keeps(build, tools, seed, frames, beam, lattice_beam, active) -> None:
    fst, scores = tools.fst(seed, 12, 40), tools.scores(seed, frames)
    config = SearchConfig(beam, lattice_beam, active[1], active[0], SCALE)
    (slow,), (fast,) = (build(engine, fst, config).search([scores]) for engine in ("reference", "native"))
    assert (slow.status, slow.limited_frames) == (fast.status, fast.limited_frames)
    assert tools.arcs_of(slow.lattice) == tools.arcs_of(fast.lattice)


@every_engine
@few
@given(seed=seeds, lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_batches_equal_single_utterances(build, tools, engine, seed, lengths) -> None:
    searcher = build(engine, tools.fst(seed), SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    padded = np.full((len(lengths), max(lengths) + 2, tools.num_pdfs), np.nan, np.float32)
    for i, length in enumerate(lengths):
        padded[i, :length] = tools.scores(seed + i, length)
    together = searcher.search(padded, lengths)
    for i, length in enumerate(lengths):
        (alone,) = searcher.search([padded[i, :length]])
        assert (alone.status, alone.num_frames) == (together[i].status, length)
        assert tools.arcs_of(alone.lattice) == tools.arcs_of(together[i].lattice)


@every_engine
@few
@given(seed=seeds, frames=st.integers(1, 60), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_chunks_equal_the_whole(build, tools, engine, seed, frames, cuts) -> None:
    searcher = build(engine, tools.fst(seed), SearchConfig(20.0, 5.0, 1000, 0, SCALE))
    scores = tools.scores(seed, frames)
    stream = searcher.open()
    bounds = [0, *sorted(min(c, frames) for c in cuts), frames]
    for begin, end in zip(bounds, bounds[1:]):
        stream.advance(scores[begin:end])
    assert stream.partial().num_frames == frames
    result = stream.finish()
    (whole,) = searcher.search([scores])
    assert result.status == whole.status and tools.arcs_of(result.lattice) == tools.arcs_of(whole.lattice)


@every_engine
def test_a_stream_that_hears_nothing_is_empty(build, engine: str) -> None:
    """A session may end right after an utterance; nothing is wrong then."""
    stream = build(engine, linear(), WIDE).open()
    stream.advance(np.zeros((0, 5), np.float32))
    result = stream.finish()
    assert (result.status, result.num_frames, result.error) == ("empty", 0, "") and result.lattice.is_empty


@own_engines
def test_partial_is_the_best_path_so_far(build, engine: str) -> None:
    scores = np.zeros((3, 5), np.float32)
    stream = build(engine, linear(), WIDE).open()
    assert stream.partial().transition_ids.size == 0
    stream.advance(scores[:1])
    assert stream.partial().transition_ids.tolist() == [1] and stream.partial().word_ids.tolist() == [3]
    stream.advance(scores[1:])
    assert stream.partial().transition_ids.tolist() == [1, 2, 2]


@every_engine
def test_flags(build, engine: str) -> None:
    searcher = build(engine, linear(), WIDE)
    one, dead = np.zeros((1, 5), np.float32), np.full((3, 5), -np.inf, np.float32)
    dead[:, 1] = 0  # of a pdf that nothing begins with
    partial, empty = searcher.search([one, dead])
    assert partial.partial and not partial.complete and partial.lattice.transition_ids.tolist() == [1]
    assert empty.empty and not empty.failed and empty.lattice.is_empty and empty.num_frames == 3
    assert partial.attempts == (WIDE,) and partial.require("u") is partial


@own_engines
def test_an_impossible_pdf_is_a_score(build, tools, engine: str) -> None:
    """As in alignment: no path of the lattice goes through -inf; it is what very low scores give."""
    fst, scores = tools.fst(1), tools.scores(1, 6)
    scores[2:4, 1] = -np.inf
    (found,) = build(engine, fst, WIDE).search([scores])
    (low,) = build(engine, fst, WIDE).search([np.maximum(scores, -1e5)])
    assert np.isfinite(found.lattice.acoustic_scores).all() and not found.empty
    assert tools.arcs_of(found.lattice) == tools.arcs_of(low.lattice)


@own_engines
def test_max_active_is_flagged(build, tools, engine: str) -> None:
    fst, scores = tools.fst(4, 12, 40), tools.scores(4, 30)
    (free,) = build(engine, fst, SearchConfig(30.0, 5.0, 1000, 0, SCALE)).search([scores])
    (tight,) = build(engine, fst, SearchConfig(30.0, 5.0, 2, 0, SCALE)).search([scores])
    assert free.limited_by_max_active is False and tight.limited_by_max_active is True
    assert 0 < (tight.limited_frames or 0) <= 30


@pytest.mark.k2
def test_max_active_of_k2_is_found_by_a_second_search(build, tools) -> None:
    fst, scores = tools.fst(4, 12, 40), tools.scores(4, 30)
    searcher = build("k2", fst, SearchConfig(30.0, 5.0, 2, 0, SCALE))
    assert searcher.search([scores])[0].limited_by_max_active is None
    checked = K2Searcher(searcher.graph, tools.num_pdfs, searcher.config, own=K2Config(check_limit=True))
    assert checked.search([scores])[0].limited_by_max_active is True
    free = checked.with_config(SearchConfig(30.0, 5.0, 1000, 0, SCALE))
    assert free.search([scores])[0].limited_frames == 0


def bad_utterances() -> dict[str, np.ndarray]:
    """Error → scores that have it."""
    one, model = np.zeros((3, 5), np.float32), "Look at the features and the model."
    found = {
        f"score nan at frame 1, pdf 2. {model}": one.copy(),
        f"score inf at frame 2, pdf 0. {model}": one.copy(),
        f"all 5 scores are -inf at frame 1, which no path goes through. {model}": one.copy(),
        "has no frames. Leave it out, or look at its audio.": one[:0],
    }
    for scores, (frame, pdf, value) in zip(found.values(), [(1, 2, np.nan), (2, 0, np.inf), (1, slice(None), -np.inf)]):
        scores[frame, pdf] = value
    shape = "wanted [frames][5], a column for each pdf. Use the scores and the graph of one model."
    wrong = {f"scores have shape {x.shape}, {shape}": x for x in (one[:, :4], np.zeros((3, 6)), np.zeros(3))}
    return {**found, **wrong}


@every_engine
def test_a_bad_utterance_fails_alone(build, tools, engine: str) -> None:
    searcher, bad = build(engine, tools.fst(1), SearchConfig(20.0, 5.0, 1000, 0, SCALE)), bad_utterances()
    good = [tools.scores(i, 4 + i) for i in range(len(bad) + 1)]
    batch = [good[0]]
    for one, other in zip(bad.values(), good[1:]):
        batch += [one, other]
    results = searcher.search(batch)
    assert [one.error for one in results[1::2]] == list(bad)
    assert all(one.failed and one.empty and one.lattice.is_empty and one.num_frames == 0 for one in results[1::2])
    for scores, result in zip(good, results[::2]):
        (alone,) = searcher.search([scores])
        assert (result.status, result.error) == (alone.status, "")
        assert tools.arcs_of(result.lattice) == tools.arcs_of(alone.lattice)
    with pytest.raises(InputError, match="^u1: score nan at frame 1, pdf 2. Look at the features and the model.$"):
        results[1].require("u1")


@every_engine
def test_a_bad_chunk_fails_its_stream_alone(build, tools, engine: str) -> None:
    searcher, bad = build(engine, tools.fst(1), SearchConfig(20.0, 5.0, 1000, 0, SCALE)), bad_utterances()
    bad = {error: scores for error, scores in bad.items() if len(scores)}  # a chunk may be empty
    good = tools.scores(0, 12)
    for error, scores in bad.items():
        first, second, third = streams = [searcher.open() for _ in range(3)]
        assert searcher.advance(streams, [good[:5]] * 3) == ["", "", ""]
        assert searcher.advance(streams, [good[5:9], scores, good[5:9]]) == ["", error, ""]
        assert second.partial().num_frames == 5 and first.partial().num_frames == 9
        assert searcher.advance([first, third], [good[9:], good[9:]]) == ["", ""]  # the bad one is given up
        whole = tools.arcs_of(searcher.search([good])[0].lattice)
        assert tools.arcs_of(first.finish().lattice) == tools.arcs_of(third.finish().lattice) == whole
        failed = second.finish().fail(error)
        assert failed.failed and failed.error == error and failed.num_frames == 5 and failed.lattice.is_empty
        with pytest.raises(InputError, match=r"^scores: "):
            searcher.open().advance(scores)


@every_engine
def test_faults_of_the_call_are_raised(build, engine: str) -> None:
    searcher = build(engine, linear(), WIDE)
    with pytest.raises(InputError, match="length 7 of 3 frames"):
        searcher.search([np.zeros((3, 5))], [7])
    with pytest.raises(InputError, match="1 utterances but 2 lengths"):
        searcher.search([np.zeros((3, 5))], [1, 1])
    with pytest.raises(InputError, match="streams: 2 streams but 1 chunks. Give each its own."):
        searcher.advance([searcher.open(), searcher.open()], [np.zeros((3, 5))])


def test_tensors_are_taken_too(build, tools) -> None:
    import torch

    searcher = build("native", tools.fst(1), WIDE)
    scores = tools.scores(1, 6)
    (a,), (b,) = searcher.search([scores]), searcher.search(torch.from_numpy(scores)[None], torch.tensor([6]))
    assert tools.arcs_of(a.lattice) == tools.arcs_of(b.lattice)


CURE = "Compile the graph again; look at the language model."


@every_engine
@pytest.mark.parametrize(
    ("arcs", "final", "start", "error"),
    [
        ([], [], -1, f"the graph has no states. {CURE}"),
        ([(0, 0, 1, -0.5), (1, 0, 0, -0.5), (0, 1, 1, 0.0)], [np.inf, 0.0], 0, "lies on a cycle of input epsilons"),
        ([(0, 1, 1, 0.0)], [np.inf, np.inf], 0, f"none of the 2 states is final: no utterance can end. {CURE}"),
        ([(0, 1, 1, 0.0)], [np.inf, 0.0], 1, f"no arc leaves the start, state 1. {CURE}"),
        ([(0, 9, 0, 0.0)], [0.0], 0, "transition_id 9 lies outside 0–5. Compile the graph from this model's tree"),
    ],
)
def test_graphs_that_are_refused(build, engine: str, arcs: list, final: list, start: int, error: str) -> None:
    """At load: the second one has a loop that pays for going round it."""
    source, label, target, cost = np.array(arcs).reshape(-1, 4).T
    fst = FstArrays.from_arcs(start, source, label, np.zeros(len(arcs)), target, cost, np.array(final))
    with pytest.raises(HybridError, match=f"^graph: .*{error}"):
        build(engine, fst if arcs else FstArrays.empty(), WIDE)


def test_engines_by_name() -> None:
    on_gpu = "k2" if find_spec("k2") else "torch"
    assert (choose_engine("auto"), choose_engine("auto", "cuda"), choose_engine("k2")) == ("native", on_gpu, "k2")
    with pytest.raises(InputError, match="'kaldi' is unknown. Choose one of auto, native, torch, k2, reference."):
        choose_engine("kaldi")
    with pytest.raises(InputError, match="'kaldi' is unknown. Choose one of auto, native, torch, k2, reference."):
        make_searcher("kaldi", None, None, WIDE)  # type: ignore[arg-type]  # told before any graph is looked at


def test_an_unknown_engine_is_told_before_anything_is_loaded(tmp_path) -> None:
    with pytest.raises(InputError, match="engine: 'kaldi' is unknown"):
        load_system(SystemSpec(str(tmp_path), str(tmp_path), engine="kaldi"))
