"""The operator on GPU: launches of the Triton kernels, replayed as one CUDA graph where a shape comes again."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import triton

from hybrid.nnet.sequence import triton_kernels as kernels
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs
from hybrid.nnet.sequence.torch_path import likelihoods_of

__all__ = ["each_forward_backward", "shared_forward_backward"]

SHAPES = 8  # of minibatches, whose launches are kept recorded for one graph


def _placed_groups(arcs: Arcs, device: torch.device, kind: torch.dtype) -> SimpleNamespace:
    tensors = {name: torch.from_numpy(array).to(device) for name, array in vars(arcs.groups).items()}
    return SimpleNamespace(**{n: x.to(kind) if x.is_floating_point() else x for n, x in tensors.items()}, recorded={})


def shared_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, arcs: Arcs, leak: float, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph of all sequences."""
    graph = arcs.placed(_placed_groups, scores.device, scores.dtype)

    def passes(scores: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        return _shared_passes(scores, lengths, graph, leak, backward)

    if not scores.is_cuda:
        found = passes(scores, lengths)
    else:
        found = _recorded(passes, graph.recorded, (*scores.shape, leak, backward), scores, lengths)
    return found[0], found[1] if backward else None


class _Recording:
    """Launches that are replayed on fixed memory."""

    def __init__(self, passes: Callable[..., list[torch.Tensor]], *inputs: torch.Tensor) -> None:
        self.inputs = [tensor.clone() for tensor in inputs]
        self.graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph):
            self.outputs = passes(*self.inputs)

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        for fixed, given in zip(self.inputs, inputs):
            fixed.copy_(given)
        self.graph.replay()
        return [output.clone() for output in self.outputs]


def _recorded(
    passes: Callable[..., list[torch.Tensor]], kept: dict[Any, _Recording | None], key: Any, *inputs: torch.Tensor
) -> list[torch.Tensor]:
    """Runs the passes; of a shape that comes again, the recorded launches."""
    if key in kept:
        if kept[key] is None:
            kept[key] = _Recording(passes, *inputs)
        return kept[key](*inputs)  # type: ignore[misc]
    if len(kept) < SHAPES:
        kept[key] = None
    return passes(*inputs)


def _shared_passes(
    scores: torch.Tensor, lengths: torch.Tensor, graph: SimpleNamespace, leak: float, backward: bool
) -> list[torch.Tensor]:
    likelihoods, totals = likelihoods_of(scores, lengths)
    likelihoods = likelihoods.contiguous()
    frames, _, count = likelihoods.shape
    states, groups = len(graph.initial), len(graph.group_pdf)
    width = min(32, triton.next_power_of_2(count))
    blocks = triton.cdiv(count, width)
    by_state = {"STATES": 4, "ARCS": 16, "SEQUENCES": width, "num_warps": 1}
    alphas = scores.new_empty(frames + 1, states, count)
    alphas[0] = graph.initial[:, None]
    sums = scores.new_zeros(frames + 1, count)
    sums[0] = graph.initial.sum()
    inner, group_leak = scores.new_empty(frames, groups, count), leak * graph.group_initial
    for t in range(frames):
        kernels.forward_step[(triton.cdiv(states, 4), blocks)](
            alphas[t], alphas[t + 1], sums[t], sums[t + 1], likelihoods[t], inner[t], graph.state_groups,
            graph.group_pdf, group_leak, graph.group_arcs, graph.arc_from, graph.arc_weight, states, count, **by_state,
        )  # fmt: skip
    final = graph.final + leak * (graph.initial @ graph.final)
    end = alphas[lengths, :, torch.arange(count, device=scores.device)] @ final
    inside = torch.arange(frames, device=scores.device)[:, None] < lengths
    totals = totals + torch.where(inside, sums[:frames], torch.ones_like(sums[:frames])).double().log().sum(0)
    totals = totals + end.double().log()
    if not backward:
        return [totals]
    per_end = torch.where((end > 0) & torch.isfinite(end), 1 / end, torch.zeros_like(end))
    beta = torch.where(lengths == frames, final[:, None] * per_end, torch.zeros_like(end)).contiguous()
    later, leaked, occupancy = torch.empty_like(inner[0]), torch.zeros_like(sums), torch.zeros_like(likelihoods)
    for t in range(frames - 1, -1, -1):
        kernels.groups_step[(triton.cdiv(groups, 16), blocks)](
            beta, later, likelihoods[t], inner[t], occupancy[t], leaked[t], graph.group_to, graph.group_pdf,
            group_leak, groups, count, GROUPS=16, SEQUENCES=width, num_warps=1,
        )  # fmt: skip
        kernels.backward_step[(triton.cdiv(states, 4), blocks)](
            beta, later, sums[t], leaked[t], final, per_end, lengths, graph.out_rows, graph.out_group, graph.out_weight,
            t, states, count, **by_state,
        )  # fmt: skip
    return [totals, occupancy.permute(2, 0, 1).contiguous()]


def _placed_sequences(graphs: ArcBatch, device: torch.device) -> SimpleNamespace:
    arrays = {**vars(graphs.arcs), **vars(graphs.rows), "state_splits": graphs.state_splits,
              "arc_splits": graphs.arc_splits}  # fmt: skip
    found = {n: torch.from_numpy(a).to(device) for n, a in arrays.items() if isinstance(a, np.ndarray)}
    return SimpleNamespace(**found, widest=int(np.diff(graphs.state_splits).max()))


def each_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, graphs: ArcBatch, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph per sequence."""
    graph, scores = graphs.placed(_placed_sequences, scores.device), scores.contiguous()
    count, frames, pdfs = scores.shape
    alphas = scores.new_empty(count, frames + 1, graph.widest, dtype=torch.float64)
    betas, totals = torch.empty_like(alphas[:, :1].repeat(1, 2, 1)), torch.empty_like(alphas[:, 0, 0])
    occupancy = torch.zeros_like(scores)
    block = min(512, max(32, triton.next_power_of_2(graph.widest)))
    kernels.sequences_pass[(count,)](
        scores, lengths, graph.state_splits, graph.arc_splits, graph.from_state, graph.to_state, graph.pdf,
        graph.log_weight, graph.initial, graph.final, graph.into, graph.into_arcs, graph.out, graph.out_arcs, alphas,
        betas, totals, occupancy, frames, pdfs, graph.widest, BACKWARD=backward, BLOCK=block, num_warps=4,
    )  # fmt: skip
    return totals, occupancy if backward else None
