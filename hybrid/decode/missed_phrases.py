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

__all__ = ["explain_missed", "first_best"]

WIDER = 8.0  # nats, by which the beam grows
HIGHER = 8.0  # nats per word, by which boosts grow
MORE = 3  # times as many tokens may go on


def explain_missed(system: System, best: Path | None, scores: np.ndarray, rows: Sequence[BiasWhy]) -> list[BiasWhy]:
    """Says of the phrases that no path of the lattice says whether they were pruned, or too unlike what was heard.

    Args:
      system: that raises the phrases, in the search or in lattices.
      best: the best path, by the scores of the first pass and the boosts of its words.
      scores: float32 [T][num_pdfs] of the utterance.
      rows: what became of each phrase, as `explain_bias` has it; those after the unknown in the list's order.

    Returns:
      The rows; of those without a path the outcome is "pruned" or "acoustics".
    """
    phrases, scale = system.raised, system.config.scale
    if phrases is None or not any(row.outcome == "no path" for row in rows):
        return list(rows)
    known = list(zip(phrases.phrases, rows[len(phrases.unknown) :]))
    missed = [phrase for phrase, row in known if row.outcome == "no path"]
    later = phrases.automaton() if system.spec.bias_pass == "lattice" else BiasAutomaton([])
    lattice = _again(system, scores, phrases, missed)
    found = list(rows[: len(phrases.unknown)])
    there = set(np.unique(lattice.word_ids).tolist())
    for phrase, row in known:
        if row.outcome == "no path":
            other = best_saying(lattice, phrase, scale, there)
            row = replace(row, outcome="acoustics")
            if other is not None and best is not None:
                row = row.beside(phrase, best, other, scale)
                apart = later.score(other.word_ids.tolist()) - later.score(best.word_ids.tolist())
                if row.loss <= 0 or row.loss + apart <= system.config.lattice_beam:
                    row = replace(row, outcome="pruned")
        found.append(row)
    return found


def _again(system: System, scores: np.ndarray, phrases: BiasList, missed: Sequence[BiasPhrase]) -> CompactLattice:
    """Returns the lattice of a wider search that raises some phrases higher, with the boosts that they have.

    A graph that is composed while it is searched raises none: there the lattice is as much wider as the beam.
    """
    assert system.graph is not None
    config, model = system.config, system.model
    wide = replace(config, beam=config.beam + WIDER, max_active=MORE * config.max_active)
    if system.graph.word_cost is not None:
        wide = replace(wide, lattice_beam=config.lattice_beam + WIDER)
        searcher, boosts = system.searcher.with_config(wide), phrases.automaton()
    else:
        higher = {phrase: replace(phrase, boost=phrase.boost + HIGHER * len(phrase.words)) for phrase in missed}
        automaton = BiasAutomaton(higher.get(phrase, phrase) for phrase in phrases.phrases)
        boosts = BiasAutomaton(replace(phrase, boost=phrase.boost - higher[phrase].boost) for phrase in missed)
        spec = replace(system.spec, engine="native", device="cpu")
        searcher = open_searcher(spec, system.graph, model.transition_model, wide, system.filling, automaton)
    (found,) = searcher.search([scores])
    starts = model.transition_model.phone_starts
    return biased(determinize(found.lattice, wide.lattice_beam, config.scale, phone_starts=starts).lattice, boosts)


def first_best(system: System, one: Recognition, result: SearchResult) -> Path | None:
    """Returns the best path by the scores of the first pass, with the boosts of its words.

    Args:
      one, result: what was found with the phrases raised, and its search.
    """
    if system.spec.second_pass is None:
        return one.path
    path, phrases = best_path(result.lattice, one.acoustic_scale), system.raised
    if path is None or phrases is None or system.spec.bias_pass == "search":
        return path
    return replace(path, graph_score=path.graph_score + phrases.automaton().score(path.word_ids.tolist()))
