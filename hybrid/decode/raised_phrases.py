"""Phrases raised by a system: another system, with the same model and graph, that prefers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.errors import quote
from hybrid.base.log import get_logger
from hybrid.decode.bias_watch import BiasWatch, PlainSearches
from hybrid.decode.engine import searching
from hybrid.decode.missed_phrases import explain_missed, first_best
from hybrid.decode.nearest_phrases import NearestPhrases, spelt, usual_case
from hybrid.decode.slot_filler import SlotFiller
from hybrid.graph.new_words import NEW
from hybrid.lattice.algebra.lattice_biasing import BiasShare, BiasWhy, explain_bias, why_line
from hybrid.search.protocol import SearchResult
from lexicon.symbols import SymbolTable
from lm.biasing.bias_list import BiasLine, BiasLines, BiasList, WordFinder, bias_lines, check_bias_lines
from lm.g2p.guesser import g2p_guesser
from lm.word_list import ListEntry, read_word_list

if TYPE_CHECKING:
    from hybrid.decode.recognition import Recognition
    from hybrid.decode.system import System

__all__ = ["BOOST", "bias_record", "with_lists", "with_nearest", "with_phrases"]

logger = get_logger(__name__)

BOOST = 5.0  # natural log per word of phrases without their own
NEW_PROBABILITY = 1e-5  # of a word that the graph lacks, without its boost


def with_phrases(
    system: System, phrases: BiasLines, boost: float = BOOST, nearest: int = 0, place: object = "phrases"
) -> System:
    """Returns the system with these phrases raised, whatever was raised before; no phrase: none.

    Words that the graph lacks are put into its slot for new words, where it has one, if they can be said.

    Args:
      phrases: the file of a list, or phrases; each a text, or with its boost per word, or with boost and context.
      boost: natural log per word, of phrases without their own.
      nearest: raise in each utterance so many, those nearest in sound to what is heard in it without them; 0: all.
      place: names them in errors.

    Raises:
      InputError: a bad list (`bias_lines`), none whose words are known, an engine that raises no phrases, or no graph.
    """
    lines, place = bias_lines(phrases, boost), phrases if isinstance(phrases, str) else place
    plain = replace(system, phrases=(), nearest=None, words=_own_words(system), watch=BiasWatch())
    if not lines:
        return _with(plain, (), ())
    new = _new_entries(plain, lines)
    words = plain.words.extended(sorted({entry.text for some in new.values() for entry in some}))
    found = check_bias_lines(lines, words, str(place))
    if not nearest:
        return _with(plain, lines, [entry for some in new.values() for entry in some])
    plain = _with(plain, (), ()) if system.lent else plain
    unknown = {text for text, _ in found.unknown}
    chosen = NearestPhrases.of(plain, [line for line in lines if line[0] not in unknown], nearest, words, new)
    return searching(_knowing(replace(plain, nearest=chosen), words))


def with_nearest(system: System, result: SearchResult) -> System:
    """Returns the system with those of a long list's phrases that are near to what a search found without them."""
    assert system.nearest is not None
    return _with(system, *system.nearest.near(system, result))


def _with(system: System, lines: tuple[BiasLine, ...], lent: Sequence[ListEntry]) -> System:
    """Raises phrases, with the new words that they need."""
    own, filled = _own_contents(system), bool(lent or system.lent)
    system = replace(system, phrases=lines, lent=tuple(lent))
    if not filled:
        return searching(system)
    contents = {**own, NEW: (*own.get(NEW, ()), *lent)}
    return SlotFiller.of(system).fill({name: some for name, some in contents.items() if some})


def _own_contents(system: System) -> dict[str, Sequence[ListEntry]]:
    """What stands in the slots without what phrases need."""
    lent = set(system.lent)
    rows = {name: [one for one in some if one not in lent] for name, some in system.contents.items()}
    return {name: tuple(some) for name, some in rows.items() if some}


def _own_words(system: System) -> SymbolTable:
    """The words of a system without those that its phrases need."""
    if system.graph is None:
        return system.words
    known = system.graph.words
    entries = {word for some in _own_contents(system).values() for entry in some for word in entry.words}
    more = sorted(word for word in entries if word not in known)
    return known.extended(more) if more else known


