"""Token passing in lanes: kernels (interpreted) and twin alike, whatever runs beside an utterance."""

from __future__ import annotations

import importlib.util
import os
import sys

import numpy as np
import pytest
import torch

from hybrid.lanes import passes, rooms
from hybrid.lanes.backward import take_losses
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneWidths, concatenate, expand, place_graph
from hybrid.lanes.rooms import Rooms
from hybrid.lanes.twin import find_cutoffs, pass_frames, start_level

CPU = torch.device("cpu")
needs_interpreter = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1",
    reason="Triton's interpreter is not here",
)


def graph_of(seed: int, states: int = 9) -> DeviceGraph:
    """A random graph with self-loops, chains of epsilons, dead ends and equal scores (halves)."""
    rng = np.random.default_rng(seed)
    rows, bounds = [], []
    for state in range(states):
        bounds.append([len(rows), 0])
        if state != states - 2:  # a dead end
            rows += [(state, int(rng.integers(4)), 0.5)]
            rows += [(int(rng.integers(states)), int(rng.integers(4)), rng.integers(4) / 2) for _ in range(2)]
        bounds[-1][1] = len(rows)
        later = range(state + 1, min(state + 3, states)) if state % 2 else ()
        rows += [(target, -1, rng.integers(3) / 2) for target in later]
    arcs = np.array([(to, pdf, np.float32(-cost).view(np.int32)) for to, pdf, cost in rows], np.int32)
    return place_graph(np.array([*bounds, [len(rows)] * 2], np.int32), arcs, CPU)


