"""How much memory token passing in lanes takes, predicted from the graph and the batch."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.lanes.lane_values import DeviceGraph, LaneWidths

__all__ = ["Rooms"]

TOKENS_PER_ACTIVE = 4  # tokens within the beam for each that goes on, at first; a chunk that has more is repeated
ARCS_PER_TOKEN = 3  # a token that goes on has about twice as many emitting arcs, of which the beam keeps half
LEAST = 1024


@dataclass(frozen=True)
class Rooms:
    """Numbers of things that fit.

    Attributes:
      tokens: of one level. arcs: followed in one frame. table: entries of the hash table, a power of two.
      log_tokens, log_links: of all levels of a chunk; links over epsilons have as much room again.
    """

    tokens: int
    arcs: int
    table: int
    log_tokens: int
    log_links: int

    @classmethod
    def predict(
        cls, graph: DeviceGraph, widths: LaneWidths, lanes: int, frames: int, growth: int = 1, alive: int = 0
    ) -> Rooms:
        """Returns the rooms of a chunk.

        Args:
          growth: how many times more than at first.
          alive: tokens of the first level.
        """
        states, graph_arcs = graph.num_states + 1, len(graph.arcs) + 1
        tokens = max(min(growth * max(TOKENS_PER_ACTIVE * widths.max_active, LEAST), states) * lanes, alive)
        arcs = min(ARCS_PER_TOKEN * tokens, graph_arcs * lanes)
        table = 1 << (2 * tokens - 1).bit_length()
        return cls(tokens, arcs, table, alive + frames * tokens // 2 + tokens, frames * arcs // 2 + arcs)

    @property
    def memory(self) -> int:
        """Bytes."""
        logs = 16 * self.log_tokens + 28 * self.log_links
        return logs + 48 * self.tokens + 20 * self.arcs + 28 * (self.table + 1)
