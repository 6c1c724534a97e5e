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
from hybrid.lanes.levels import LaneLevels, chosen, in_a_row, joined, sizes_of, without_ends
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


def content(found: LaneLevels, before: LaneLevel) -> list[list[tuple]]:
    """What levels hold after some level, whatever the order: tokens and links by level, lane and state."""
    names = list(zip(found.number.tolist(), found.lane.tolist(), found.state.tolist()))
    names += [(-1, *name) for name in zip(before.lane.tolist(), before.state.tolist())]  # counted backwards
    columns = [[column.tolist() for column in part] for part in (found.links, found.epsilons)]
    links = [[(names[s], names[t], a, c) for s, t, a, c in zip(*part)] for part in columns]
    return [sorted(zip(names, found.score.tolist())), *map(sorted, links)]


def content_to_last(between: LaneLevels, last: LaneLevel, before: LaneLevel) -> list[list[tuple]]:
    """The same of levels whose last one is apart."""
    return content(joined([between, in_a_row([last])]), before)


@needs_interpreter
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kernels_pass_what_their_twin_passes(seed: int) -> None:
    from hybrid.lanes.card import CardPasses

    graph, lengths = graph_of(seed), torch.tensor([3, 1, 0])
    widths = LaneWidths(4.0, 2.0, *[(100, 0), (3, 0), (6, 3)][seed], 0.5, 0.5)
    level, frames = beginnings(graph, 3), scores_of(seed, 3, 3)
    wanted, limited = passes.passed_frames(graph, level, frames, lengths, widths)
    found, at_limit = CardPasses(4, 2, 64)(graph, level, frames, lengths, widths)
    assert content(found, level) == content(wanted, level) and at_limit.tolist() == limited.tolist()
    assert graph.depth >= 2 and len(found.epsilons.arc) and found.levels == wanted.levels == 3


@needs_interpreter
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kernels_keep_what_their_twin_keeps(seed: int) -> None:
    from hybrid.lanes.card import CardPasses

    graph, lengths = graph_of(seed), torch.tensor([4, 2, 0])
    widths = LaneWidths(5.0, 1.0, *[(100, 0), (3, 0), (6, 3)][seed], 0.5, 0.5)
    level, frames = beginnings(graph, 3), scores_of(seed, 3, 4)
    *wanted, limited = passes.pruned_frames(graph, level, frames, lengths, widths)
    *found, at_limit = CardPasses(4, 2, 64).pruned(graph, level, frames, lengths, widths)
    assert content_to_last(*found, level) == content_to_last(*wanted, level)
    assert at_limit.tolist() == limited.tolist() and found[0].levels == wanted[0].levels == 3
    whole, _ = passes.passed_frames(graph, level, frames, lengths, widths)
    assert len(found[0].links.arc) + len(found[1].links.arc) < len(whole.links.arc)


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
    wanted, _ = passes.passed_frames(graph, level, frames, lengths, widths)
    assert asked[-1] > 1 and content(found, level) == content(wanted, level)
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
    wanted = passes.passed_frames(graph, level, frames, lengths, widths)[0]
    assert content(card(graph, level, frames, lengths, widths)[0], level) == content(wanted, level)
    assert card.layouts.laid == 1 and int((wanted.number == 8).sum()) > graph.num_states / 2


@pytest.mark.parametrize("seed", range(6))
def test_an_utterance_does_not_depend_on_its_neighbours(seed: int) -> None:
    graph, lengths = graph_of(seed), torch.tensor([4, 2, 5])
    widths, frames = LaneWidths(3.0, 2.0, 5, 2, 0.5, 0.5), scores_of(seed, 3, 5)
    together, limited = pass_frames(graph, beginnings(graph, 3), frames, lengths, widths)
    for lane, length in enumerate(lengths.tolist()):
        alone, once = pass_frames(
            graph, beginnings(graph, 1), frames[lane : lane + 1, :length], lengths[lane : lane + 1], widths
        )
        ours = [sorted((s, x) for a, s, x in zip(*(c.tolist() for c in level[:3])) if a == lane) for level in together]
        assert ours[:length] == [sorted(zip(level.state.tolist(), level.score.tolist())) for level in alone]
        assert not any(ours[length:]) and limited[lane] == once[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_stretch_is_cut_and_joined_again(seed: int) -> None:
    graph, lengths, widths = graph_of(seed), torch.tensor([4, 2, 5]), LaneWidths(5.0, 2.0, 50, 2, 0.5, 0.5)
    level = beginnings(graph, 3)
    whole, _ = passes.passed_frames(graph, level, scores_of(seed, 3, 5), lengths, widths)
    before = [int((whole.number < 4).sum()), *(int((whole.number[p.target] < 4).sum()) for p in whole.both)]
    between, last = without_ends(whole, None, before)
    assert between.levels == 4 and len(last.lane) == int((whole.number == 4).sum())
    assert content_to_last(between, last, level) == content(whole, level)
    kept = whole.lane != 1  # links do not lead from lane to lane
    masks = kept, kept[whole.links.target], kept[whole.epsilons.target]
    begun = joined([in_a_row([level._replace(links=level.epsilons._make(c[:0] for c in level.links))]), whole])
    some = [begun.lane != 1, *((begun.lane != 1)[part.target] for part in begun.both)]
    found, first = chosen(begun, some, sizes_of(some)), int((level.lane != 1).sum())
    rest = content(whole, level)
    alone = content(without_ends(found, first, [len(found.lane), *(len(p.arc) for p in found.both)])[0], level)
    assert [len(part) for part in alone][1] == int(masks[1].sum()) and found.levels == 6
    assert alone[0] == [token for token in rest[0] if token[0][1] != 1]
    assert {link[2:] for link in alone[1]} <= {link[2:] for link in rest[1]}


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
    assert passes.choose_code("auto", CPU, 25).passes is passes.passed_frames
    monkeypatch.setattr(passes, "find_spec", lambda name: None)
    assert passes.choose_code("auto", card, 25).passes is passes.passed_frames
    assert "cuda: tokens are passed by plain torch, which is slower: the package triton is not installed" in caplog.text
    monkeypatch.setattr(passes, "find_spec", lambda name: object())
    monkeypatch.setattr(passes, "_small_search", lambda device: (_ for _ in ()).throw(RuntimeError("no such card")))
    assert (
        passes.choose_code("auto", card, 25).passes is passes.passed_frames
        and "do not run here (no such card)" in caplog.text
    )


def test_kernels_that_err_are_not_taken(monkeypatch) -> None:
    def wrong(*arguments):  # type: ignore[no-untyped-def]
        levels, limited = passes.passed_frames(*arguments)
        return levels._replace(score=levels.score + 1e-9), limited

    monkeypatch.setattr(passes, "find_spec", lambda name: object())
    monkeypatch.setattr(passes, "_card_code", lambda device, frames: passes.LaneCode(wrong, wrong, take_losses))
    assert "disagree on a small graph" in passes._why_not(CPU)
    monkeypatch.setattr(
        passes, "_card_code", lambda device, frames: passes.LaneCode(passes.passed_frames, wrong, take_losses)
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
