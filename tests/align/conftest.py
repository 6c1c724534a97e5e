"""What is aligned."""

from tests.hand_language import linear_graph, transition_model

__all__ = ["linear_graph", "transition_model"]
