"""G: an n-gram model as an acceptor of word ids, with disambiguation symbols on the back-off arcs.

Equivalent to Kaldi's `arpa2fst --disambig-symbol=#0`: a state for each context, the start state is
the context <s>, sentence ends are final weights, and a back-off arc takes #0 in and gives nothing
out, so that L ∘ G can be determinised (Mohri, Pereira and Riley, 2008). Contexts with nothing but a
back-off arc are passed through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.formats.openfst import FstArrays
from lexicon.symbols import SymbolTable
from lexicon.words.spelling import told_loss
from lm.ngram import LN_10, NgramModel
from lm.word_table import BOS, EOS, UNK, UNKNOWN_WORDS

__all__ = ["ngram_to_fst"]

_log = get_logger(__name__)


def ngram_to_fst(
    model: NgramModel,
    words: SymbolTable,
    backoff_symbol: str = "#0",
    respell: bool = True,
    max_left_out: float = 1.0,
) -> FstArrays:
    """Turns a model into G.

    The unknown word of the model becomes <unk> or <UNK>, whichever `words` has. N-grams with words
    that `words` lacks are left out, and a line of the log says how many words those are.

    Args:
      words: the ids of the decoding graph, with the back-off symbol.
      backoff_symbol: input label of back-off arcs.
      respell: a word of the model that `words` spells otherwise (case, Unicode form, marks) is that word, unless
        another word of the model is.
      max_left_out: share of the words, by unigram probability, that `words` may lack.

    Returns:
      Costs in natural log; the arcs of a state rise by input label.

    Raises:
      InputError: `words` lacks the back-off symbol, or more words of the model than allowed.
    """
    if backoff_symbol not in words:
        raise InputError.at("words.txt", f"has no back-off symbol {backoff_symbol}", "Prepare the lang folder again.")
    labels = _labels(model, words, respell, max_left_out)
    return _assemble(_Graph.of(model, labels), words[backoff_symbol])


def _labels(model: NgramModel, words: SymbolTable, respell: bool, max_left_out: float) -> np.ndarray:
    """The label of each word id; -1 for words that get none."""
    symbols = model.vocabulary.symbols
    labels = np.array([words.get(symbol, -1) for symbol in symbols], np.int64)
    if labels[UNK] < 0:
        labels[UNK] = next((words[w] for w in UNKNOWN_WORDS if w in words), -1)
    missing = (np.flatnonzero(labels[3:] < 0) + 3).tolist()
    if missing and respell:
        missing = _respelt(symbols, labels, missing, words)
    labels[[BOS, EOS]] = 0
    if not missing:
        return labels
    shares = 10.0 ** model.levels[0].log10_probs[3:].astype(np.float64)
    left_out = float(shares[np.array(missing) - 3].sum() / max(shares.sum(), 1e-30))
    told = told_loss([symbols[i] for i in missing], len(symbols) - 3, words.spelling)
    shown = _shown(symbols, missing)
    if len(missing) == len(symbols) - 3 or left_out > max_left_out:
        count = len(symbols) - 3
        found = f"{len(missing)} of {count} words are not in words.txt: {shown}"
        cure = (
            "Train it with `hybrid lm train --lang`, so that its words take the lexicon's spelling."
            if told
            else "Give them pronunciations, or allow a larger share with --max-left-out."
        )
        raise InputError.at("language model", f"{found}{'; ' if told else ''}{told}", cure)
    _log.warning("left out %d words that are not in words.txt (%.1f %% of the probability): %s",
                 len(missing), 100 * left_out, shown)  # fmt: skip
    return labels


def _respelt(symbols: Sequence[str], labels: np.ndarray, missing: list[int], words: SymbolTable) -> list[int]:
    """Gives words the label of their other spelling, where no other word has it; returns those that stay without."""
    taken = set(labels.tolist())
    still, found = [], 0
    for i in missing:
        other = words.spelling.find(symbols[i])
        if other is None or words[other[0]] in taken:
            still.append(i)
            continue
        labels[i] = words[other[0]]
        taken.add(words[other[0]])
        found += 1
    if found:
        _log.info("%d words of the model are spelt otherwise in words.txt and were found there", found)
    return still


def _shown(symbols: Sequence[str], missing: Sequence[int]) -> str:
    return ", ".join(quote(symbols[i]) for i in missing[:5]) + (", …" if len(missing) > 5 else "")


@dataclass(frozen=True, eq=False)
class _Graph:
    """States and arcs over the nodes of a model's automaton, before contexts without arcs are passed through.

    Attributes:
      sources, targets: int64 [arc], nodes. labels: int64 [arc]. costs: float64 [arc].
      is_state: bool [node]. final_costs: float64 [node]. links: int64 [node], where the back-off arc leads.
      backoff_costs: float64 [node]. start: a node. splits: first node of each order, from the empty context on.
    """

    sources: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    costs: np.ndarray
    is_state: np.ndarray
    final_costs: np.ndarray
    links: np.ndarray
    backoff_costs: np.ndarray
    start: int
    splits: np.ndarray

    @classmethod
    def of(cls, model: NgramModel, labels: np.ndarray) -> _Graph:
        """Lays out the arcs; words with a negative label, and what holds them, are left out."""
        automaton = model.automaton
        splits = np.concatenate([[0], 1 + np.cumsum([0, *(len(level) for level in model.levels)])])
        nodes = int(splits[-1])
        is_state, final_costs = np.zeros(nodes, bool), np.full(nodes, np.inf)
        is_state[0] = True
        links = automaton.links.astype(np.int64)
        arcs: list[tuple[np.ndarray, ...]] = []
        for n, level in enumerate(model.levels, 1):
            parents = splits[n - 1] + level.contexts.astype(np.int64)
            costs = -LN_10 * level.log10_probs.astype(np.float64)
            usable = (labels[level.words] >= 0) & is_state[parents] & np.isfinite(costs)
            inner = usable & (level.words != EOS) & (level.words != BOS)
            ends = usable & (level.words == EOS)
            final_costs[parents[ends]] = costs[ends]
            here = np.arange(splits[n], splits[n + 1])
            if n < model.order:
                is_state[here] = inner
                targets = here[inner]
            else:
                targets = links[here[inner]]
            arcs.append((parents[inner], targets, labels[level.words[inner]], costs[inner]))
            if n == 1 and model.order > 1:
                is_state[automaton.start] = True
        backoffs = -LN_10 * automaton.backoffs.astype(np.float64)
        sources, targets, arc_labels, arc_costs = (np.concatenate(parts) for parts in zip(*arcs))
        state_arrays = (is_state, final_costs, links, backoffs)
        return cls(sources, targets, arc_labels, arc_costs, *state_arrays, automaton.start, splits)


def _assemble(graph: _Graph, backoff_label: int) -> FstArrays:
    """Passes through contexts that have nothing but a back-off arc, and numbers what is left."""
    nodes = len(graph.is_state)
    has_arcs = np.bincount(graph.sources, minlength=nodes) > 0
    idle = graph.is_state & ~has_arcs & np.isinf(graph.final_costs)
    idle[[0, graph.start]] = False
    stop, extra = np.arange(nodes), np.zeros(nodes)
    for first, last in zip(graph.splits[1:], graph.splits[2:]):
        here = np.flatnonzero(idle[first:last]) + first
        stop[here] = stop[graph.links[here]]
        extra[here] = graph.backoff_costs[here] + extra[graph.links[here]]
    kept = graph.is_state & ~idle
    number = np.cumsum(kept) - 1
    backing = np.flatnonzero(kept)[1:]
    links = graph.links[backing]
    sources = np.concatenate([graph.sources, backing])
    targets = np.concatenate([stop[graph.targets], stop[links]])
    ilabels = np.concatenate([graph.labels, np.full(len(backing), backoff_label)])
    olabels = np.concatenate([graph.labels, np.zeros(len(backing), np.int64)])
    costs = np.concatenate([graph.costs + extra[graph.targets], graph.backoff_costs[backing] + extra[links]])
    order = np.lexsort((ilabels, sources))
    return FstArrays.from_arcs(
        int(number[graph.start]),
        number[sources[order]],
        ilabels[order],
        olabels[order],
        number[targets[order]],
        costs[order],
        graph.final_costs[kept],
    )
