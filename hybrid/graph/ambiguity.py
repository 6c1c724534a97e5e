"""Why an L∘G cannot be determinised, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.errors import quote
from hybrid.formats.openfst import FstArrays

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir
    from lexicon.symbols import SymbolTable

__all__ = ["explain", "grammar_ambiguities"]

SHOWN = 5


def explain(lang: LangDir, grammar: FstArrays) -> str:
    """Returns a sentence that names the words which cannot be told apart.

    Looks for words of the grammar whose pronunciations clash in L_disambig.fst, then for ways of the grammar
    that read the same words.
    """
    used = {lang.words.symbol(int(i)) for i in np.unique(grammar.ilabels) if i <= lang.words.max_id}
    clashes = lang.find_clashes(words=used)
    if clashes:
        more = f" and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        named = "; ".join(map(str, clashes[:SHOWN]))
        return f"{named}{more}. Give them disambiguation symbols: make the lang folder again with `hybrid lang prepare`"
    ambiguous = grammar_ambiguities(grammar, lang.words)
    if ambiguous:
        named = "; ".join(ambiguous[:SHOWN])
        return f"the grammar is ambiguous: {named}. Put #0 on its back-off arcs and make it deterministic"
    return "pronunciations and grammar are distinguishable, so the limit on states may be too low; raise --max-states"


def grammar_ambiguities(grammar: FstArrays, words: SymbolTable) -> list[str]:
    """Returns what keeps a grammar from being deterministic: arcs without a word, states with a word twice."""
    found = []
    sources = grammar.sources()
    silent = np.flatnonzero(grammar.ilabels == 0)
    if silent.size:
        found.append(f"{silent.size} arcs read no word, the first leaves state {int(sources[silent[0]])}")
    order = np.lexsort((grammar.ilabels, sources))
    twice = (np.diff(sources[order]) == 0) & (np.diff(grammar.ilabels[order]) == 0) & (grammar.ilabels[order][1:] > 0)
    for index in np.flatnonzero(twice)[:SHOWN]:
        arc = order[index]
        label = int(grammar.ilabels[arc])
        word = words.symbol(label) if label <= words.max_id else f"class {label}"
        found.append(f"state {int(sources[arc])} has two arcs for '{quote(word)}'")
    return found
