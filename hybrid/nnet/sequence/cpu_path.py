"""The operator on CPU: the minibatch is cut into as many parts as there are threads, passed side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from hybrid.nnet.sequence import cpu_sequences, cpu_shared
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs
from hybrid.nnet.sequence.torch_path import likelihoods_of

__all__ = ["each_forward_backward", "shared_forward_backward"]

LARGEST_BLOCK = 256 << 20  # bytes that one thread keeps of a forward pass


def _side_by_side(task: Callable[[int, int], None], count: int, width: int) -> None:
    """Calls task(begin, end) for parts of at most `width` sequences, on torch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), count))
    width = min(width, -(-count // threads))
    parts = [(begin, min(begin + width, count)) for begin in range(0, count, width)]
    if threads == 1 or len(parts) == 1:
        for begin, end in parts:
            task(begin, end)
        return
    with ThreadPoolExecutor(threads) as pool:  # of this call: a pool does not survive a fork
        for done in [pool.submit(task, begin, end) for begin, end in parts]:
            done.result()


def shared_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, arcs: Arcs, leak: float, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph of all sequences."""
    likelihoods, largest = likelihoods_of(scores, lengths)
    groups, kind = arcs.groups, likelihoods.numpy().dtype
    graph = {name: value.astype(kind) if value.dtype == np.float64 else value for name, value in vars(groups).items()}
    final = (groups.final + leak * (groups.initial @ groups.final)).astype(kind)
    count, (frames, pdfs) = len(scores), likelihoods.shape[:2]
    num_groups, ends = len(groups.group_pdf), lengths.numpy()
    totals = largest.numpy()
    occupancy = np.empty((count, frames, pdfs), kind) if backward else None

    def part(begin: int, stop: int) -> None:
        """Forward and, where occupancies are wanted, backward pass of sequences begin to stop."""
        width = stop - begin
        inputs = np.ascontiguousarray(likelihoods[:, :, begin:stop].numpy())
        inner = np.empty((frames, num_groups, width), kind)
        scales, leaks = np.empty((frames, width), kind), np.empty((frames, width), kind)
        end, log_scale = np.zeros(width, kind), np.empty(width)
        cpu_shared.shared_forward(
            inputs, ends[begin:stop], kind.type(leak), graph["initial"], final, graph["state_groups"],
            graph["group_pdf"], graph["group_initial"], graph["group_arcs"], graph["arc_from"], graph["arc_weight"],
            inner, scales, leaks, end, log_scale,
        )  # fmt: skip
        with np.errstate(divide="ignore"):
            totals[begin:stop] += log_scale + np.log(end.astype(np.float64))
        if occupancy is None:
            return
        occupied = np.zeros_like(inputs)
        cpu_shared.shared_backward(
            inputs, ends[begin:stop], final, graph["group_to"], graph["group_pdf"], graph["group_initial"],
            graph["out_rows"], graph["out_group"], graph["out_weight"], inner, scales, leaks, end, occupied,
        )  # fmt: skip
        occupancy[begin:stop] = occupied.transpose(2, 0, 1)

    _side_by_side(part, count, max(8, LARGEST_BLOCK // max(1, frames * num_groups * kind.itemsize)))
    return torch.from_numpy(totals), None if occupancy is None else torch.from_numpy(occupancy)


def each_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, graphs: ArcBatch, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph per sequence."""
    arcs, rows = graphs.arcs, graphs.rows
    inputs, ends = scores.contiguous().numpy(), lengths.numpy()
    totals, occupancy = np.empty(len(inputs)), np.zeros_like(inputs)

    def part(begin: int, stop: int) -> None:
        cpu_sequences.sequences_pass(
            inputs, ends, graphs.state_splits, arcs.from_state, arcs.to_state, arcs.pdf, arcs.log_weight, arcs.initial,
            arcs.final, rows.into, rows.into_arcs, rows.out, rows.out_arcs, begin, stop, totals, occupancy,
        )  # fmt: skip

    _side_by_side(part, len(inputs), len(inputs))
    return torch.from_numpy(totals), torch.from_numpy(occupancy) if backward else None
