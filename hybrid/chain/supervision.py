"""Supervision: what was said in any stretch of an utterance, weighted by the denominator (Povey et al., 2016)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.config import SupervisionConfig
from hybrid.chain.denominator import Denominator
from hybrid.chain.intersect import WeightedBy
from hybrid.chain.numerator import Numerator, NumeratorError
from hybrid.chain.numerator_kernels import determinize_chunk, determinize_untimed, live_states

__all__ = ["Cutter", "fewest_phones", "live", "require_room"]


@dataclass(frozen=True, eq=False)
class Cutter:
    """Cuts chunks out of numerators.

    Attributes:
      denominator: whose weights they get, so that no chunk's numerator is more probable than its denominator.
      config: frame rate and tolerance.
    """

    denominator: Denominator
    config: SupervisionConfig = field(default_factory=SupervisionConfig)

    @cached_property
    def _weighted(self) -> WeightedBy:
        return WeightedBy(self.denominator)

    def chunk(self, numerator: Numerator, begin: int, frames: int) -> PdfAcceptor:
        """Returns what was said in a stretch of an utterance.

        A chunk may begin and end anywhere in a phone. Output frame t is frame begin + t · factor of the features.

        Args:
          begin: first frame, of the features; need not be a multiple of the subsampling factor.
          frames: how many, of the features; a last, incomplete frame of output counts.

        Raises:
          NumeratorError: no way through the phones in their times, or through the denominator.
          ValueError: the stretch does not lie in the utterance.
        """
        factor = self.config.subsampling_factor
        if not 0 <= begin < begin + frames <= numerator.num_frames:
            raise ValueError(f"frames {begin} to {begin + frames} of an utterance of {numerator.num_frames}")
        first, count = begin // factor, self.config.num_frames(frames)
        rows, finals = determinize_chunk(
            numerator.arcs, live(numerator, self.config, begin % factor), first, first + count
        )
        return self._weighted(rows, finals, count)

    def untimed(self, numerator: Numerator, frames: int | None = None) -> PdfAcceptor:
        """Returns what was said in a whole utterance, whenever it was said: an acceptor with cycles.

        Args:
          frames: of the features; by default the numerator's.

        Raises:
          NumeratorError: no way through the denominator.
        """
        rows, finals = determinize_untimed(numerator.arcs, numerator.finals)
        return self._weighted(rows, finals, self.config.num_frames(numerator.num_frames if frames is None else frames))


def live(numerator: Numerator, config: SupervisionConfig, offset: int = 0) -> np.ndarray:
    """Returns which arcs an utterance can be in after each frame of output: bool [frames + 1][arcs].

    Args:
      offset: frame of the features that is the first frame of output.

    Raises:
      NumeratorError: in none.
    """
    count = max(0, config.num_frames(numerator.num_frames - offset))
    found = live_states(
        numerator.arcs, numerator.finals, count, offset, config.subsampling_factor,
        config.left_tolerance, config.right_tolerance,
    )  # fmt: skip
    if not found[1:].any():
        raise NumeratorError(f"{numerator.num_frames} frames have no room for its phones in their times")
    return found


def require_room(numerator: Numerator, config: SupervisionConfig, timed: bool) -> None:
    """Checks that an utterance is long enough for its phones, wherever its frames of output begin.

    Raises:
      NumeratorError: it is not.
    """
    if timed:
        for offset in range(config.subsampling_factor):
            live(numerator, config, offset)
        return
    frames, least = config.num_frames(numerator.num_frames), fewest_phones(numerator)
    if frames < least:
        raise NumeratorError(f"{numerator.num_frames} frames give {frames} of output, too few for {least} phones")


def fewest_phones(numerator: Numerator) -> int:
    """Returns the fewest phones on a way through a numerator."""
    reached, steps = {0}, 0
    ends = set(numerator.finals.tolist())
    while not reached & ends:
        steps += 1
        reached = set(numerator.arcs[np.isin(numerator.arcs[:, 5], list(reached)), 6].tolist())
    return steps
