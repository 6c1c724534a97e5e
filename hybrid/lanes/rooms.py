"""How much memory token passing in lanes takes, predicted from the graph and the batch."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.lanes.lane_values import DeviceGraph, LaneWidths

__all__ = ["Rooms"]

USUAL, SPREAD = 1.5, 2.5  # tokens within the beam for each that may go on: all lanes may begin, and swell, at once
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
    def predict(cls, graph: DeviceGraph, widths: LaneWidths, lanes: int, frames: int, growth: int = 1) -> Rooms:
        """Returns the rooms of a chunk: growing with the lanes and with `growth`, and never more than there can be.

        What is asked for falls from four times max-active for one lane to about one and a half of it for each of many;
        a chunk that does not fit is repeated.

        Args:
          growth: how many times more than at first.
        """
        arcs = len(graph.arcs) + 1
        most = graph.num_states + arcs  # a wave of epsilons may name a state once for each arc into it
        usual = int(max((USUAL + SPREAD / lanes**0.5) * widths.max_active, LEAST))
        some, links = growth * usual, growth * ARCS_PER_TOKEN * usual
        return cls(
            min(some, most) * lanes,
            min(links, arcs) * lanes,
            graph.num_states * lanes,
            min(2 * some + frames * some // 2, (frames + 2) * most) * lanes,
            min(links + frames * links // 8, (frames + 1) * arcs) * lanes,
        )

    @property
    def memory(self) -> int:
        """Bytes."""
        logs = 16 * self.log_tokens + 28 * self.log_links
        return logs + 32 * self.tokens + 29 * self.arcs + 16 * self.rows