def _new_entries(system: System, lines: Sequence[BiasLine]) -> dict[str, tuple[ListEntry, ...]]:
    """Returns word of a phrase → its entries in the slot for new words, of words that are not known and can be said."""
    if system.graph is None or system.filler is None or NEW not in system.filler.table.names:
        return {}
    find, words = WordFinder(system.words), system.graph.words
    said = {word for text, _, context in lines for word in (*text.split(), *context.split())}
    case = usual_case(words.symbols)
    missing = {word: spelt(word, words, case) for word in sorted(said) if not find[word]}
    asked = sorted(set(missing.values()) - set(system.graph.lexicon))
    ways = {**(system.guess(asked) if system.guess is not None and asked else {}), **system.graph.lexicon}
    found = {
        word: tuple(ListEntry((text,), NEW_PROBABILITY, (tuple(way),)) for way in ways[text])
        for word, text in missing.items()
        if ways.get(text)
    }
    if missing:
        logger.info("%d of %d words of phrases that the graph lacks are put into %s", len(found), len(missing), NEW)
    return found


def _knowing(system: System, words: SymbolTable) -> System:
    """Returns the system with more words in its table, for all utterances; its second pass knows them too."""
    spec, second = system.spec, system.second_pass
    if spec.second_pass is not None and len(words) > len(system.words):
        second = spec.second_pass.open(words, spec.search_lm, system.config.scale)
    return replace(system, words=words, second_pass=second)


def with_lists(system: System) -> System:
    """Returns the system with the lists of its settings in its slots and its search; tells which slots stay empty.

    Raises:
      InputError: see `SlotFiller.fill`, `read_word_list` and `with_phrases`.
    """
    spec = system.spec
    if spec.g2p is not None:
        system = replace(system, guess=g2p_guesser(spec.g2p))
    if spec.slots:
        filler = SlotFiller.of(system)
        system = filler.fill({filler.table.name(name): read_word_list(path) for name, path in spec.slots})
    if system.filler is not None and (empty := [n for n in system.filler.table.names if n not in system.contents]):
        shown = ", ".join(map(quote, empty))
        logger.warning("%s: nothing fills %s: no word can be heard there", spec.graph_dir, shown)
    return system if spec.bias is None else with_phrases(system, spec.bias, spec.bias_boost, spec.bias_nearest)


def bias_record(
    system: System, one: Recognition, result: SearchResult, scores: np.ndarray, why: bool, searches: PlainSearches
) -> dict[str, Any]:
    """What the phrases did in an utterance, as the part of a decoding keeps it; nothing without phrases.

    Args:
      result: of the search. scores: float32 [T][num_pdfs].
      why: also what became of each.

    Returns:
      `words`, `written` (see `BiasShare`), and `why`, a line of JSON.
    """
    phrases, lattice = system.raised, one.compact
    if phrases is None or one.path is None or lattice.start < 0:
        return {}
    share, plain = BiasShare(), searches.words(system, one, scores)
    if plain is not None:
        share.add(plain, one.path.word_ids.tolist())
    found = {"words": share.words, "written": share.written}
    if not why:
        return found
    rows = explain_bias(lattice, phrases, one.acoustic_scale, plain or [])
    rows = explain_missed(system, first_best(system, one, result), scores, rows)
    far = 0 if system.nearest is None else len(system.nearest.lines) - len(system.phrases)
    return {**found, "why": why_line(one.utterance, _with_guesses(system, phrases, rows), system.words, far)}


def _with_guesses(system: System, phrases: BiasList, rows: Sequence[BiasWhy]) -> list[BiasWhy]:
    """Returns what became of the phrases with the pronunciations that were guessed for their sake."""
    guesses: dict[int, tuple[str, ...]] = {}
    for entry in system.lent:
        if system.graph is not None and entry.text not in system.graph.lexicon:
            number, line = system.words[entry.text], " ".join((entry.text, *entry.phones[0]))
            guesses[number] = (*guesses.get(number, ()), line)
    first = len(phrases.unknown)
    told = zip(phrases.phrases, rows[first:])
    said = (replace(row, guessed=tuple(g for w in phrase.words for g in guesses.get(w, ()))) for phrase, row in told)
    return [*rows[:first], *said]
