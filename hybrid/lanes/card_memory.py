"""The memory that the kernels of token passing work in: laid out once, its beginning serves fewer lanes.

Lanes are rounded up to a power of two, so that streams that come and go meet the same arrays (and the same recorded
launches). Those for fewer lanes are the beginnings of those for more, and take no bytes of their own. Memory is laid
out anew only where more lanes than ever move at once, or where a chunk did not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from hybrid.base.log import get_logger
from hybrid.lanes.lane_values import DeviceGraph, LaneWidths
from hybrid.lanes.rooms import Rooms

__all__ = ["FULL", "LOWEST", "LaneMemory", "Layouts", "rounded"]

logger = get_logger(__name__)

FULL, COUNTERS = 6, 7  # places of the vector of counters; one for each wave of epsilons follows (`cutoff_kernels`)
LOWEST = torch.iinfo(torch.int64).min


def rounded(number: int) -> int:
    """Returns the power of two that a number of lanes, at least one, is rounded up to."""
    return 1 << (number - 1).bit_length()


@dataclass(eq=False)
class LaneMemory:
    """What the kernels work in; see `card_kernels` for the names.

    Attributes:
      facts: int64, counters and the marks of all levels in one piece, which the host asks for.
      recorded: the launches of one frame as a CUDA graph, on a GPU.
    """

    frames: torch.Tensor
    lengths: torch.Tensor
    limited: torch.Tensor
    settings: torch.Tensor
    facts: torch.Tensor
    lane_ends: torch.Tensor
    lane_counts: torch.Tensor
    cutoff: torch.Tensor
    width: torch.Tensor
    best: torch.Tensor
    log_lane: torch.Tensor
    log_state: torch.Tensor
    log_score: torch.Tensor
    link_source: torch.Tensor
    link_target: torch.Tensor
    link_arc: torch.Tensor
    link_acoustic: torch.Tensor
    inner_source: torch.Tensor
    inner_target: torch.Tensor
    inner_arc: torch.Tensor
    sizes: torch.Tensor
    ends: torch.Tensor
    block_sizes: torch.Tensor
    bases: torch.Tensor
    block_owners: torch.Tensor
    totals: torch.Tensor
    owners: torch.Tensor
    kept_sizes: torch.Tensor
    kept_ends: torch.Tensor
    kept_totals: torch.Tensor
    keys: torch.Tensor
    claimed: torch.Tensor
    waves: torch.Tensor
    rows: torch.Tensor
    lane_log: torch.Tensor
    extra: torch.Tensor
    kept_links: torch.Tensor
    kept_inner: torch.Tensor
    recorded: Any = None

    @property
    def marks(self) -> torch.Tensor:
        """int64 [frames + 1][3], where tokens, links and links over epsilons of each level end; a view of `facts`."""
        return self.marks_of(self.facts)

    def marks_of(self, facts: torch.Tensor) -> torch.Tensor:
        """Returns the marks in `facts`, or in a copy of it."""
        return facts[len(facts) - 3 * (self.frames.shape[1] + 1) :].view(-1, 3)

    @property
    def counters(self) -> torch.Tensor:
        """int64, the state of the loop, `FULL` among them; a view of `facts`."""
        return self.facts[: len(self.facts) - 3 * (self.frames.shape[1] + 1)]


def _even(number: int) -> int:
    """Returns a number of int64 after which others lie at a multiple of 16 bytes, as kernels were compiled for."""
    return number + number % 2


def _shapes(
    rooms: Rooms, lanes: int, frames: int, num_pdfs: int, depth: int, block: int
) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Returns the kind and the shape of every array of a memory.

    Args:
      depth: of the longest chain of epsilons. block: arcs or tokens that a program takes at a time.
    """
    double, single, long, whole, tiny = torch.float64, torch.float32, torch.int64, torch.int32, torch.int8
    log, links, tokens, arcs = (rooms.log_tokens,), (rooms.log_links,), (rooms.tokens,), (rooms.arcs,)
    blocks, token_blocks = -(-rooms.arcs // block), -(-rooms.tokens // block)
    return {
        "frames": (single, (lanes, frames, num_pdfs)), "lengths": (long, (lanes,)), "limited": (long, (lanes,)),
        "settings": (double, (3,)), "facts": (long, (_even(COUNTERS + depth + 1) + 3 * (frames + 1),)),
        "lane_ends": (long, (lanes + 1,)), "lane_counts": (whole, (lanes,)), "cutoff": (double, (lanes,)),
        "width": (double, (lanes,)), "best": (long, (lanes,)), "log_lane": (whole, log), "log_state": (whole, log),
        "log_score": (double, log), "link_source": (whole, links), "link_target": (whole, links),
        "link_arc": (whole, links), "link_acoustic": (single, links), "inner_source": (whole, links),
        "inner_target": (whole, links), "inner_arc": (whole, links), "sizes": (whole, tokens), "ends": (whole, tokens),
        "block_sizes": (whole, (token_blocks,)), "bases": (long, (token_blocks + 1,)),
        "block_owners": (whole, (blocks + 1,)), "totals": (double, arcs), "owners": (whole, arcs),
        "kept_sizes": (whole, (blocks,)), "kept_ends": (long, (blocks,)), "kept_totals": (double, arcs),
        "keys": (long, arcs), "claimed": (long, tokens),
        "waves": (long, (2, _even(rooms.tokens))), "rows": (long, (rooms.rows, 2)),
        "lane_log": (long, (frames + 1, lanes + 1)), "extra": (long, log), "kept_links": (tiny, links),
        "kept_inner": (tiny, links),
    }  # fmt: skip


class Layouts:
    """The memory of one searcher, and the parts of it that so many lanes work in.

    Attributes:
      laid: how often memory was laid out.
    """

    def __init__(self, frames: int, block: int) -> None:
        """See the class.

        Args:
          frames: of the longest chunk that is expected.
          block: arcs or tokens that a program takes at a time.
        """
        self.frames, self.block, self.laid = frames, block, 0
        self._growth: dict[int, int] = {}  # of each rounded number of lanes
        self._arrays: dict[str, torch.Tensor] = {}
        self._parts: dict[int, LaneMemory] = {}
        self._key: Any = None

    def part(
        self, graph: DeviceGraph, widths: LaneWidths, lanes: int, frames: int, num_pdfs: int, alive: int
    ) -> LaneMemory:
        """Returns the memory of a chunk.

        Args:
          lanes, frames, num_pdfs: of the chunk. alive: tokens that it begins with.
        """
        key, lanes = (graph, replace(widths, lattice_beam=0.0), num_pdfs), rounded(lanes)
        if key != self._key or frames > self.frames:
            self.forget()
            self._key, self.frames = key, max(frames, self.frames)
        while Rooms.predict(graph, widths, lanes, self.frames, self._growth.get(lanes, 1)).tokens < alive:
            self.grow(lanes)
        if lanes not in self._parts:
            rooms = Rooms.predict(graph, widths, lanes, self.frames, self._growth.get(lanes, 1))
            shapes = _shapes(rooms, lanes, self.frames, num_pdfs, graph.depth, self.block)
            if any(name not in self._arrays or len(self._arrays[name]) < prod(s) for name, (_, s) in shapes.items()):
                self._lay_out(shapes, graph.bounds.device)
            views: Any = {name: self._arrays[name][: prod(shape)].view(shape) for name, (_, shape) in shapes.items()}
            self._parts[lanes] = LaneMemory(**views)
            settings = torch.tensor([widths.beam, widths.beam_delta, widths.scale], dtype=torch.float64)
            self._parts[lanes].settings.copy_(settings)
        return self._parts[lanes]

    def _lay_out(self, shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]], device: torch.device) -> None:
        """Allocates arrays in which these and all that came before have room."""
        sizes = {name: max(prod(shape), len(self._arrays.get(name, ()))) for name, (_, shape) in shapes.items()}
        self._parts, self._arrays = {}, {}  # freed before the next are laid out
        self._arrays = {
            name: torch.full((size,), LOWEST if name == "rows" else 0, dtype=shapes[name][0], device=device)
            for name, size in sizes.items()
        }
        self.laid += 1
        taken = sum(array.numel() * array.element_size() for array in self._arrays.values())
        logger.debug("%.1f MB laid out on %s, for %d lanes", taken / 1e6, device, len(self._arrays["lengths"]))

    def grow(self, lanes: int) -> None:
        """Doubles the room of chunks of so many lanes: one did not fit."""
        lanes = rounded(lanes)
        self._growth[lanes] = 2 * self._growth.get(lanes, 1)
        self._parts.pop(lanes, None)

    def forget(self) -> None:
        """Gives the memory back."""
        self._parts, self._arrays = {}, {}
