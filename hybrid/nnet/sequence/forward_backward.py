"""The operator of sequence training: the log of the summed weights of all paths of a graph, and its gradient.

The gradient of a sequence's total by the score of a pdf at a frame is the pdf's occupancy: the share of the total
weight that passes through it. Scores go in unnormalised, such as a network's outputs.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Literal, NamedTuple

import torch

from hybrid.base.errors import quote
from hybrid.nnet.sequence import torch_path
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs, ArcsError

__all__ = ["Passes", "Path", "forward_backward", "total_log_score", "with_gradient"]

Path = Literal["numba", "torch", "triton"]


class Passes(NamedTuple):
    """What both passes give.

    Attributes:
      total: float64 [N], log of the summed weights of all paths; -inf where none fits; not finite either where a score
        is not, or where scores lie so far apart (hundreds of nats) that a shared graph cannot be passed.
      occupancy: [N][T][P] as the scores, each frame of a sequence sums to one; all 0 where its total is not finite,
        and beyond its end.
    """

    total: torch.Tensor
    occupancy: torch.Tensor


def forward_backward(
    scores: torch.Tensor,
    lengths: torch.Tensor,
    graph: Arcs | ArcBatch,
    leak: float = 0.0,
    path: Path | None = None,
) -> Passes:
    """Passes forward and backward through a graph of all sequences, or through one graph for each.

    Args:
      scores: float32 or float64 [N][T][P], log-likelihoods or any log-scores of the pdfs; not differentiated through.
      lengths: int64 [N], frames of each sequence, at most T; what lies beyond is not read.
      graph: `Arcs` shared by all sequences, or a batch of N graphs.
      leak: of a shared graph, the leaky-HMM coefficient (Povey et al., 2016): before the first frame and after each
        one, this share of the whole mass is added, spread as `initial`.
      path: which implementation; by default numba on CPU and Triton on GPU where they are installed, otherwise torch.

    Raises:
      ArcsError: shapes, lengths or pdf-ids that do not fit, or a leak of a batch of graphs.
    """
    total, occupancy = _run(scores.detach(), lengths, graph, leak, path, backward=True)
    assert occupancy is not None
    return Passes(total, occupancy)


def total_log_score(
    scores: torch.Tensor,
    lengths: torch.Tensor,
    graph: Arcs | ArcBatch,
    leak: float = 0.0,
    path: Path | None = None,
) -> torch.Tensor:
    """Returns float64 [N], the log of the summed weights of all paths, differentiable by the scores.

    Arguments and errors are those of `forward_backward`. A sequence whose total is not finite has gradient 0.
    """
    if scores.requires_grad and torch.is_grad_enabled():
        passes = forward_backward(scores, lengths, graph, leak, path)
        return with_gradient(scores, passes.total, passes.occupancy)
    return _run(scores.detach(), lengths, graph, leak, path, backward=False)[0]


def with_gradient(scores: torch.Tensor, totals: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Returns totals [N] whose gradient by scores [N][T][P] is `gradient`, of the same shape."""
    return _WithGradient.apply(scores, totals, gradient)  # type: ignore[no-untyped-call]


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, scores: torch.Tensor, totals: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(gradient, torch.isfinite(totals))
        return totals.clone()

    @staticmethod
    def backward(context: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, good = context.saved_tensors
        # a failed sequence has an infinite or undefined total: whatever comes back for it, its gradient is 0
        weight = torch.where(good, outer[0], torch.zeros_like(outer[0])).to(gradient.dtype)
        return gradient * weight[:, None, None], None, None


def choose(device: torch.device) -> Path:
    """Returns the fastest implementation that is installed for a device."""
    name: Path = "triton" if device.type == "cuda" else "numba"
    usable = device.type in ("cpu", "cuda") and importlib.util.find_spec(name) is not None
    return name if usable else "torch"


def _run(
    scores: torch.Tensor, lengths: torch.Tensor, graph: Arcs | ArcBatch, leak: float, path: Path | None, backward: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    _check(scores, lengths, graph, leak)
    lengths = lengths.to(scores.device, torch.int64)
    passes = _implementation(path or choose(scores.device))
    if isinstance(graph, ArcBatch):
        total, occupancy = passes.each_forward_backward(scores, lengths, graph, backward)
        lost = ~_sound(total, occupancy, lengths)
    else:
        total, occupancy = passes.shared_forward_backward(scores, lengths, graph, float(leak), backward)
        lost = ~_sound(total, occupancy, lengths)
        if scores.dtype == torch.float32 and lost.any():  # scores so far apart that probabilities vanished
            wide = passes.shared_forward_backward(scores[lost].double(), lengths[lost], graph, float(leak), backward)
            total[lost] = wide[0]
            if occupancy is not None:
                occupancy[lost] = wide[1].to(occupancy.dtype)
            lost = ~_sound(total, occupancy, lengths)
    if lost.any():
        total = torch.where(lost & torch.isfinite(total), torch.full_like(total, torch.nan), total)
        if occupancy is not None:
            occupancy[lost] = 0
    return total, occupancy


def _sound(total: torch.Tensor, occupancy: torch.Tensor | None, lengths: torch.Tensor) -> torch.Tensor:
    """Returns bool [N]: a finite total, and occupancies of each frame that sum to one."""
    good = torch.isfinite(total)
    if occupancy is not None:
        inside = torch.arange(occupancy.shape[1], device=lengths.device) < lengths[:, None]
        good &= ((occupancy.sum(2) - inside.to(occupancy.dtype)).abs() < 0.01).all(1)
    return good


def _implementation(path: Path) -> Any:
    if path == "numba":
        from hybrid.nnet.sequence import cpu_path  # numba is not everywhere, and slow to import

        return cpu_path
    if path == "triton":
        from hybrid.nnet.sequence import triton_path

        return triton_path
    return torch_path


def _check(scores: torch.Tensor, lengths: torch.Tensor, graph: Arcs | ArcBatch, leak: float) -> None:
    if scores.ndim != 3 or scores.dtype not in (torch.float32, torch.float64):
        raise ArcsError(f"scores are {scores.dtype} {list(scores.shape)}, wanted float32 or float64 [N][T][P]")
    count, frames, pdfs = scores.shape
    if not count or lengths.shape != (count,) or int(lengths.min()) < 0 or int(lengths.max()) > frames:
        raise ArcsError(f"lengths {quote(lengths.tolist())} do not fit {count} sequences of at most {frames} frames")
    if graph.num_pdfs > pdfs:
        raise ArcsError(
            f"the graph has pdf {graph.num_pdfs - 1}, but the scores have {pdfs} columns: they come from another tree. "
            "Make the graph with the tree of the network"
        )
    if isinstance(graph, ArcBatch) and len(graph) != count:
        raise ArcsError(f"{len(graph)} graphs for {count} sequences, wanted one for each")
    if not 0 <= leak < 1 or (leak and isinstance(graph, ArcBatch)):
        raise ArcsError(f"leak is {leak}, wanted 0 to 1, and 0 where each sequence has a graph of its own")
