"""The LF-MMI objective: how likely what was said is among all that could have been, per frame (Povey et al., 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hybrid.base.errors import HybridError
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.nnet.sequence.forward_backward import Passes, Path, forward_backward, total_log_score, with_gradient

__all__ = ["ChainConfig", "ChainObjective", "ChainParts"]


@dataclass(frozen=True)
class ChainParts:
    """What one minibatch gave; all but `loss` are plain numbers per frame, larger is better.

    Attributes:
      loss: scalar to minimise, minus the sum of all terms per frame; differentiable.
      objective: numerator - denominator, at most 0 where the numerators are paths of the denominator.
      numerator, denominator: log-probabilities.
      cross_entropy: of the head, Σ occupancy · log-softmax (0 without a head), before its weight.
      l2, out_of_range: the penalties with their weights, at most 0.
      frames: Σ weight · length of the sequences that count.
      failed: sequences left out, because no path fits their length or a score is not finite.
    """

    loss: torch.Tensor
    objective: float
    numerator: float
    denominator: float
    cross_entropy: float
    l2: float
    out_of_range: float
    frames: float
    failed: int


class ChainObjective:
    """Rates minibatches against a denominator graph."""

    def __init__(self, config: ChainConfig, denominator: Arcs, path: Path | None = None) -> None:
        """Keeps the graph.

        Args:
          denominator: what could have been said; its initial probabilities also say where leaks lead.
          path: see `forward_backward`.
        """
        self.config, self.denominator, self.path = config, denominator, path

    def __call__(
        self,
        scores: torch.Tensor,
        lengths: torch.Tensor,
        numerators: ArcBatch,
        xent: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
    ) -> ChainParts:
        """Rates one minibatch.

        Args:
          scores: [N][T][P], output of the network without softmax; half precision is widened.
          lengths: int64 [N], frames at the network's output rate.
          numerators: what was said, one graph per sequence.
          xent: [N][T][P], log-softmax of the cross-entropy head.
          weights: float [N], supervision weights; by default 1.

        Raises:
          ArcsError: shapes, lengths or pdf-ids that do not fit.
          HybridError: scores and head, or weights, of different shapes.
        """
        if xent is not None and xent.shape != scores.shape:
            raise HybridError(
                f"cross-entropy head {list(xent.shape)}, scores {list(scores.shape)}: wanted the same shape"
            )
        weights = torch.ones(len(scores)) if weights is None else weights
        if weights.shape != (len(scores),):
            raise HybridError(f"weights {list(weights.shape)} for {len(scores)} sequences, wanted one for each")
        scores = scores if scores.dtype == torch.float64 else scores.float()
        lengths = lengths.to(scores.device)
        numerator = forward_backward(scores, lengths, numerators, path=self.path)
        denominator = self._denominator(scores, lengths)
        good = torch.isfinite(numerator.total) & torch.isfinite(denominator.total)
        share = torch.where(good, weights.to(numerator.total), torch.zeros_like(numerator.total))
        frames = (share * lengths).sum()
        share = share / torch.where(frames > 0, frames, torch.ones_like(frames))
        totals = [
            torch.where(good, passes.total, torch.zeros_like(passes.total)) for passes in (numerator, denominator)
        ]
        difference = totals[0] - totals[1]
        if scores.requires_grad:
            difference = with_gradient(scores, difference, numerator.occupancy - denominator.occupancy)
        inside = torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]
        counted = (good[:, None] & inside)[:, :, None]
        objective = (share * difference).sum()
        cross_entropy = self._cross_entropy(numerator.occupancy, xent, counted, share)
        l2, out_of_range = self._penalties(scores, counted, share)
        return ChainParts(
            loss=-(objective + self.config.xent_weight * cross_entropy + l2 + out_of_range).to(scores.dtype),
            objective=objective.item(),
            numerator=float((share * totals[0]).sum()),
            denominator=float((share * totals[1]).sum()),
            cross_entropy=cross_entropy.item(),
            l2=l2.item(),
            out_of_range=out_of_range.item(),
            frames=frames.item(),
            failed=int((~good).sum()),
        )

    def _denominator(self, scores: torch.Tensor, lengths: torch.Tensor) -> Passes:
        leak = self.config.leaky_hmm_coefficient
        if scores.requires_grad:
            return forward_backward(scores, lengths, self.denominator, leak, self.path)
        return Passes(total_log_score(scores, lengths, self.denominator, leak, self.path), scores)

    @staticmethod
    def _cross_entropy(
        occupancy: torch.Tensor, xent: torch.Tensor | None, counted: torch.Tensor, share: torch.Tensor
    ) -> torch.Tensor:
        if xent is None:
            return share.new_zeros(())
        taken = torch.where(counted & (occupancy > 0), xent.to(occupancy.dtype), torch.zeros_like(occupancy))
        return (share * (occupancy * taken).sum((1, 2))).sum()

    def _penalties(
        self, scores: torch.Tensor, counted: torch.Tensor, share: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        config, zero = self.config, share.new_zeros(())
        kept = torch.where(counted, scores, torch.zeros_like(scores))
        l2 = -0.5 * config.l2 * (share * kept.square().sum((1, 2))).sum() if config.l2 else zero
        if not config.out_of_range or not bool((kept.detach().abs() > config.limit).any()):
            return l2, zero
        excess = (kept.abs() - config.limit).clamp(min=0)
        return l2, -0.5 * config.out_of_range * (share * excess.square().sum((1, 2))).sum()
