"""PdfAcceptor: what may have been said in a chunk, as a weighted acceptor whose arcs each cover one frame of output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent

__all__ = ["PdfAcceptor", "PdfArcs"]

ARRAYS = ("from_state", "to_state", "pdf", "log_weight", "initial", "final")


class PdfArcs(ByContent):
    """Arcs of pdfs without epsilons, of a chunk or of everything; see `PdfAcceptor` for the arrays."""

    from_state: np.ndarray
    initial: np.ndarray

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.initial)

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.from_state)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The graph, under the names that the forward-backward operator knows."""
        return {name: getattr(self, name) for name in ARRAYS}


@dataclass(frozen=True, eq=False)
class PdfAcceptor(PdfArcs):
    """An acceptor of pdfs without epsilons; paths of `num_frames` arcs explain a chunk.

    Attributes:
      from_state, to_state, pdf: int32 [arcs].
      log_weight: float32 [arcs].
      initial, final: float32 [states], natural logs; −inf where a state is not initial, not final.
      num_frames: frames of the chunk, of the model's output.
    """

    from_state: np.ndarray
    to_state: np.ndarray
    pdf: np.ndarray
    log_weight: np.ndarray
    initial: np.ndarray
    final: np.ndarray
    num_frames: int
