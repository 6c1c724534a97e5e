"""How much memory token passing in lanes takes, predicted from the graph and the batch."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from hybrid.lanes.lane_values import DeviceGraph, LaneWidths

__all__ = ["Rooms"]

USUAL, SPREAD = 0.5, 3.5  # tokens within the beam for each that may go on: few lanes swell at once; see `predict`
ARCS_PER_TOKEN = 5  # a token that goes on has about eight emitting arcs
LEAST = 1024


@dataclass(frozen=True)
class Rooms:
    """Numbers of things that fit.

    Attributes:
      tokens: of one level. arcs: followed in one frame. rows: of lanes and states.
      log_tokens, log_links: of all levels of a chunk; links over epsilons have as much room again.
    """

    tokens: int
    arcs: int
    rows: int
    log_tokens: int
    log_links: int

    @classmethod
    def predict(
        cls, graph: DeviceGraph, widths: LaneWidths, lanes: int, frames: int, growth: int = 1, alive: int = 0
    ) -> Rooms:
        """Returns the rooms of a chunk.

        What is asked for falls from four times max-active for one lane to about half of it for each of many; a chunk
        that does not fit is repeated.

        Args:
          growth: how many times more than at first.
          alive: tokens of the first level.
        """
        states, graph_arcs = graph.num_states + 1, len(graph.arcs) + 1
        wanted = int(max((USUAL + SPREAD / lanes**0.5) * widths.max_active, LEAST))
        tokens = max(min(growth * wanted, states) * lanes, alive)
        arcs = min(ARCS_PER_TOKEN * tokens, graph_arcs * lanes)
        return cls(tokens, arcs, graph.num_states * lanes, 2 * tokens + frames * tokens // 2, arcs + frames * arcs // 4)

    def holds(self, other: Rooms) -> bool:
        """Whether what fits into others fits into these too."""
        return all(own >= wanted for own, wanted in zip(astuple(self), astuple(other), strict=True))

    @property
    def memory(self) -> int:
        """Bytes."""
        logs = 16 * self.log_tokens + 28 * self.log_links
        return logs + 48 * self.tokens + 29 * self.arcs + 16 * self.rows
