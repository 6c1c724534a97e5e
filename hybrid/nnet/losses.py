"""Objectives on alignments and lattices: frame cross-entropy, and MMI, boosted MMI and sMBR (Veselý et al., 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch

from hybrid.base.errors import HybridError
from hybrid.base.ranges import NATURAL, POSITIVE, check_fields
from hybrid.nnet.sequence.forward_backward import with_gradient
from hybrid.nnet.sequence.lattices import LatticeArcs, pass_lattice

__all__ = [
    "Criterion",
    "CrossEntropyParts",
    "DiscriminativeConfig",
    "DiscriminativeParts",
    "discriminative_objective",
    "frame_cross_entropy",
]

Criterion = Literal["mmi", "bmmi", "smbr"]


class CrossEntropyParts(NamedTuple):
    """Sums over the frames that count.

    Attributes:
      loss: to be minimised.
      objective: log-posteriors of the targets.
      frames: how many frames count. right: for how many of them the target is likeliest.
    """

    loss: torch.Tensor
    objective: torch.Tensor
    frames: int
    right: int


def frame_cross_entropy(
    log_posteriors: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0
) -> CrossEntropyParts:
    """Sums the cross-entropy of frames with known pdfs.

    Args:
      log_posteriors: [N][T][P], log-softmax.
      targets: int64 [N][T], pdf of each frame; negative where a frame does not count (padding).
      smoothing: share of each target that is spread over all pdfs (Szegedy et al., 2016).

    Raises:
      HybridError: shapes that differ, or a target that the posteriors lack.
    """
    if targets.shape != log_posteriors.shape[:2]:
        raise HybridError(f"targets {list(targets.shape)} for posteriors {list(log_posteriors.shape)}: wanted [N][T]")
    if int(targets.max()) >= log_posteriors.shape[2]:
        raise HybridError(
            f"a target is pdf {int(targets.max())}, but the network has {log_posteriors.shape[2]} outputs. "
            "Align with a model of the same tree"
        )
    counts = targets >= 0
    true = log_posteriors.gather(-1, targets.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    nothing = torch.zeros_like(true)
    objective = torch.where(counts, true, nothing).sum()
    loss = -objective
    if smoothing:
        loss = -(1.0 - smoothing) * objective - smoothing * torch.where(counts, log_posteriors.mean(-1), nothing).sum()
    right = ((log_posteriors.detach().argmax(-1) == targets) & counts).sum()
    return CrossEntropyParts(loss, objective.detach(), int(counts.sum()), int(right))


@dataclass(frozen=True)
class DiscriminativeConfig:
    """Settings of sequence-discriminative training on lattices."""

    criterion: Criterion = field(default="smbr", metadata={"help": "mmi, bmmi (boosted MMI) or smbr."})
    acoustic_scale: float = field(default=0.1, metadata={"help": "Scale of the scores; the model's, as in decoding."})
    boost: float = field(default=0.1, metadata={"help": "Of bmmi: how many nats a wrong frame makes a path likelier."})
    drop_frames: bool = field(
        default=True, metadata={"help": "Of mmi, bmmi: no gradient where the lattice lacks the reference's pdf."}
    )

    def __post_init__(self) -> None:
        check_fields(self, acoustic_scale=POSITIVE, boost=NATURAL)
        if self.criterion not in get_args(Criterion):
            raise ValueError(f"criterion is {self.criterion!r}, wanted one of {', '.join(get_args(Criterion))}")


@dataclass(frozen=True)
class DiscriminativeParts:
    """What one minibatch gave.

    Attributes:
      loss: scalar to minimise, minus `objective`; differentiable.
      objective: per frame. sMBR: share of right frames to be expected, 0 to 1. MMI: log-probability of the reference's
        acoustic score in the lattice, without the graph score of the reference, which is a constant.
      frames: of the utterances that count.
      failed: utterances left out, because the lattice has no complete path or a score is not finite.
    """

    loss: torch.Tensor
    objective: float
    frames: int
    failed: int


def discriminative_objective(
    scores: torch.Tensor,
    lattices: Sequence[LatticeArcs],
    references: Sequence[np.ndarray],
    config: DiscriminativeConfig,
    classes: np.ndarray | None = None,
) -> DiscriminativeParts:
    """Rates a minibatch of utterances; the lattices are passed on the CPU.

    Args:
      scores: [N][T][P], log-likelihoods: a network's log-posteriors less the log-priors, or its LF-MMI outputs.
      references: N × int [frames], pdf of each frame of what was said; their lengths are the utterances'.
      classes: int [P], pdfs of one class are right for each other; e.g. all pdfs of silence. By default each its own.

    Raises:
      HybridError: a number of lattices or references, or a length or pdf-id, that does not fit.
    """
    if not len(scores) == len(lattices) == len(references):
        raise HybridError(f"{len(lattices)} lattices and {len(references)} references for {len(scores)} utterances")
    classes = np.arange(scores.shape[2]) if classes is None else np.asarray(classes)
    host = scores.detach().to("cpu", torch.float64).numpy()
    values, gradient, frames = np.zeros(len(host)), np.zeros_like(host), 0
    failed = 0
    for n, (lattice, reference) in enumerate(zip(lattices, references)):
        length = len(reference)
        if length > host.shape[1] or (length and not 0 <= reference.min() <= reference.max() < host.shape[2]):
            raise HybridError(f"reference {n} of {length} frames does not fit scores {list(scores.shape)}")
        value, slope = _rate(host[n, :length], lattice, np.asarray(reference), config, classes)
        if np.isfinite(value) and np.isfinite(slope).all():
            values[n], gradient[n, :length], frames = value, slope, frames + length
        else:
            failed += 1
    share = 1 / max(1, frames)
    totals, slopes = torch.from_numpy(values).to(scores.device), torch.from_numpy(gradient).to(scores)
    objective = share * with_gradient(scores, totals, slopes).sum()
    return DiscriminativeParts(-objective, objective.item(), frames, failed)


def _rate(
    scores: np.ndarray, lattice: LatticeArcs, reference: np.ndarray, config: DiscriminativeConfig, classes: np.ndarray
) -> tuple[float, np.ndarray]:
    """Returns the objective of one utterance and its gradient by the scores."""
    covered = int(lattice.frame.max(initial=-1)) + 1
    if covered != len(reference):
        raise HybridError(
            f"a lattice covers {covered} frames, the reference {len(reference)}. Make both from the same features"
        )
    scaled, frames = config.acoustic_scale * scores, np.arange(len(reference))
    right = classes[None, :] == classes[reference][:, None]
    boost = config.boost if config.criterion == "bmmi" else 0.0
    passes = pass_lattice(lattice, scaled, right, boost)
    if not np.isfinite(passes.total):
        return passes.total, passes.occupancy
    if config.criterion == "smbr":
        return passes.accuracy, config.acoustic_scale * passes.accuracy_gradient
    slope = -passes.occupancy
    slope[frames, reference] += 1
    if config.drop_frames:
        slope[passes.occupancy[frames, reference] == 0] = 0
    return scaled[frames, reference].sum() - passes.total, config.acoustic_scale * slope
