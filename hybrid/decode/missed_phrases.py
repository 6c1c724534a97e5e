"""Why raised phrases are in no lattice: the utterance is searched once more, wider, with their boosts higher.

What is found then has scores, and so a boost that the phrase would have needed. Where the lattice of the first search
should hold it, by the scores that this lattice was pruned by, or where it would have won, it was pruned; else the
phrase sounds too little like what was said, or is too unlikely there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hybrid.decode.engine import open_searcher
from hybrid.lattice.algebra.lattice_biasing import BiasWhy, best_saying, biased
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.determinize import determinize
from hybrid.lattice.paths import Path, best_path
from hybrid.search.protocol import SearchResult
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase
from lm.biasing.bias_list import BiasList

if TYPE_CHECKING:
    from hybrid.decode.recognition import Recognition
    from hybrid.decode.system import System

__all__ = ["explain_missed"]

WIDER = 8.0  # nats, by which the beam grows
HIGHER = 8.0  # nats per word, by which boosts grow
MORE = 3  # times as many tokens may go on


def explain_missed(
    system: System, one: Recognition, result: SearchResult, scores: np.ndarray, rows: Sequence[BiasWhy]
) -> list[BiasWhy]:
    """Says of the phrases that no path of the lattice says whether they were pruned, or too unlike what was heard.

    Args:
      one, result: what was found with the phrases raised, and its search.
      scores: float32 [T][num_pdfs] of the utterance.
      rows: what became of each phrase, as `explain_bias` has it; those after the unknown in the list's order.

    Returns:
      The rows; of those without a path the outcome is "pruned" or "acoustics". A graph that is composed while it is
      searched raises no phrases: its rows stay as they are.
    """
    phrases, spec = system.raised, system.spec
    composed = system.graph is None or system.graph.word_cost is not None or spec.lm is not None
    if phrases is None or composed or not any(row.outcome == "no path" for row in rows):
        return list(rows)
    known = list(zip(phrases.phrases, rows[len(phrases.unknown) :]))
    missed = [phrase for phrase, row in known if row.outcome == "no path"]
    later = phrases.automaton() if spec.bias_pass == "lattice" else BiasAutomaton([])
    lattice, best = _again(system, scores, phrases, missed), _first_best(system, one, result, later)
    found = list(rows[: len(phrases.unknown)])
    there = set(np.unique(lattice.word_ids).tolist())
    for phrase, row in known:
        if row.outcome == "no path":
            other = best_saying(lattice, phrase, one.acoustic_scale, there)
            row = replace(row, outcome="acoustics")
            if other is not None and best is not None:
                row = row.beside(phrase, best, other, one.acoustic_scale)
                apart = later.score(other.word_ids.tolist()) - later.score(best.word_ids.tolist())
                if row.loss <= 0 or row.loss + apart <= system.config.lattice_beam:
                    row = replace(row, outcome="pruned")
        found.append(row)
    return found


def _again(system: System, scores: np.ndarray, phrases: BiasList, missed: Sequence[BiasPhrase]) -> CompactLattice:
    """Returns the lattice of a wider search that raises some phrases higher, with the boosts that they have."""
    higher = {phrase: replace(phrase, boost=phrase.boost + HIGHER * len(phrase.words)) for phrase in missed}
    config, model = system.config, system.model
    wide = replace(config, beam=config.beam + WIDER, max_active=MORE * config.max_active)
    automaton = BiasAutomaton(higher.get(phrase, phrase) for phrase in phrases.phrases)
    assert system.graph is not None
    spec = replace(system.spec, engine="native", device="cpu")
    searcher = open_searcher(spec, system.graph, model.transition_model, wide, system.filling, automaton)
    (found,) = searcher.search([scores])
    starts = model.transition_model.phone_starts
    lattice = determinize(found.lattice, config.lattice_beam, config.scale, phone_starts=starts).lattice
    back = BiasAutomaton(replace(phrase, boost=phrase.boost - higher[phrase].boost) for phrase in missed)
    return biased(lattice, back)


def _first_best(system: System, one: Recognition, result: SearchResult, later: BiasAutomaton) -> Path | None:
    """Returns the best path by the scores of the first pass, with the boosts of its words, raised `later` or not."""
    if system.spec.second_pass is None:
        return one.path
    path = best_path(result.lattice, one.acoustic_scale)
    return path and replace(path, graph_score=path.graph_score + later.score(path.word_ids.tolist()))
