"""The engine that settings ask for, or one that need not be compiled first where little is to be searched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.decode.graph_lm import composed_searcher
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.filling import Filling
from hybrid.hmm import TransitionModel
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.protocol import Searcher
from lm.biasing.bias_automaton import BiasAutomaton

if TYPE_CHECKING:
    from hybrid.decode.system import System, SystemSpec

__all__ = ["open_searcher", "searching"]

logger = get_logger(__name__)


def open_searcher(
    spec: SystemSpec,
    graph: DecodingGraph,
    transition_model: TransitionModel,
    config: SearchConfig,
    filling: Filling | None = None,
    bias: BiasAutomaton | None = None,
) -> Searcher:
    """Loads a decoding graph into an engine; see `make_searcher`.

    With `spec.brief` "auto" gives "torch" where "native" would have to be compiled first, which takes longer than a few
    seconds of speech; both find the same. Phrases are raised by "native" alone.
    """
    if graph.word_cost is not None or spec.lm is not None or spec.exact_backoff:
        return composed_searcher(spec, graph, transition_model, config, bias is not None)
    rest = (graph, transition_model, config, spec.device, spec.graph_dir, spec.k2, filling)
    found = make_searcher(spec.engine, *rest, bias)
    if bias is not None or spec.engine != "auto" or not spec.brief:
        return found
    if not isinstance(found, NativeSearcher) or found.compiled:
        return found
    logger.info("engine: torch, for native is not compiled yet (once, a few minutes: `hybrid doctor --compile`)")
    return make_searcher("torch", *rest)


def searching(system: System) -> System:
    """Returns the system with a searcher of its graph, of what fills its slots and of phrases that the search raises.

    Raises:
      InputError: an engine that raises no phrases, or no graph.
    """
    if system.graph is None:
        raise InputError.at("the system", "has no graph of its own", "Load it from a folder, or make it of a graph.")
    bias = None
    if system.raised is not None and system.spec.bias_pass == "search":
        bias = system.raised.automaton()
    searcher = open_searcher(
        system.spec, system.graph, system.model.transition_model, system.config, system.filling, bias
    )
    return replace(system, searcher=searcher)