def scores_of(seed: int, lanes: int, frames: int) -> torch.Tensor:
    """Multiples of a half, so that many paths tie."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.integers(-6, 3, (lanes, frames, 4)) / 2).astype(np.float32))


def beginnings(graph: DeviceGraph, lanes: int) -> LaneLevel:
    """All lanes at the start."""
    start = start_level(graph, 0)
    return concatenate([start._replace(lane=start.lane + lane) for lane in range(lanes)], [0] * lanes)


def content(levels: list[LaneLevel]) -> list[tuple]:
    """What levels hold, whatever the order: tokens and links by lane and state."""
    found = []
    for before, level in zip([None, *levels], levels):
        names = list(zip(level.lane.tolist(), level.state.tolist()))
        links = [(names[t], a, c) for t, a, c in zip(*(column.tolist() for column in level.links[1:]))]
        if before is not None:
            old = list(zip(before.lane.tolist(), before.state.tolist()))
            links = [(old[s], *link) for s, link in zip(level.links.source.tolist(), links)]
        inside = level.epsilons
        epsilons = [(names[s], names[t], a) for s, t, a in zip(*(column.tolist() for column in inside[:3]))]
        found.append((sorted(zip(names, level.score.tolist())), sorted(links), sorted(epsilons)))
    return found


@needs_interpreter
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kernels_pass_what_their_twin_passes(seed: int) -> None:
    from hybrid.lanes.card import CardPasses

    graph, lengths = graph_of(seed), torch.tensor([3, 1, 0])
    widths = LaneWidths(4.0, 2.0, *[(100, 0), (3, 0), (6, 3)][seed], 0.5, 0.5)
    level, frames = beginnings(graph, 3), scores_of(seed, 3, 3)
    wanted, limited = pass_frames(graph, level, frames, lengths, widths)
    found, at_limit = CardPasses(4, 2, 64)(graph, level, frames, lengths, widths)
    assert content(found) == content(wanted) and at_limit.tolist() == limited.tolist()
    assert graph.depth >= 2 and any(len(one.epsilons.arc) for one in found)


@needs_interpreter
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kernels_keep_what_their_twin_keeps(seed: int) -> None:
    from hybrid.lanes.card import CardPasses

    graph, lengths = graph_of(seed), torch.tensor([4, 2, 0])
    widths = LaneWidths(5.0, 1.0, *[(100, 0), (3, 0), (6, 3)][seed], 0.5, 0.5)
    level, frames = beginnings(graph, 3), scores_of(seed, 3, 4)
    wanted, limited = passes.pruned_frames(graph, level, frames, lengths, widths)
    found, at_limit = CardPasses(4, 2, 64).pruned(graph, level, frames, lengths, widths)
    assert content(found) == content(wanted) and at_limit.tolist() == limited.tolist()
    whole, _ = pass_frames(graph, level, frames, lengths, widths)
    assert sum(len(one.links.arc) for one in found) < sum(len(one.links.arc) for one in whole)


@needs_interpreter
def test_a_chunk_that_does_not_fit_is_searched_again_with_more_room(monkeypatch) -> None:
    from hybrid.lanes.card import CardPasses

    predict, asked = Rooms.predict, []

    def small(graph, widths, lanes, frames, growth=1):  # type: ignore[no-untyped-def]
        asked.append(growth)
        room = 2 * growth
        return Rooms(room, 4 * room, graph.num_states * lanes, 3 * room, 6 * room)

    graph, level, lengths = graph_of(1), beginnings(graph_of(1), 1), torch.tensor([2])
    widths, frames = LaneWidths(6.0, 2.0, 100, 0, 0.5, 0.5), scores_of(1, 1, 2)
    monkeypatch.setattr(Rooms, "predict", staticmethod(small))
    card = CardPasses(2, 1, 64)
    found, _ = card(graph, level, frames, lengths, widths)
    assert asked[-1] > 1 and content(found) == content(pass_frames(graph, level, frames, lengths, widths)[0])
    laid = card.layouts.laid
    card(graph, level, frames, lengths, widths)
    assert card.layouts.laid == laid > 1  # what was learnt stays
    monkeypatch.setattr(Rooms, "predict", predict)
    bounded = Rooms.predict(graph, widths, 2, 25)
    assert bounded.tokens <= 2 * (graph.num_states + len(graph.arcs) + 1)
    assert bounded.arcs <= 2 * (len(graph.arcs) + 1)


@needs_interpreter
def test_launches_of_a_frame(monkeypatch) -> None:
    """`docs/search.md` tells how many; a launch costs a stream that is alone as much as one of hundreds."""
    from hybrid.lanes import card, card_kernels, cutoff_kernels

    graph, launched = graph_of(1), []

    class Counted:
        def __init__(self, name: str, kernel: object) -> None:
            self.name, self.kernel = name, kernel

        def __getitem__(self, grid: tuple[int]) -> object:
            launched.append(self.name)
            return self.kernel[grid]  # type: ignore[index]

    for name in card_kernels.__all__:
        monkeypatch.setattr(card_kernels, name, Counted(name, getattr(card_kernels, name)))
    monkeypatch.setattr(card, "cutoffs", Counted("cutoffs", cutoff_kernels.cutoffs))
    ask, asked = torch.Tensor.cpu, []

    def from_device(tensor: torch.Tensor) -> torch.Tensor:
        caller = sys._getframe(1).f_code
        asked.extend([caller.co_name] if caller.co_filename == card.__file__ else [])
        return ask(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", from_device)
    cumsum = torch.cumsum
    monkeypatch.setattr(torch, "cumsum", lambda *a, **k: (launched.append("sum"), cumsum(*a, **k))[1])
    widths = LaneWidths(4.0, 2.0, 100, 0, 0.5, 0.5)
    card.CardPasses(2, 2, 64)(graph, beginnings(graph, 1), scores_of(1, 1, 2), torch.tensor([2]), widths)
    each = launched[: len(launched) // 2]
    assert each == launched[len(each) :] and len(each) == 16 + graph.depth
    assert asked == ["_passed"]  # the host asks once in a chunk


@needs_interpreter
def test_a_graph_all_of_whose_states_live_fits_at_once() -> None:
    from hybrid.lanes.card import CardPasses

    graph, level, lengths = graph_of(2), beginnings(graph_of(2), 1), torch.tensor([9])
    widths, frames, card = LaneWidths(1e4, 1e4, 100, 0, 0.5, 0.5), scores_of(2, 1, 9), CardPasses(9, 2, 64)
    wanted = pass_frames(graph, level, frames, lengths, widths)[0]
    assert content(card(graph, level, frames, lengths, widths)[0]) == content(wanted)
    assert card.layouts.laid == 1 and len(wanted[-1].state) > graph.num_states / 2


@pytest.mark.parametrize("seed", range(6))
def test_an_utterance_does_not_depend_on_its_neighbours(seed: int) -> None:
    graph, lengths = graph_of(seed), torch.tensor([4, 2, 5])
    widths, frames = LaneWidths(3.0, 2.0, 5, 2, 0.5, 0.5), scores_of(seed, 3, 5)
    together, limited = pass_frames(graph, beginnings(graph, 3), frames, lengths, widths)
    for lane, length in enumerate(lengths.tolist()):
        alone, once = pass_frames(
            graph, beginnings(graph, 1), frames[lane : lane + 1, :length], lengths[lane : lane + 1], widths
        )
        ours = [[(state, score) for (own, state), score in tokens if own == lane] for tokens, _, _ in content(together)]
        assert ours[:length] == [[(s, score) for (_, s), score in tokens] for tokens, _, _ in content(alone)]
        assert not any(ours[length:]) and limited[lane] == once[0]


def test_cutoffs_by_hand() -> None:
    scores, lane = torch.tensor([0.0, -1.0, -2.0, -9.0, -3.0]).double(), torch.tensor([0, 0, 0, 0, 2])

    def found(*limits: int) -> list[list]:
        return [x.tolist() for x in find_cutoffs(scores, lane, 3, LaneWidths(5.0, 2.0, *limits, 1.0, 0.5))]

    inf = float("inf")
    assert found(100, 0) == [[-5.0, inf, -8.0], [5.0, 5.0, 5.0], [False] * 3]
    assert found(2, 0) == [[-1.0, inf, -8.0], [1.5, 5.0, 5.0], [True, False, False]]  # the second best decides
    assert found(100, 4) == [[-inf, inf, -inf], [inf, 5.0, inf], [False] * 3]  # few tokens all go on
    assert found(100, 2)[0] == [-5.0, inf, -inf]
    far = torch.tensor([0.0, -7.0, -8.0]).double()
    raised = find_cutoffs(far, torch.zeros(3, dtype=torch.int64), 1, LaneWidths(5.0, 2.0, 9, 2, 1.0, 0.5))
    assert [x.tolist() for x in raised] == [[-7.0], [7.5], [False]]  # min-active keeps the second


def test_work_is_spread_over_arcs() -> None:
    owner, arc = expand(torch.tensor([3, 7, 9], dtype=torch.int32), torch.tensor([5, 7, 12], dtype=torch.int32))
    assert owner.tolist() == [0, 0, 2, 2, 2] and arc.tolist() == [3, 4, 9, 10, 11]


def test_what_is_taken_instead_of_kernels_is_told(monkeypatch, caplog) -> None:
    card = torch.device("cuda")
    assert passes.choose_code("auto", CPU, 25).passes is pass_frames
    monkeypatch.setattr(passes, "find_spec", lambda name: None)
    assert passes.choose_code("auto", card, 25).passes is pass_frames
    assert "cuda: tokens are passed by plain torch, which is slower: the package triton is not installed" in caplog.text
    monkeypatch.setattr(passes, "find_spec", lambda name: object())
    monkeypatch.setattr(passes, "_small_search", lambda device: (_ for _ in ()).throw(RuntimeError("no such card")))
    assert (
        passes.choose_code("auto", card, 25).passes is pass_frames and "do not run here (no such card)" in caplog.text
    )


def test_kernels_that_err_are_not_taken(monkeypatch) -> None:
    def wrong(*arguments):  # type: ignore[no-untyped-def]
        levels, limited = pass_frames(*arguments)
        return [one._replace(score=one.score + 1e-9) for one in levels], limited

    monkeypatch.setattr(passes, "find_spec", lambda name: object())
    monkeypatch.setattr(passes, "_card_code", lambda device, frames: passes.LaneCode(wrong, wrong, take_losses))
    assert "disagree on a small graph" in passes._why_not(CPU)
    monkeypatch.setattr(
        passes, "_card_code", lambda device, frames: passes.LaneCode(pass_frames, pass_frames, take_losses)
    )
    assert passes._why_not(CPU) == ""


def test_lanes_that_fit(monkeypatch) -> None:
    graph, widths = graph_of(0), LaneWidths(13.0, 6.0, 7000, 200, 0.1, 0.5)
    for gigabytes in (1, 10):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, g=gigabytes: (g << 30, g << 30))
        lanes = passes.lanes_within(graph, widths, 2000, 25, torch.device("cuda"))
        assert passes._memory(graph, widths, 2000, 25, lanes) <= 0.8 * (gigabytes << 30)
        assert lanes == 4096 or passes._memory(graph, widths, 2000, 25, 2 * lanes) > 0.8 * (gigabytes << 30)
    assert rooms.LEAST > 0 and passes.lanes_within(graph, widths, 2000, 25, CPU) == passes.HOST_LANES
