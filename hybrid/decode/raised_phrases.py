"""Phrases raised in the search of a system: another system, with the same model and graph, that prefers them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hybrid.base.errors import InputError
from hybrid.decode.engine import open_searcher
from lm.biasing.bias_list import BiasLines, BiasList, bias_lines, check_bias_lines

if TYPE_CHECKING:
    from hybrid.decode.system import System

__all__ = ["BOOST", "searching", "with_phrases"]

BOOST = 5.0  # natural log per word of phrases without their own


def with_phrases(system: System, phrases: BiasLines, boost: float = BOOST, place: object = "phrases") -> System:
    """Returns the system with these phrases raised in its search, whatever was raised before; no phrase: none.

    Args:
      phrases: the file of a list, or phrases; each a text, or with its boost per word, or with boost and context.
      boost: natural log per word, of phrases without their own.
      place: names them in errors.

    Raises:
      InputError: a bad list (`bias_lines`), none whose words are known, an engine that raises no phrases, or no graph.
    """
    lines = bias_lines(phrases, boost)
    if lines:
        check_bias_lines(lines, system.words, phrases if isinstance(phrases, str) else str(place))
    return searching(replace(system, phrases=lines))


def searching(system: System) -> System:
    """Returns the system with a searcher of its graph, of what fills its slots and of its phrases.

    Raises:
      InputError: as `with_phrases`.
    """
    if system.graph is None:
        raise InputError.at("the system", "has no graph of its own", "Load it from a folder, or make it of a graph.")
    bias = BiasList.of(system.phrases, system.words).automaton() if system.phrases else None
    searcher = open_searcher(
        system.spec, system.graph, system.model.transition_model, system.config, system.filling, bias
    )
    return replace(system, searcher=searcher)
