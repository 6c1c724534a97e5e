"""Why an L∘G cannot be determinised, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.openfst import FstArrays

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir
    from lexicon.symbols import SymbolTable

__all__ = ["explain", "grammar_ambiguities"]

SHOWN = 5


def explain(lang: LangDir, grammar: FstArrays, partial: FstArrays) -> str:
    """Returns a sentence that names the words which cannot be told apart.

    Looks for words of the grammar whose pronunciations clash in L_disambig.fst, for ways of the grammar that
    read the same words, and last at the output of the determinisation that was stopped.

    Args:
      partial: what determinisation had made when it was stopped.
    """
    used = {lang.words.symbol(int(i)) for i in np.unique(grammar.ilabels) if lang.words.symbol(int(i))}
    clashes = [c for c in lang.find_clashes() if c.first in used and c.second in used]
    if clashes:
        more = f" and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        named = "; ".join(map(str, clashes[:SHOWN]))
        return f"{named}{more}. Give them disambiguation symbols: make the lang folder again with `hybrid lang prepare`"
    ambiguous = grammar_ambiguities(grammar, lang.words)
    if ambiguous:
        named = "; ".join(ambiguous[:SHOWN])
        return f"the grammar is ambiguous: {named}. Put #0 on its back-off arcs and make it deterministic"
    words = _longest_outputs(partial, lang.words)
    return f"it was following the words {words}; look at their pronunciations and at the grammar's ways around them"


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
        found.append(f"state {int(sources[arc])} has two arcs for '{words.symbol(int(grammar.ilabels[arc]))}'")
    return found


def _longest_outputs(partial: FstArrays, words: SymbolTable) -> str:
    """Returns the words on the way to the state made last: where determinisation went astray."""
    if not partial.num_states:
        return "(none)"
    entering = np.full(partial.num_states, -1, np.int64)
    sources = partial.sources()
    seen = np.zeros(partial.num_states, bool)
    seen[partial.start] = True
    frontier = np.array([partial.start])
    last = partial.start
    while frontier.size:
        arcs = np.flatnonzero(np.isin(sources, frontier) & ~seen[partial.next_states])
        if not arcs.size:
            break
        targets, first = np.unique(partial.next_states[arcs], return_index=True)
        entering[targets] = arcs[first]
        seen[targets] = True
        frontier, last = targets, int(targets[-1])
    names: list[str] = []
    while entering[last] >= 0 and len(names) < 12:
        arc = int(entering[last])
        if partial.olabels[arc] > 0:
            names.append(f"'{words.symbol(int(partial.olabels[arc]))}'")
        last = int(sources[arc])
    return " ".join(reversed(names)) or "(none)"
