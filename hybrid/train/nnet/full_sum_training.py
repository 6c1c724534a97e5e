"""Full-sum training: all alignments of a text at once, by a hybrid HMM whose states a network gives posteriors of.

From scratch, without the alignment of another model (Raissi et al. 2023, "Competitive and resource efficient factored
hybrid HMM systems"; the label posterior HMM of order zero). What is maximised is log Σ over alignments of
Π posterior(pdf | frame) / prior(pdf)^scale · transition. The prior is the network's own mean posterior over the batch,
which keeps a training that is resumed the same and silence from taking every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hybrid.base.config import config_to_dict
from hybrid.base.errors import InputError
from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.folder import load_chain_model
from hybrid.chain.full_sum import full_sum_acceptor
from hybrid.chain.store import Supervisions
from hybrid.nnet.network import Output
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs, batch
from hybrid.nnet.sequence.forward_backward import total_log_score
from hybrid.train.nnet.config import FullSumConfig
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.run import Task
from hybrid.train.nnet.sources import Item

__all__ = ["FullSum", "FullSumTargets", "full_sum_task"]


ACOUSTIC_SCALE = 0.3  # of the finished model: frames are not independent
SMALLEST = 1e-6  # of a prior: a pdf that a batch lacks must not draw every frame to it


@dataclass(frozen=True, eq=False)
class FullSumTargets:
    """All alignments of whole utterances, out of a supervision without times."""

    supervisions: Supervisions
    config: FullSumConfig
    fixed: bool = True

    def fault(self, item: Item) -> str:
        """See `Targets.fault`."""
        known = item.name in self.supervisions or item.utterance in self.supervisions
        return "" if known else "has no supervision (failed.txt of its folder says why)"

    def of_chunk(self, item: Item, start: int, frames: int) -> PdfAcceptor:
        """See `Targets.of_chunk`."""
        own = item.name if item.name in self.supervisions else item.utterance
        count, config = self.supervisions.config.num_frames(frames), self.config
        return full_sum_acceptor(self.supervisions[own], count, config.loop_probability, config.transition_scale)

    def together(self, chunks: Sequence[PdfAcceptor]) -> ArcBatch:
        """See `Targets.together`."""
        return batch([Arcs(**chunk.arrays) for chunk in chunks])


@dataclass(frozen=True, eq=False)
class FullSum:
    """Likelihood of texts under posteriors over priors; see `Objective`."""

    config: FullSumConfig
    name: str = "full sum"
    ceiling: float | None = None
    advice: str = "Lower the learning rate."

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of the network that are trained."""
        return ("xent",)

    def __call__(self, output: Output, targets: ArcBatch) -> Parts:
        """See `Objective`."""
        assert output.xent is not None  # `run` looks that the network has this head
        posteriors = output.xent.float()
        lengths = output.lengths.to(posteriors.device)
        inside = torch.arange(posteriors.shape[1], device=posteriors.device) < lengths[:, None]
        prior = posteriors.detach()[inside].exp().mean(dim=0).clamp(min=SMALLEST).log()
        total = total_log_score(posteriors - self.config.prior_scale * prior, lengths, targets)
        good = torch.isfinite(total)
        frames = float(lengths[good].sum())
        found = torch.where(good, total, torch.zeros_like(total)).sum()
        return Parts(-found, frames, {"objective": float(found), "left_out": float((~good).sum())})


def full_sum_task(tree_dir: Path, sup_dir: Path, config: FullSumConfig, factor: int, whole: bool) -> Task:
    """Full-sum training on the supervision of texts (`hybrid nnet chain-flat --units state`, `chain-sup`).

    Args:
      factor: frame subsampling of the network.
      whole: utterances are not cut.

    Raises:
      MismatchError: tree and supervision do not belong together.
      InputError: the network's frame rate is not the supervision's, phones have times, or chunks are wanted.
    """
    model, part = load_chain_model(tree_dir)
    supervisions = Supervisions.open(sup_dir, part)
    if supervisions.config.subsampling_factor != factor:
        raise InputError.at(
            sup_dir, f"is for one frame of scores in {supervisions.config.subsampling_factor} of the features, the "
            f"network has one in {factor}", "Set subsampling_factor of the network, or make the supervision again.",
        )  # fmt: skip
    if not whole:
        raise InputError.at("chunk_frames", "cuts utterances, whose phones have no times", "Set chunk_frames to 0.")
    return Task(
        transition_model=model,
        phones_path=tree_dir / "phones.txt",
        targets=FullSumTargets(supervisions, config),
        objective=FullSum(config),
        head="xent",
        scales=(ACOUSTIC_SCALE, 1.0, 1.0),
        inputs={"tree": tree_dir / "tree", "supervision": sup_dir},
        settings=config_to_dict(config),
        with_prior=True,
    )
