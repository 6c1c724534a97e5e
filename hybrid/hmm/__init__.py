"""Hidden Markov models of phones: topologies, and the transition-ids that tie them to the tree."""

from hybrid.hmm.topology import EmittingState, HmmTopology, TopologyEntry
from hybrid.hmm.transition_model import TransitionModel

__all__ = ["EmittingState", "HmmTopology", "TopologyEntry", "TransitionModel"]
