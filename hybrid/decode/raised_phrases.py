"""Phrases raised by a system: another system, with the same model and graph, that prefers them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hybrid.base.errors import InputError
from hybrid.decode.engine import open_searcher
from hybrid.lattice.algebra.lattice_biasing import BiasShare, explain_bias, why_line, words_without
from lm.biasing.bias_list import BiasLines, bias_lines, check_bias_lines

if TYPE_CHECKING:
    from hybrid.decode.recognition import Recognition
    from hybrid.decode.system import System

__all__ = ["BOOST", "bias_record", "searching", "with_phrases"]

BOOST = 5.0  # natural log per word of phrases without their own


def with_phrases(system: System, phrases: BiasLines, boost: float = BOOST, place: object = "phrases") -> System:
    """Returns the system with these phrases raised, whatever was raised before; no phrase: none.

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
    """Returns the system with a searcher of its graph, of what fills its slots and of phrases that the search raises.

    Raises:
      InputError: as `with_phrases`.
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


def bias_record(system: System, one: Recognition, why: bool) -> dict[str, Any]:
    """What the phrases did in an utterance, as the part of a decoding keeps it; nothing without phrases.

    Args:
      why: also what became of each.

    Returns:
      `words`, `written` (see `BiasShare`), and `why`, a line of JSON.
    """
    phrases, lattice = system.raised, one.compact
    if phrases is None or one.path is None or lattice.start < 0:
        return {}
    share, plain = BiasShare(), words_without(lattice, phrases, one.acoustic_scale)
    share.add(plain, one.path.word_ids.tolist())
    found = {"words": share.words, "written": share.written}
    if not why:
        return found
    rows = explain_bias(lattice, phrases, one.acoustic_scale, plain)
    return {**found, "why": why_line(one.utterance, rows, system.words)}
