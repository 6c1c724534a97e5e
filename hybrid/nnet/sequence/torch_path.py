"""The operator in plain torch: on GPUs without Triton, and on CPUs without numba."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from hybrid.nnet.sequence.arcs import ArcBatch, Arcs

__all__ = ["each_forward_backward", "likelihoods_of", "shared_forward_backward"]


def likelihoods_of(scores: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the likelihoods of a minibatch, scaled by the largest of each frame.

    Returns:
      [T][P][N], exp of the scores less the frame's largest, 0 beyond the ends; float64 [N], the sum of those largest.
    """
    largest = scores.amax(2)
    inside = torch.arange(scores.shape[1], device=scores.device)[None, :] < lengths[:, None]
    largest = torch.where(torch.isfinite(largest) & inside, largest, torch.zeros_like(largest))
    likelihoods = (scores - largest[:, :, None]).exp_().masked_fill_(~inside[:, :, None], 0)
    return likelihoods.permute(1, 2, 0), largest.double().sum(1)


class SharedTensors:
    """A shared graph on a device: the sums over arcs are products with sparse matrices."""

    def __init__(self, arcs: Arcs, device: torch.device, kind: torch.dtype) -> None:
        groups = arcs.groups

        def place(array: np.ndarray) -> torch.Tensor:
            tensor = torch.from_numpy(array).to(device)
            return tensor.to(kind) if tensor.is_floating_point() else tensor.long()

        def sparse(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, width: int) -> torch.Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch calls its compressed rows a beta
                size = (len(rows) - 1, width)
                return torch.sparse_csr_tensor(place(rows), place(columns), place(values), size)

        num_groups = len(groups.group_pdf)
        ones = np.ones(num_groups)
        self.initial, self.final = place(groups.initial), place(groups.final)
        self.group_to, self.group_pdf = place(groups.group_to), place(groups.group_pdf)
        self.group_initial = place(groups.group_initial)
        self.into = sparse(groups.group_arcs, groups.arc_from, groups.arc_weight, arcs.num_states)
        self.enter = sparse(groups.state_groups, np.arange(num_groups, dtype=np.int32), ones, num_groups)
        self.out = sparse(groups.out_rows, groups.out_group, groups.out_weight, num_groups)


def shared_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, arcs: Arcs, leak: float, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph of all sequences; the passes are those of `cpu_shared`."""
    likelihoods, totals = likelihoods_of(scores, lengths)
    likelihoods = likelihoods.contiguous()
    graph = arcs.placed(SharedTensors, scores.device, scores.dtype)
    final = graph.final + leak * (graph.initial @ graph.final)
    alpha = graph.initial[:, None].expand(-1, len(scores)).contiguous()
    end, scales, leaks, inner = torch.zeros_like(alpha[0]), [], [], []
    for t in range(len(likelihoods)):
        end = torch.where(lengths == t, final @ alpha, end)
        sums = alpha.sum(0)
        totals = totals + torch.where(lengths > t, sums, torch.ones_like(sums)).double().log()
        scales.append(torch.where(sums == 0, sums, 1 / sums))
        leaks.append((sums != 0).to(sums.dtype) * leak)
        inner.append((graph.into @ alpha) * scales[t] + graph.group_initial[:, None] * leaks[t])
        alpha = graph.enter @ (inner[t] * likelihoods[t, graph.group_pdf])
    end = torch.where(lengths == len(likelihoods), final @ alpha, end)
    totals = totals + end.double().log()
    if not backward:
        return totals, None
    occupancy = torch.zeros_like(likelihoods)
    reached = (end > 0) & torch.isfinite(end)
    ends = torch.where(reached, final[:, None] / end, torch.zeros_like(end))
    beta = torch.zeros_like(ends)
    for t in range(len(likelihoods) - 1, -1, -1):
        beta = torch.where(lengths == t + 1, ends, beta)
        later = likelihoods[t, graph.group_pdf] * beta[graph.group_to]
        occupancy[t].index_add_(0, graph.group_pdf, later * inner[t])
        beta = ((graph.out @ later) + leaks[t] * (graph.group_initial @ later)) * scales[t]
    return totals, occupancy.permute(2, 0, 1)


class SequenceTensors:
    """The graphs of a batch on a device."""

    def __init__(self, graphs: ArcBatch, device: torch.device, kind: torch.dtype) -> None:
        arcs = graphs.arcs
        self.from_state, self.to_state, self.pdf = (
            torch.from_numpy(array).to(device).long() for array in (arcs.from_state, arcs.to_state, arcs.pdf)
        )
        self.log_weight, self.initial, self.final = (
            torch.from_numpy(array).to(device).double() for array in (arcs.log_weight, arcs.initial, arcs.final)
        )
        numbers = torch.arange(len(graphs))
        self.of_arc, self.of_state = (
            torch.repeat_interleave(numbers, torch.from_numpy(np.diff(splits))).to(device)
            for splits in (graphs.arc_splits, graphs.state_splits)
        )


def _log_sum(values: torch.Tensor, index: torch.Tensor, count: int) -> torch.Tensor:
    """Returns [count], the log of the sum of exp(values) by index; -inf where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 1.13 calls scatter_reduce a beta
        largest = values.new_full((count,), -torch.inf).scatter_reduce(0, index, values, "amax")
    shift = torch.where(torch.isinf(largest), torch.zeros_like(largest), largest)
    return shift + values.new_zeros(count).index_add_(0, index, (values - shift[index]).exp()).log()


def each_forward_backward(
    scores: torch.Tensor, lengths: torch.Tensor, graphs: ArcBatch, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See `forward_backward`, for one graph per sequence; in the log domain, float64."""
    graph = graphs.placed(SequenceTensors, scores.device, scores.dtype)
    states, sequences = graphs.arcs.num_states, len(scores)
    alphas = [graph.initial]
    for t in range(scores.shape[1]):
        values = alphas[t][graph.from_state] + graph.log_weight + scores[graph.of_arc, t, graph.pdf]
        alphas.append(_log_sum(values, graph.to_state, states))
    last = torch.stack(alphas)[lengths[graph.of_state], torch.arange(states, device=scores.device)]
    totals = _log_sum(last + graph.final, graph.of_state, sequences)
    if not backward:
        return totals, None
    occupancy = torch.zeros(sequences, scores.shape[1], scores.shape[2], dtype=torch.float64, device=scores.device)
    beta = torch.full_like(graph.final, -torch.inf)
    for t in range(scores.shape[1] - 1, -1, -1):
        beta = torch.where((lengths == t + 1)[graph.of_state], graph.final, beta)
        values = graph.log_weight + scores[graph.of_arc, t, graph.pdf] + beta[graph.to_state]
        values = torch.where((lengths > t)[graph.of_arc], values, torch.full_like(values, -torch.inf))
        posterior = (alphas[t][graph.from_state] + values - totals[graph.of_arc]).exp().nan_to_num(0.0)
        occupancy[:, t].index_put_((graph.of_arc, graph.pdf), posterior, accumulate=True)
        beta = _log_sum(values, graph.from_state, states)
    return totals, occupancy.to(scores.dtype)
