"""Token passing in lanes in plain torch, on any device: the readable twin of the kernels.

The rules are those of the reference searcher, in the same order of additions: the same tokens and links to the bit,
whatever runs beside an utterance.
"""

from __future__ import annotations

import torch

from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneLinks, LaneWidths, best_of_each, expand

__all__ = ["close_level", "find_cutoffs", "pass_frame", "pass_frames", "start_level"]

NEG_INF = float("-inf")


def pass_frames(
    graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
) -> tuple[list[LaneLevel], torch.Tensor]:
    """Passes tokens through the frames of a chunk.

    Args:
      level: where all lanes stand.
      frames: float32 [lane][frame][pdf_id], unscaled. lengths: int64 [lane]; a lane rests when its frames are used up.

    Returns:
      The levels after each frame, of the lanes that moved; and int64 [lane], at how many frames max-active decided.
    """
    levels, limited = [], torch.zeros_like(lengths)
    for t in range(frames.shape[1]):
        level, at_limit = pass_frame(graph, level, frames[:, t], lengths > t, widths)
        levels.append(level)
        limited += at_limit
    return levels, limited


def pass_frame(
    graph: DeviceGraph, level: LaneLevel, frame: torch.Tensor, moving: torch.Tensor, widths: LaneWidths
) -> tuple[LaneLevel, torch.Tensor]:
    """Passes the tokens of the lanes that move through one frame; see `pass_frames`.

    Args:
      frame: float32 [lane][pdf_id]. moving: bool [lane].

    Returns:
      The next level; bool [lane], where max-active decided.
    """
    cutoff, width, at_limit = find_cutoffs(level.score, level.lane, len(frame), widths)
    going = torch.nonzero(moving[level.lane] & (level.score >= cutoff[level.lane])).flatten()
    owner, arc = expand(graph.bounds[level.state[going], 0], graph.bounds[level.state[going], 1])
    source = going[owner]
    lane = level.lane[source]
    acoustic = frame[lane, graph.arcs[arc, 1].long()]
    total = level.score[source] + graph.scores[arc].double() + widths.scale * acoustic.double()
    best = best_of_each(total, lane, len(frame))
    floor = best - width
    kept = (total >= floor[lane]) & (total > NEG_INF)
    keys, target = torch.unique(lane[kept] * graph.num_states + graph.arcs[arc[kept], 0], return_inverse=True)
    scores = best_of_each(total[kept], target, len(keys))
    # Closing adds tokens; where the first ones then stand is found by their keys.
    links = LaneLinks(source[kept], keys[target], arc[kept], acoustic[kept])
    return close_level(graph, keys, scores, floor, links), moving & at_limit


def find_cutoffs(
    scores: torch.Tensor, lane: torch.Tensor, lanes: int, widths: LaneWidths
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns of each lane what a token needs to go on, the beam of the next frame, and whether max-active decided.

    Exact: the cutoff at a limit is the score of the token at that place, found by sorting.
    """
    count = torch.bincount(lane, minlength=lanes)
    first = count.cumsum(0) - count
    order = torch.argsort(scores, descending=True, stable=True)
    ranked = torch.cat([scores[order[torch.argsort(lane[order], stable=True)]], scores.new_full((1,), NEG_INF)])

    def at(rank: int) -> torch.Tensor:
        inside = (count >= rank) & (count > 0)
        return torch.where(inside, ranked[torch.where(inside, first + max(rank, 1) - 1, 0)], NEG_INF)

    best, most, least = at(1), at(widths.max_active), at(max(widths.min_active, 1))
    cutoff = best - widths.beam
    limited = (count > widths.max_active) & (most > cutoff)
    free = ~limited & (count <= widths.min_active)
    raised = ~limited & ~free & (widths.min_active > 0) & (least < cutoff)
    limit = torch.where(limited, most, least)
    width = torch.where(limited | raised, best - limit + widths.beam_delta, widths.beam)
    cutoff = torch.where(limited | raised, limit, cutoff)
    cutoff, width = torch.where(free, NEG_INF, cutoff), torch.where(free, float("inf"), width)
    alive = count > 0
    return torch.where(alive, cutoff, float("inf")), torch.where(alive, width, widths.beam), limited & alive


def close_level(
    graph: DeviceGraph, keys: torch.Tensor, scores: torch.Tensor, floor: torch.Tensor, links: LaneLinks
) -> LaneLevel:
    """Follows epsilon arcs in waves until no token gets better; returns the level with its epsilon links.

    Args:
      keys: int64 [N], lane × states + state, rising. scores: float64 [N].
      floor: float64 [lane], what a path over an epsilon must reach.
      links: into the level, `target` being keys.
    """
    states = graph.num_states
    wave = torch.arange(len(keys), device=keys.device)
    while len(wave):
        source, arc, total = _epsilons(graph, keys, scores, wave, floor)
        reached = keys[source] // states * states + graph.arcs[arc, 0]
        merged, place = torch.unique(torch.cat([keys, reached]), return_inverse=True)
        before = best_of_each(scores, place[: len(keys)], len(merged))
        scores = best_of_each(torch.cat([scores, total]), place, len(merged))
        keys, wave = merged, torch.nonzero(scores > before).flatten()
    source, arc, _ = _epsilons(graph, keys, scores, torch.arange(len(keys), device=keys.device), floor)
    target = torch.searchsorted(keys, keys[source] // states * states + graph.arcs[arc, 0])
    inside = LaneLinks(source, target, arc, torch.zeros_like(arc, dtype=torch.float32))
    links = links._replace(target=torch.searchsorted(keys, links.target))
    return LaneLevel(keys // states, keys % states, scores, links, inside)


def _epsilons(
    graph: DeviceGraph, keys: torch.Tensor, scores: torch.Tensor, tokens: torch.Tensor, floor: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns source token, arc and score of the epsilon arcs of some tokens that reach the floor."""
    state = keys[tokens] % graph.num_states
    owner, arc = expand(graph.bounds[state, 1], graph.bounds[state + 1, 0])
    source = tokens[owner]
    total = scores[source] + graph.scores[arc].double()
    kept = (total >= floor[keys[source] // graph.num_states]) & (total > NEG_INF)
    return source[kept], arc[kept], total[kept]


def start_level(graph: DeviceGraph, start: int) -> LaneLevel:
    """Returns the level of one lane before any frame: the start and what it reaches by epsilons."""
    device = graph.bounds.device
    key, zero = torch.tensor([start], device=device), torch.zeros(1, dtype=torch.float64, device=device)
    none = torch.zeros(0, dtype=torch.int64, device=device)
    links = LaneLinks(none, none, none, none.float())
    return close_level(graph, key, zero, torch.full_like(zero, NEG_INF), links)
