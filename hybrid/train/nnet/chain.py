"""Lattice-free MMI: numerators of chunks, and the operator's objective as the loop knows objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hybrid.base.config import config_to_dict
from hybrid.base.errors import InputError
from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.denominator import Denominator
from hybrid.chain.folder import load_chain_model, load_denominator
from hybrid.chain.numerator import Numerator
from hybrid.chain.store import Supervisions
from hybrid.chain.supervision import Cutter
from hybrid.nnet.network import Output
from hybrid.nnet.sequence.arcs import ArcBatch, Arcs, batch
from hybrid.nnet.sequence.config import ChainConfig
from hybrid.nnet.sequence.objective import ChainObjective
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.run import Task
from hybrid.train.nnet.sources import Item

__all__ = ["ChainTargets", "LatticeFreeMmi", "chain_task"]

SCALES = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ChainTargets:
    """Numerators of chunks, cut out of a supervision when wanted; stretched in time for other speeds.

    Attributes:
      whole: utterances are not cut, and phones have no times (flat start).
    """

    supervisions: Supervisions
    cutter: Cutter
    whole: bool = False

    def _of(self, item: Item) -> tuple[Numerator, float] | None:
        """An item's numerator, and by how much it must be stretched: its own goes before that of speed 1."""
        if item.name in self.supervisions:
            return self.supervisions[item.name], 1.0
        return (self.supervisions[item.utterance], item.speed) if item.utterance in self.supervisions else None

    def fault(self, item: Item) -> str:
        """See `Targets.fault`."""
        found = self._of(item)
        if found is None:
            return "has no supervision (failed.txt of its folder says why)"
        numerator, speed = found
        expected = item.frames * speed
        if abs(numerator.num_frames - expected) > 3 + 0.02 * expected:
            return f"has {item.frames} frames at speed {item.speed:g}, its supervision {numerator.num_frames}"
        return ""

    def of_chunk(self, item: Item, start: int, frames: int) -> PdfAcceptor:
        """See `Targets.of_chunk`."""
        found = self._of(item)
        assert found is not None
        numerator, speed = found
        if numerator.num_frames != item.frames:
            numerator = numerator.at_speed(speed, item.frames)
        return self.cutter.untimed(numerator, frames) if self.whole else self.cutter.chunk(numerator, start, frames)

    def together(self, chunks: Sequence[PdfAcceptor]) -> ArcBatch:
        """See `Targets.together`."""
        return batch([Arcs(**chunk.arrays) for chunk in chunks])


@dataclass(frozen=True, eq=False)
class LatticeFreeMmi:
    """Numerator against denominator (Povey et al. 2016), with a cross-entropy head; see `Objective`."""

    config: ChainConfig
    denominator: Denominator
    name: str = "LF-MMI"
    ceiling: float | None = 0.0
    advice: str = (
        "What was said is a part of what may be said, so the supervision was not made with this denominator, or scores "
        "have lost their precision: make den and sup again, lower the learning rate, or raise l2 or out_of_range."
    )

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of the network that are trained."""
        return ("chain", "xent") if self.config.xent_weight else ("chain",)

    @cached_property
    def _rate(self) -> ChainObjective:
        return ChainObjective(self.config, Arcs(**self.denominator.arrays))

    def __call__(self, output: Output, targets: ArcBatch) -> Parts:
        """See `Objective`."""
        assert output.chain is not None  # `run` looks that the network has this head
        xent = output.xent if self.config.xent_weight else None
        parts = self._rate(output.chain, output.lengths, targets, xent)
        figures = {"objective": parts.objective, "l2": parts.l2, "out_of_range": parts.out_of_range}
        if xent is not None:
            figures["xent"] = parts.cross_entropy
        shown = {name: value * parts.frames for name, value in figures.items() if value or name == "objective"}
        return Parts(parts.loss * parts.frames, parts.frames, shown | {"left_out": float(parts.failed)})


def chain_task(tree_dir: Path, den_dir: Path, sup_dir: Path, config: ChainConfig, factor: int, whole: bool) -> Task:
    """Lattice-free MMI on a supervision.

    Args:
      factor: frame subsampling of the network.
      whole: utterances are not cut.

    Raises:
      MismatchError: tree, denominator and supervision do not belong together.
      InputError: the network's frame rate is not the supervision's, or chunks are wanted of what has no times.
    """
    model, part = load_chain_model(tree_dir)
    denominator = load_denominator(den_dir, part)
    supervisions = Supervisions.open(sup_dir, part)
    if supervisions.config.subsampling_factor != factor:
        raise InputError.at(
            sup_dir, f"is for one frame of scores in {supervisions.config.subsampling_factor} of the features, the "
            f"network has one in {factor}", "Set subsampling_factor of the network, or make the supervision again.",
        )  # fmt: skip
    if not supervisions.timed and not whole:
        raise InputError.at(sup_dir, "has no times, so that utterances cannot be cut", "Set chunk_frames to 0.")
    return Task(
        transition_model=model,
        phones_path=tree_dir / "phones.txt",
        targets=ChainTargets(supervisions, Cutter(denominator, supervisions.config), not supervisions.timed),
        objective=LatticeFreeMmi(config, denominator),
        head="chain",
        scales=SCALES,
        inputs={"tree": tree_dir / "tree", "denominator": den_dir, "supervision": sup_dir},
        settings=config_to_dict(config),
    )
