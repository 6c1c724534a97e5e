"""The steps from L and G to HCLG.

    LG   = push(min(det*(L∘G)))                with disambiguation symbols
    CLG  = C∘LG                                phones in context, for any width
    HCLGa = min(rmeps(det*(H∘CLG)))            disambiguation symbols taken out, no self-loops
    HCLG = HCLGa with self-loops

Determinisation and sums over arcs work in the log semiring, and weights are pushed once, after LG: so every
state of a graph made from a stochastic G stays (almost) stochastic, on which pruning by beams relies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.base.limited import give_back_memory
from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.compose import compose
from hybrid.fst.det_star import NotDeterminizableError, determinize_star
from hybrid.fst.minimize import DELTA, minimize_encoded
from hybrid.fst.ops import is_deterministic, replace_symbols
from hybrid.fst.push import push_special
from hybrid.fst.remove_eps_local import remove_eps_local
from hybrid.graph.h_transducer import h_transducer
from hybrid.graph.places import Ghosts, kept_labels
from hybrid.graph.report import GraphReport
from hybrid.graph.self_loops import add_self_loops
from hybrid.hmm import TransitionModel
from hybrid.tree import ContextTree

__all__ = ["FINE", "NotDeterminizableError", "make_clg", "make_hclg", "make_lg"]

FINE = 2.0**-16  # `delta` of graphs with classes, so that a slot weighs what the same words weigh in the graph


def _compose_grammar(lexicon: FstArrays, grammar: FstArrays) -> FstArrays:
    """Returns L∘G; a G with arcs that read nothing, not even #0, needs kaldifst's filter of epsilons."""
    import kaldifst

    if grammar.ilabels.all():
        return compose(lexicon, grammar)
    left = to_kaldifst(lexicon)
    kaldifst.arcsort(left, "olabel")
    return from_kaldifst(kaldifst.compose(left, to_kaldifst(grammar)))


def make_lg(
    lexicon: FstArrays, grammar: FstArrays, report: GraphReport, max_states: int = 0, delta: float = DELTA
) -> FstArrays:
    """Returns push(min(det*(L∘G))).

    Args:
      lexicon: L_disambig.
      grammar: G, disambiguation symbols on back-off arcs.
      max_states: at which determinisation is given up; 0 means four times those of L∘G.
      delta: nats between costs that are told apart.

    Raises:
      NotDeterminizableError: one input has two outputs, or that many states were reached.
      HybridError: L∘G accepts nothing.
    """
    with report.measure("L∘G") as out:
        arrays = _compose_grammar(lexicon, grammar)
        out.append(arrays)
    if arrays.num_states == 0:
        raise HybridError("L∘G accepts nothing: no sentence of the grammar can be spoken with this lexicon")
    limit = max_states or 4 * arrays.num_states + 10_000
    with report.measure("det*(L∘G)") as out:
        arrays = determinize_star(arrays, limit, "L∘G", delta)
        out.append(arrays)
    with report.measure("min(det*(L∘G))") as out:
        arrays = minimize_encoded(arrays, delta, connected=True)
        out.append(arrays)
    with report.measure("LG = push") as out:
        out.append(push_special(arrays))
    return out[0]


def make_clg(
    lg: FstArrays,
    disambig_phones: Sequence[int],
    tree: ContextTree,
    report: GraphReport,
    ghosts: Ghosts | None = None,
) -> tuple[FstArrays, list[list[int]]]:
    """Returns C∘LG, arcs sorted by input label, and what each of its input labels means.

    C is never built: its states, windows of phones, are made as LG needs them.

    Args:
      ghosts: of the slots in LG, if there are any.

    Returns:
      The graph, and per context_id its window of phones ([] for 0, [-symbol] for symbols that pass).
    """
    import kaldifst

    width, central = tree.context_width, tree.central_position
    with report.measure("CLG = C∘LG") as out:
        lg = lg if ghosts is None else ghosts.open(lg, tree)
        if width == 1:
            arrays, context_ids = _without_context(lg, disambig_phones)
        else:
            graph, context_ids = kaldifst.compose_context(list(disambig_phones), width, central, to_kaldifst(lg))
            kaldifst.arcsort(graph)
            arrays = from_kaldifst(graph)
            del graph
            give_back_memory()
        if ghosts is not None:
            context_ids = ghosts.resolve(context_ids, tree)
        out.append(arrays)
    return out[0], context_ids


def _without_context(lg: FstArrays, disambig_phones: Sequence[int]) -> tuple[FstArrays, list[list[int]]]:
    """Returns CLG where no phone knows its neighbours: LG itself, and per label [phone] or [-symbol]."""
    used, symbols = set(np.unique(lg.ilabels).tolist()), set(disambig_phones)
    names = ([-label] if label in symbols else [label] for label in range(1, 1 + max(used, default=0)))
    return lg, [[], *(name if abs(name[0]) in used else [] for name in names)]


def make_hclg(
    clg: FstArrays,
    context_ids: Sequence[Sequence[int]],
    model: TransitionModel,
    scales: tuple[float, float],
    report: GraphReport,
    delta: float = DELTA,
) -> tuple[FstArrays, list[int]]:
    """Returns HCLG, and the input symbols that stood for disambiguation until the end; labels of slots stay in it.

    Args:
      scales: of transition probabilities, and of those of self-loops. delta: nats between costs that are told apart.

    Raises:
      HybridError: H∘CLG accepts nothing or cannot be determinised.
    """
    with report.measure("H∘CLG") as out:
        h, disambig = h_transducer(context_ids, model, scales[0])
        arrays = compose(h, clg)
        del clg
        out.append(arrays)
    if arrays.num_states == 0:
        raise HybridError("H∘C∘L∘G accepts nothing: tree and lang folder do not fit each other")
    with report.measure("det*(H∘CLG)") as out:
        if not is_deterministic(arrays):  # without context it often is
            arrays = determinize_star(arrays, 4 * arrays.num_states + 10_000, "H∘C∘L∘G", delta)
        out.append(arrays)
    with report.measure("local rmeps") as out:
        kept = kept_labels(context_ids, model.num_transition_ids)
        arrays = remove_eps_local(replace_symbols(arrays, disambig, kept))
        out.append(arrays)
    with report.measure("HCLGa = min") as out:
        arrays = minimize_encoded(arrays, delta, connected=True)
        out.append(arrays)
    with report.measure("HCLG: self-loops") as out:
        out.append(add_self_loops(arrays, model, scales[1]))
    return out[0], disambig
