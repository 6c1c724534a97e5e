"""Hidden Markov models of phones: topologies, and the transition-ids that tie them to the tree."""

from hybrid.hmm.topology import EmittingState, HmmTopology, TopologyEntry
from hybrid.hmm.topology_text import read_topology
from hybrid.hmm.transition_model import TransitionModel
from hybrid.hmm.transition_text import read_transition_model

__all__ = ["EmittingState", "HmmTopology", "TopologyEntry", "TransitionModel", "read_topology", "read_transition_model"]
