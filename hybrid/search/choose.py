"""The engines by name, behind one door."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.formats.fst_arrays import FstArrays
from hybrid.graph.filling import Filling
from hybrid.graph.unfolded import unfold
from hybrid.search.config import ENGINES, SearchConfig
from hybrid.search.engines.k2_config import K2Config
from hybrid.search.protocol import Searcher

if TYPE_CHECKING:
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.hmm import TransitionModel
    from hybrid.search.graph import SearchGraph
    from lm.biasing.bias_automaton import BiasAutomaton

__all__ = ["choose_engine", "make_searcher"]

BIASING = ("native", "reference")  # engines that raise phrases

logger = get_logger(__name__)


def choose_engine(engine: str, device: str = "cpu") -> str:
    """Resolves "auto": on a GPU k2 where it is installed, else "torch"; on a CPU "native"."""
    if engine == "auto":
        return _automatic(device)[0]
    if engine not in ENGINES:
        raise InputError.at("engine", f"'{quote(engine)}' is unknown", f"Choose one of auto, {', '.join(ENGINES)}.")
    return engine


def _automatic(device: str) -> tuple[str, str]:
    """Returns the engine for a device, and why."""
    if str(device) == "cpu":
        return "native", "the fastest on a CPU"
    if find_spec("k2"):
        return "k2", f"installed, and it runs on {device}"
    return "torch", f"it runs on {device} without k2"


def make_searcher(
    engine: str,
    graph: FstArrays | DecodingGraph,
    transition_model: TransitionModel,
    config: SearchConfig,
    device: Any = "cpu",
    place: object = "graph",
    k2: K2Config | None = None,
    filling: Filling | None = None,
    bias: BiasAutomaton | None = None,
) -> Searcher:
    """Loads a decoding graph into an engine.

    Args:
      engine: "native" (the project's own, CPU), "torch" (the project's own, any device of torch), "k2" (CPU or CUDA),
        "reference" (readable and slow), or "auto", of which one line tells what was taken and why.
      graph: HCLG, transition-ids in, word-ids out; one in a folder is laid out once and mapped (`search.layout`).
      transition_model: of the acoustic model; gives the pdf of each transition-id.
      device: for torch and k2, a torch device.
      place: names the graph in errors.
      k2: settings of that engine.
      filling: of the slots of a graph that has some; None: nothing is in them.
      bias: phrases that are raised while it is searched, by the engines native and reference.

    Raises:
      InputError: no such engine, a graph that it cannot take, or phrases where it raises none.
      MissingDependencyError: k2 is wanted and absent.
      MismatchError: the graph has transition-ids that the model lacks, or words that its table lacks.
    """
    wanted, engine = engine, choose_engine(engine, device)
    if wanted == "auto":
        logger.info("engine: %s (%s)", *_automatic(device))
    if bias is not None and engine not in BIASING:
        later = "--bias-pass lattice, Recogniser.load(…, bias_pass='lattice')"
        cure = f"Choose {' or '.join(BIASING)}, or raise them in the lattices ({later})."
        raise InputError.at("engine", f"'{engine}' cannot raise phrases while it searches", cure)
    if engine == "k2":
        from hybrid.search.engines.k2 import K2Searcher

        fst = graph if isinstance(graph, FstArrays) else _one_fst(graph, filling, place)
        return K2Searcher.from_fst(fst, transition_model, config, device, place, k2)
    from hybrid.search.raised_graph import raised

    laid_out = _laid_out(graph, transition_model, place, filling)
    if engine == "torch":
        from hybrid.search.together.torch_search import TorchSearcher

        return TorchSearcher(laid_out, config, device)
    searched = laid_out if bias is None else raised(laid_out, bias)
    if engine == "native":
        from hybrid.search.engines.native import NativeSearcher

        return NativeSearcher(searched, config)
    from hybrid.search.engines.reference import ReferenceSearcher

    return ReferenceSearcher(searched, config)


def _laid_out(
    graph: FstArrays | DecodingGraph, transition_model: TransitionModel, place: object, filling: Filling | None
) -> SearchGraph:
    """Returns a graph for token passing, its slots filled."""
    from hybrid.search.graph import SearchGraph
    from hybrid.search.layout import load_search_graph
    from hybrid.search.splice import slot_rows

    if isinstance(graph, FstArrays):
        return SearchGraph.from_fst(graph, transition_model.pdf_ids, transition_model.num_pdfs, place)
    laid_out = load_search_graph(graph, transition_model, place)
    return laid_out if filling is None else slot_rows(graph).fill(laid_out, filling, transition_model.pdf_ids)


def _one_fst(graph: DecodingGraph, filling: Filling | None, place: object) -> FstArrays:
    """Returns a graph with what fills its slots inside, for an engine that makes an automaton of its own anyway."""
    from hybrid.search.layout import with_words

    if graph.slots is None:
        return with_words(graph, place)
    return unfold(graph.fst, graph.slots, filling or Filling.nothing(graph.slots))
