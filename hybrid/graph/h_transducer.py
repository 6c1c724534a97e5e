"""H: from transition-ids to phones in context, without self-loops.

A loop around one state: each phone in context leaves it through the HMM of its pdfs. Phones in context
with the same transition-states share all of the HMM but its first arc. Disambiguation symbols pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.hmm import TransitionModel

__all__ = ["h_transducer"]


def h_transducer(
    context_ids: Sequence[Sequence[int]], model: TransitionModel, transition_scale: float
) -> tuple[FstArrays, list[int]]:
    """Builds H, arcs sorted by output label.

    Args:
      context_ids: what each context_id means (Kaldi's ilabel_info): [] for 0, a window of phones, or one
        value at most 0 for a disambiguation symbol.
      transition_scale: of the transition probabilities.

    Returns:
      The transducer, and its input disambiguation symbols: ids after the last transition_id.
    """
    symbols = [i for i, info in enumerate(context_ids) if len(info) == 1 and info[0] <= 0]
    phones = [i for i, info in enumerate(context_ids) if info and not (len(info) == 1 and info[0] <= 0)]
    labels = np.array(phones, np.int64)
    windows = np.array([context_ids[i] for i in phones], np.int32).reshape(len(phones), model.tree.context_width)
    disambig = [model.num_transition_ids + 1 + n for n in range(len(symbols))]
    expander = HmmExpander(model)
    entry, states = expander.entries(windows), expander.transition_states(windows)
    bodies, which = np.unique(states, axis=0, return_inverse=True)
    which = which.reshape(-1)
    body_entry = np.zeros(len(bodies), np.int64)
    body_entry[which] = entry
    width = states.shape[1]
    blocks = [_block(np.zeros(len(symbols)), disambig, symbols, np.zeros(len(symbols)))]
    for number, item in enumerate(model.topology.entries):
        mine, inside = np.flatnonzero(entry == number), np.flatnonzero(body_entry == number)
        for left, state in enumerate(item.states):
            for index, (target, _) in enumerate(state.transitions):
                if target == left:
                    continue
                final = target == len(item.states)
                if left == 0:
                    to = 0 * mine if final else 1 + which[mine] * width + target
                    blocks.append(_block(0 * mine, model.first_ids[states[mine, 0]] + index, labels[mine], to))
                to = 0 * inside if final else 1 + inside * width + target
                ids = model.first_ids[bodies[inside, left]] + index
                blocks.append(_block(1 + inside * width + left, ids, 0 * inside, to))
    source, ilabels, olabels, to = np.concatenate(blocks, axis=1)
    order = np.lexsort((ilabels, olabels, source))
    source, ilabels, olabels, to = source[order], ilabels[order], olabels[order], to[order]
    costs = np.zeros(len(ilabels), np.float32)
    real = ilabels <= model.num_transition_ids
    costs[real] = -transition_scale * model.log_probs_ignoring_self_loops[ilabels[real]]
    finals = np.full(1 + len(bodies) * width, np.inf, np.float32)
    finals[0] = 0.0
    return FstArrays.from_arcs(0, source, ilabels, olabels, to, costs, finals), disambig


def _block(source: object, ilabels: object, olabels: object, to: object) -> np.ndarray:
    return np.stack([np.asarray(a, np.int64) for a in (source, ilabels, olabels, to)])
