"""Whole utterances side by side on a device: tokens and links stay there until nothing but the lattices is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from hybrid.lanes.backward import HandedLanes, hand_out, level_numbers, prune_back
from hybrid.lanes.lane_values import LaneLevel, concatenate
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import INTERVAL, assemble
from hybrid.search.engines.assemble_kernels import pruned_lanes
from hybrid.search.engines.handed_out import trellis_of
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import SearchResult, Status

if TYPE_CHECKING:
    from hybrid.search.engines.torch_search import TorchSearcher

__all__ = ["FoundTogether", "chunk_on", "on_device", "search_together"]

SLACK = 1e-3  # the device prunes by so much less than asked for; the last word has `assemble`, as in every engine


class FoundTogether(NamedTuple):
    """What a device found in utterances side by side, on the host.

    Attributes:
      lengths: int64 [lane], frames. limited: int64 [lane], frames at which max-active decided.
    """

    graph: SearchGraph
    config: SearchConfig
    handed: HandedLanes
    lengths: np.ndarray
    limited: np.ndarray

    def plain_results(self) -> list[SearchResult]:
        """Makes the lattices of all lanes one after the other, as other engines do; needs little that is compiled."""
        rows = [trellis_of(self.graph, piece) for piece in self.handed.pieces(self.lengths + 2)]
        return [assemble(self.graph, self.config, row, int(count)) for row, count in zip(rows, self.limited)]

    def results(self, begin: int, end: int) -> list[SearchResult]:
        """Makes the lattices of some lanes in one compiled loop; `plain_results` is its twin."""
        sizes, graph, config = self.handed.sizes, self.graph, self.config
        end = min(end, len(sizes))
        arrays, acoustic = (self.handed.states, self.handed.links, self.handed.epsilons), self.handed.acoustic
        found = pruned_lanes(
            sizes, self.lengths, *arrays, acoustic, graph.graph_scores, graph.final_scores, config.scale,
            float(config.lattice_beam), begin, end,
        )  # fmt: skip
        rows, nexts, arcs, acoustic, final_scores, bounds, complete = found
        tids, words, scores = graph.transition_ids[arcs], graph.word_ids[arcs], graph.graph_scores[arcs]
        made = []
        for lane in range(begin, end):
            (a, s), (b, e) = bounds[lane - begin], bounds[lane - begin + 1]
            status: Status = "empty" if s == e else "complete" if complete[lane - begin] else "partial"
            lattice = Lattice.empty()
            if s < e:
                ends = final_scores[s:e]
                own = rows[s + lane - begin : e + lane - begin + 1]  # one entry more than states
                zero = np.where(np.isfinite(ends), np.float32(0), np.float32(-np.inf))
                between = nexts[a:b], tids[a:b], words[a:b], scores[a:b], acoustic[a:b]
                lattice = Lattice(own, *between, ends, zero)
            facts = int(self.limited[lane]), int(self.lengths[lane]), (config,)
            made.append(SearchResult(lattice, status, *facts, begin=graph.start))
        return made


def search_together(searcher: TorchSearcher, utterances: Sequence[Any]) -> FoundTogether:
    """Searches utterances side by side.

    Args:
      utterances: checked scores, float32 [frame][pdf_id] each, arrays or tensors of the device.
    """
    graph, widths, code, lanes = searcher.placed, searcher.widths, searcher.code, len(utterances)
    lengths = torch.tensor([len(each) for each in utterances], device=searcher.device)
    wider = replace(widths, lattice_beam=widths.lattice_beam + SLACK)
    levels, limited = [_beginnings(searcher.start, lanes)], torch.zeros_like(lengths)
    chunks = _chunks(searcher.device, utterances)
    for begin, frames in zip(range(0, max(map(len, utterances)), INTERVAL), chunks):
        now = (lengths - begin).clamp(0, INTERVAL)
        levels[-1:], at_limit = code.pruned(graph, levels[-1], frames, now, wider)
        limited += at_limit
    levels = prune_back(graph, levels, _final_loss(searcher, levels, lengths), lanes, wider, code.take_losses)
    handed, _ = hand_out([_nothing(levels[0]), *levels], lengths + 2)
    return FoundTogether(searcher.graph, searcher.config, handed, lengths.cpu().numpy(), limited.cpu().numpy())


def _chunks(device: torch.device, utterances: Sequence[Any]) -> Iterator[torch.Tensor]:
    """Yields the frames of all utterances, `INTERVAL` at a time."""
    longest = max(map(len, utterances))
    if _on(device, utterances):
        padded = pad_sequence(list(utterances), batch_first=True)
        yield from padded.split(INTERVAL, 1)
    else:
        for begin in range(0, longest, INTERVAL):
            yield chunk_on(device, [each[begin : begin + INTERVAL] for each in utterances])


def _on(device: torch.device, arrays: Sequence[Any]) -> bool:
    return all(isinstance(each, torch.Tensor) and each.device.type == device.type for each in arrays)


def on_device(device: torch.device, scores: Any, lengths: Any, num_pdfs: int) -> list[torch.Tensor] | None:
    """Returns the utterances of a batch that lies on a device, and that can be searched; None for any other batch."""
    items = list(scores)
    if device.type == "cpu" or not items or not _on(device, items):
        return None
    sizes = [len(each) for each in items] if lengths is None else [int(n) for n in lengths]
    fits = len(sizes) == len(items) and all(0 < size <= len(each) for size, each in zip(sizes, items))
    if not fits or any(each.shape[1:] != (num_pdfs,) for each in items):
        return None
    cut = [each[:size].float() for size, each in zip(sizes, items)]
    highest = torch.cat([each.amax(1) for each in cut])  # NaN where there is one
    return cut if bool(((highest < float("inf")) & (highest > float("-inf"))).all()) else None


def chunk_on(device: torch.device, chunks: Sequence[Any]) -> torch.Tensor:
    """Returns chunks of different lengths as float32 [lane][frame][pdf_id] on a device, padded by 0."""
    if _on(device, chunks):
        return pad_sequence(list(chunks), batch_first=True)
    shape = len(chunks), max(map(len, chunks)), max(chunk.shape[-1] for chunk in chunks)
    padded = torch.zeros(shape, pin_memory=device.type == "cuda")
    for row, chunk in zip(padded.numpy(), chunks):
        row[: len(chunk)] = chunk
    return padded.to(device, non_blocking=True)


def _beginnings(start: LaneLevel, lanes: int) -> LaneLevel:
    """Returns the first level of many lanes."""
    return concatenate([start._replace(lane=torch.full_like(start.lane, lane)) for lane in range(lanes)], [0] * lanes)


def _nothing(level: LaneLevel) -> LaneLevel:
    """Returns a level without tokens, which stands before the first one."""
    links = type(level.links)(*(column[:0] for column in level.links))
    return LaneLevel(level.lane[:0], level.state[:0], level.score[:0], links, links)


def _final_loss(searcher: TorchSearcher, levels: list[LaneLevel], lengths: torch.Tensor) -> torch.Tensor:
    """Returns what a path loses that ends in each token, float64: inf but for tokens of its lane's last level.

    Final scores count; in a lane where no token is in a final state, every token may end a path.
    """
    lane = torch.cat([level.lane for level in levels])
    last = torch.nonzero(level_numbers(levels) == lengths[lane]).flatten()
    own = lane[last]
    state, score = (torch.cat(column)[last] for column in list(zip(*levels))[1:3])
    ended = score + searcher.finals[state].double()
    none = torch.full(lengths.shape, float("-inf"), dtype=torch.float64, device=lane.device)
    complete = none.scatter_reduce(0, own, ended, "amax") > float("-inf")
    total = torch.where(complete[own], ended, score)
    loss = torch.full(lane.shape, float("inf"), dtype=torch.float64, device=lane.device)
    loss[last] = none.scatter_reduce(0, own, total, "amax")[own] - total
    return loss
