"""The language model of a graph of H, C and L alone, which is composed with it while it is searched, and its swap."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hybrid.agreement import part_of, require_fit
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.log import get_logger
from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.openfst import is_fst, read_fst
from hybrid.graph.decoding import DecodingGraph
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range
from hybrid.lookahead.compose_kernels import Source
from hybrid.lookahead.numbered_grammar import language_of
from hybrid.search.composed_graph import lexicon_of
from hybrid.search.config import SearchConfig
from hybrid.search.engines.lookahead import LookaheadSearcher
from hybrid.search.layout import load_search_graph
from hybrid.search.protocol import Searcher
from lm.arpa import read_arpa
from lm.grammar_fst import ngram_to_fst

if TYPE_CHECKING:
    from hybrid.decode.system import System, SystemSpec

__all__ = ["composed_searcher", "make_lookahead_searcher", "read_grammar_of", "with_lm"]

logger = get_logger(__name__)


def read_grammar_of(path: str | os.PathLike, graph: DecodingGraph) -> FstArrays:
    """Reads G over the words of a graph: of an ARPA file, whose unknown words are told, or as an FST.

    Raises:
      InputError: it is damaged, or has hardly a word of the graph.
      MismatchError: an FST that was made with another words.txt, or has words beyond it.
    """
    if not is_fst(path):
        return ngram_to_fst(read_arpa(path), graph.words)
    check(path, cached=True)
    require_fit(part_of(path, "G"), graph.part)
    grammar = read_fst(path)
    check_range("word_id", grammar.ilabels, 0, graph.words.max_id, path, "Make G with the words.txt of the graph.")
    return grammar


def composed_searcher(
    spec: SystemSpec, graph: DecodingGraph, model: TransitionModel, config: SearchConfig, raised: bool = False,
    like: Searcher | None = None,
) -> Searcher:  # fmt: skip
    """Opens the engine of a graph for look-ahead with the language model of the settings.

    Args:
      raised: phrases are to be raised while searching.
      like: a searcher of the same graph with another language model.

    Raises:
      InputError, MismatchError: the graph wants a language model, or has one and another, or exact back-off, is asked
        for; phrases are to be raised; see `read_grammar_of`.
    """
    if graph.word_cost is None:
        cure = "Compile it with `hybrid graph compile --lookahead`, or give the model with --rescore."
        found = f"holds its language model and takes no other ({spec.lm})"
        if spec.lm is None:
            found = "holds its language model, whose back-off is an epsilon, not exact"
            cure = "Compile it with `hybrid graph compile --lookahead`, or give the model's ARPA file with --rescore."
        raise InputError.at(spec.graph_dir, found, cure)
    if spec.lm is None:
        cure = "Give one with --lm, an ARPA file or G.fst."
        raise InputError.at(spec.graph_dir, "is a graph for look-ahead, without a language model", cure)
    if raised:
        cure = 'Raise them in the lattices: --bias-pass lattice, or Recogniser.load(…, bias_pass="lattice").'
        raise InputError.at(spec.graph_dir, "is a graph for look-ahead, in which no phrases are raised", cure)
    grammar = read_grammar_of(spec.lm, graph)
    return make_lookahead_searcher(spec.engine, graph, model, config, grammar, spec.lm, like, spec.exact_backoff)


def with_lm(system: System, path: str | os.PathLike) -> System:
    """Returns the system with another language model; it shares model and graph with the old one, which stays as it is.

    Args:
      path: of an ARPA file, or G.fst over the words of the graph.

    Raises:
      InputError, MismatchError: see `composed_searcher`.
    """
    assert system.graph is not None
    spec = replace(system.spec, lm=os.fspath(path))
    raised = system.raised is not None and spec.bias_pass == "search"
    model = system.model.transition_model
    searcher = composed_searcher(spec, system.graph, model, system.config, raised, system.searcher)
    second = (
        None if spec.second_pass is None else spec.second_pass.open(system.words, spec.search_lm, searcher.config.scale)
    )
    return replace(system, spec=spec, searcher=searcher, second_pass=second)


def make_lookahead_searcher(
    engine: str,
    graph: DecodingGraph,
    transition_model: TransitionModel,
    config: SearchConfig,
    grammar: FstArrays,
    place: object = "G",
    like: Searcher | None = None,
    exact_backoff: bool = False,
) -> Searcher:
    """Loads a graph of H, C and L, and a G that it is composed with while it is searched.

    Args:
      engine: "native" or "auto".
      grammar: over the words of the graph, #0 on its back-off arcs.
      place: names G in errors.
      like: a searcher of the same graph with another G, which lends what does not depend on G.
      exact_backoff: no path of a lattice backs off beside an n-gram of G.

    Raises:
      InputError: another engine, or a G that cannot be taken (`language_of`).
      MismatchError: the graph has transition-ids that the model lacks.
    """
    assert graph.word_cost is not None
    if engine not in ("auto", "native"):
        found = f"'{quote(engine)}' does not compose a graph with a language model while it searches"
        raise InputError.at("engine", found, "Use the engine native, or compile the graph with its grammar.")
    if isinstance(like, LookaheadSearcher):
        tree = like.source.tree
    else:
        laid_out = load_search_graph(graph, transition_model, graph.path or "graph")
        tree = lexicon_of(laid_out, graph.word_cost)
    _tell_unspoken(grammar, graph, tree.word_numbers, place)
    language = language_of(grammar, graph.words["#0"], tree.word_numbers, place)
    return LookaheadSearcher(Source(tree, language), transition_model.num_pdfs, config, exact_backoff)


def _tell_unspoken(grammar: FstArrays, graph: DecodingGraph, numbers: np.ndarray, place: object) -> None:
    """Warns of words of G that the graph cannot say."""
    labels = np.setdiff1d(grammar.ilabels, [0, graph.words["#0"]])
    lost = [i for i in labels.tolist() if i >= len(numbers) or numbers[i] < 0]
    if lost:
        shown = ", ".join(quote(graph.words.symbol(i)) for i in lost[:5]) + (" …" if len(lost) > 5 else "")
        logger.warning("%s: %d words have no pronunciation in the graph and are left out: %s", place, len(lost), shown)
