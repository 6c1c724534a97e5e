"""The engines by name, behind one door."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hybrid.base.errors import InputError, quote
from hybrid.formats.fst_arrays import FstArrays
from hybrid.search.config import ENGINES, SearchConfig
from hybrid.search.engines.k2_config import K2Config
from hybrid.search.protocol import Searcher

if TYPE_CHECKING:
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.hmm import TransitionModel

__all__ = ["choose_engine", "make_searcher"]


def choose_engine(engine: str, device: str = "cpu") -> str:
    """Resolves "auto": k2 on a GPU where it is installed, else the project's own engine."""
    if engine == "auto":
        return "k2" if str(device) != "cpu" and find_spec("k2") else "native"
    if engine not in ENGINES:
        raise InputError.at("engine", f"'{quote(engine)}' is unknown", f"Choose one of auto, {', '.join(ENGINES)}.")
    return engine


def make_searcher(
    engine: str,
    graph: FstArrays | DecodingGraph,
    transition_model: TransitionModel,
    config: SearchConfig,
    device: Any = "cpu",
    place: object = "graph",
    k2: K2Config | None = None,
) -> Searcher:
    """Loads a decoding graph into an engine.

    Args:
      engine: "native" (the project's own, CPU), "k2" (CPU or CUDA), "reference" (readable and slow), or "auto".
      graph: HCLG, transition-ids in, word-ids out; one in a folder is laid out once and mapped (`search.layout`).
      transition_model: of the acoustic model; gives the pdf of each transition-id.
      device: for k2, a torch device.
      place: names the graph in errors.
      k2: settings of that engine.

    Raises:
      InputError: no such engine, or a graph that it cannot take.
      MissingDependencyError: k2 is wanted and absent.
      MismatchError: the graph has transition-ids that the model lacks.
    """
    engine = choose_engine(engine, device)
    if engine == "k2":
        from hybrid.search.engines.k2 import K2Searcher

        fst = graph if isinstance(graph, FstArrays) else graph.fst
        return K2Searcher.from_fst(fst, transition_model, config, device, place, k2)
    from hybrid.search.graph import SearchGraph
    from hybrid.search.layout import load_search_graph

    if isinstance(graph, FstArrays):
        laid_out = SearchGraph.from_fst(graph, transition_model.pdf_ids, transition_model.num_pdfs, place)
    else:
        laid_out = load_search_graph(graph, transition_model, place)
    if engine == "native":
        from hybrid.search.engines.native import NativeSearcher

        return NativeSearcher(laid_out, config)
    from hybrid.search.engines.reference import ReferenceSearcher

    return ReferenceSearcher(laid_out, config)
