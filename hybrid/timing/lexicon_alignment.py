"""Words of a whole lattice on their frames by the lexicon (lattice-align-words-lexicon), without marks of phones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np

from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.epsilons import remove_epsilons
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.trim import from_rows
from hybrid.timing.lattice_alignment import LatticeAligner, PhonesOfIds, WaitingPlace

__all__ = ["align_by_lexicon", "pronunciations_of"]

Pronunciations = Mapping[int, Sequence[tuple[int, ...]]]


def pronunciations_of(rows: Iterable[Sequence[int]]) -> dict[int, list[tuple[int, ...]]]:
    """Returns word id → phone ids of each pronunciation, from the rows of align_lexicon.int; 0: what is no word."""
    found: dict[int, list[tuple[int, ...]]] = {}
    for row in rows:
        found.setdefault(int(row[0]), []).append(tuple(row[2:]))
    return found


def align_by_lexicon(
    compact: CompactLattice, model: PhonesOfIds, lexicon: Pronunciations, phones: bool = False
) -> CompactLattice:
    """Returns the lattice of the same paths in which every arc is one word or one pause.

    Words and phones are read along the lattice, as `align_lattice` does; a word is put out when no other way to cut
    what was read into pronunciations is left. Where several are left at the end, the longest first word is taken. What
    the end of the utterance cuts off reaches to the end.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`; from a determinised lattice.
      model: of the graph.
      lexicon: see `pronunciations_of`.
      phones: arcs are phones instead; a word stands on its first one.

    Raises:
      LatticeError: phones that the lexicon does not explain: it is not the graph's.
    """
    if compact.start < 0:
        return no_paths()
    words = remove_epsilons(_LexiconAligner(compact, model, lexicon).run())
    return _split(words, model) if phones else words


class _LexiconAligner(LatticeAligner):
    """Tells units by pronunciations; see `LatticeAligner`."""

    def __init__(self, compact: CompactLattice, model: PhonesOfIds, lexicon: Pronunciations) -> None:
        super().__init__(compact, model, {}, phones=False)
        self._phone = model.phones.tolist()
        self._lexicon = lexicon
        self._begin_words = {phones[0] for word, many in lexicon.items() if word for phones in many if phones}

    def unit(self, place: WaitingPlace) -> tuple[int, int] | None:
        """The frames and the label of what can be put out first, if anything."""
        ids, words, at_end = place.ids, place.words, place.state < 0
        if not ids:
            return (0, words[0]) if at_end and words else None
        ends = _phone_ends(ids, self._loop, self._final, at_end)
        phones = tuple(self._phone[ids[begin]] for begin in [0, *ends[:-1]][: len(ends)])
        if not phones:
            return None
        units, open_ends = _first_units(phones, words, at_end, self._lexicon, self._begin_words)
        if units and (at_end or (len(units) == 1 and not open_ends)):
            length, label = max(units)
            return ends[length - 1], label
        if at_end:  # cut off: the rest is of the last word, or of none
            return (len(ids), words[0]) if words else (ends[0], 0)
        if not units and not open_ends:
            told = f"word {words[0]}" if words else "no word"
            raise LatticeError(f"phones {list(phones[:8])} are no pronunciation of {told}; give the graph's lexicon")
        return None


def _phone_ends(ids: tuple[int, ...], loop: list[bool], final: list[bool], at_end: bool) -> list[int]:
    """Where the phones end that are known to be whole."""
    ends, position = [], 0
    while position < len(ids):
        ended = False
        while position < len(ids) and (loop[ids[position]] or not ended):
            ended = ended if loop[ids[position]] else final[ids[position]]
            position += 1
        if position < len(ids) or at_end:
            ends.append(position)
    return ends


def _first_units(
    phones: tuple[int, ...], words: tuple[int, ...], at_end: bool, lexicon: Pronunciations, begin_words: set[int]
) -> tuple[set[tuple[int, int]], bool]:
    """The first units (phones, label) of all ways to cut phones into pronunciations, and whether one may go on."""

    def ways(phone: int, word: int) -> list[tuple[int, int]]:
        """(phones, label) that may stand here; those that reach beyond the end have more phones than there are."""
        labels = (0, words[word]) if word < len(words) else (0,)
        rest = phones[phone:]
        fitting = (
            (len(p), label)
            for label in labels
            for p in lexicon.get(label, ())
            if p and p[: len(rest)] == rest[: len(p)]
        )
        return list(dict.fromkeys(fitting))

    @cache
    def fits(phone: int, word: int) -> bool:
        """Whether the rest can be cut, or may be when more is read."""
        if phone == len(phones):
            return not at_end or word == len(words)
        if word == len(words) and not at_end and phones[phone] in begin_words:
            return True  # of a word whose label is still to come
        for length, label in ways(phone, word):
            if phone + length > len(phones):
                if not at_end:
                    return True
            elif fits(phone + length, word + (label != 0)):
                return True
        return False

    units, goes_on = set(), not words and not at_end and phones[0] in begin_words
    for length, label in ways(0, 0):
        if length > len(phones):
            goes_on = goes_on or not at_end
        elif fits(length, int(label != 0)):
            units.add((length, label))
    return units, goes_on


def _split(words: CompactLattice, model: PhonesOfIds) -> CompactLattice:
    """Parts the arcs of words into their phones; scores and the word stand on the first."""
    loop, final = model.is_self_loop.tolist(), model.is_final.tolist()
    rows: list[tuple] = []
    states = words.num_states
    for arc in range(words.num_arcs):
        ids = tuple(words.string(arc).tolist())
        ends = _phone_ends(ids, loop, final, at_end=True) or [0]
        here, word = int(words.sources[arc]), int(words.word_ids[arc])
        scores = float(words.graph_scores[arc]), float(words.acoustic_scores[arc])
        for number, (begin, end) in enumerate(zip([0, *ends], ends)):
            last = number == len(ends) - 1
            to = int(words.next_states[arc]) if last else states
            states += not last
            rows.append((here, to, 0 if number else word, *((0.0, 0.0) if number else scores), ids[begin:end]))
            here = to
    finals = {
        state: (graph, acoustic, words.final_string(state).tolist())
        for state, (graph, acoustic) in enumerate(
            zip(words.final_graph_scores.tolist(), words.final_acoustic_scores.tolist())
        )
        if np.isfinite(graph)
    }
    return from_rows(rows, finals, states)
