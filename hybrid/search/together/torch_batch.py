"""What a device found in utterances side by side, as lattices; and scores on their way to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from hybrid.lanes.leaving import HandedLanes
from hybrid.lanes.to_host import ToHost
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import assemble
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import SearchResult, Status
from hybrid.search.together.assemble_kernels import pruned_lanes
from hybrid.search.together.handed_out import trellis_of

__all__ = ["FoundTogether", "chunk_on", "on_device", "on_same"]

NOTHING = Lattice.empty()
TOGETHER = 64  # utterances that are looked at by one launch


class FoundTogether(NamedTuple):
    """What a device found in utterances side by side, on its way to the host.

    Attributes:
      sent: `HandedLanes`, and int64 [lane], the frames at which max-active decided.
      which: the number of each lane's utterance. lengths: int64 [lane], frames.
    """

    graph: SearchGraph
    config: SearchConfig
    sent: ToHost
    which: list[int]
    lengths: np.ndarray

    def arrived(self) -> tuple[HandedLanes, np.ndarray]:
        """Waits until it is there."""
        *handed, limited = self.sent.arrays()
        return HandedLanes(*handed), limited

    def plain_results(self) -> list[SearchResult]:
        """Makes the lattices of all lanes one after the other, as other engines do; needs little that is compiled."""
        handed, limited = self.arrived()
        rows = [trellis_of(self.graph, piece) for piece in handed.pieces(self.lengths + 2)]
        return [assemble(self.graph, self.config, row, int(count)) for row, count in zip(rows, limited)]

    def results(self, begin: int, end: int) -> list[SearchResult]:
        """Makes the lattices of some lanes in one compiled loop; `plain_results` is its twin."""
        (handed, limits), graph, config = self.arrived(), self.graph, self.config
        end = min(end, len(handed.sizes))
        arcs = graph.graph_scores, graph.transition_ids, graph.word_ids
        rows, labels, scores, finals, bounds, complete = pruned_lanes(
            handed.sizes, self.lengths, handed.states, handed.links, handed.epsilons, handed.acoustic, arcs,
            graph.final_scores, config.scale, float(config.lattice_beam), begin, end,
        )  # fmt: skip
        ends, own = bounds.tolist(), (*labels, *scores)
        facts = zip(complete.tolist(), limits[begin:end].tolist(), self.lengths[begin:end].tolist())
        made = []
        for lane, ((a, s), (b, e), (whole, limited, length)) in enumerate(zip(ends, ends[1:], facts)):
            status: Status = "empty" if s == e else "complete" if whole else "partial"
            lattice = NOTHING
            if s < e:
                between = [column[a:b] for column in own]
                lattice = Lattice.unchecked(rows[s + lane : e + lane + 1], *between, finals[0, s:e], finals[1, s:e])
            made.append(SearchResult(lattice, status, limited, length, (config,), begin=graph.start))
        return made


def on_same(device: torch.device, arrays: Sequence[Any]) -> bool:
    """Whether scores lie on a device as tensors."""
    return all(isinstance(each, torch.Tensor) and each.device.type == device.type for each in arrays)


def on_device(device: torch.device, scores: Any, lengths: Any, num_pdfs: int) -> list[torch.Tensor] | None:
    """Returns the utterances of a batch that lies on a device, and that can be searched; None for any other batch."""
    items = list(scores)
    if device.type == "cpu" or not items or not on_same(device, items):
        return None
    sizes = [len(each) for each in items] if lengths is None else [int(n) for n in lengths]
    fits = len(sizes) == len(items) and all(0 < size <= len(each) for size, each in zip(sizes, items))
    if not fits or any(each.shape[1:] != (num_pdfs,) for each in items):
        return None
    cut = [each[:size].float() for size, each in zip(sizes, items)]
    parts = [torch.cat(cut[i : i + TOGETHER]).amax(1) for i in range(0, len(cut), TOGETHER)]
    highest = torch.cat(parts)  # NaN where there is one
    return cut if bool(((highest < float("inf")) & (highest > float("-inf"))).all()) else None


def chunk_on(device: torch.device, chunks: Sequence[Any]) -> torch.Tensor:
    """Returns chunks as float32 [lane][frame][pdf_id] on a device, padded by 0."""
    if on_same(device, chunks):
        return pad_sequence(list(chunks), batch_first=True)
    shape = len(chunks), max(map(len, chunks)), max(chunk.shape[-1] for chunk in chunks)
    padded = torch.zeros(shape, pin_memory=device.type == "cuda")
    for row, chunk in zip(padded.numpy(), chunks):
        row[: len(chunk)] = chunk
    return padded.to(device, non_blocking=True)
