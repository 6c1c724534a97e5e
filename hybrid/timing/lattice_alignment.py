"""Words, pauses and phones of a whole lattice on their frames: each arc becomes one of them (lattice-align-words)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from hybrid.lattice.columns import LatticeError
from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.epsilons import remove_epsilons
from hybrid.lattice.trim import from_rows

__all__ = ["LatticeAligner", "PhonesOfIds", "WaitingPlace", "align_lattice"]

INSIDE = ("internal", "end")  # phones with which no word begins


class PhonesOfIds(Protocol):
    """What is asked of a transition model: arrays by transition-id."""

    @property
    def phones(self) -> np.ndarray:
        """Phone ids."""

    @property
    def is_self_loop(self) -> np.ndarray:
        """Whether it stays in its state."""

    @property
    def is_final(self) -> np.ndarray:
        """Whether it leaves its phone."""


class WaitingPlace(NamedTuple):
    """A place in the lattice, and what was read on the way to it and not yet put out."""

    state: int  # -1 behind the end
    ids: tuple[int, ...]
    words: tuple[int, ...]


def align_lattice(
    compact: CompactLattice, model: PhonesOfIds, boundary: Mapping[int, str], phones: bool = False
) -> CompactLattice:
    """Returns the lattice of the same paths in which every arc is one word or one pause.

    Transition-ids and words are read along the lattice and put out as soon as a word has both its label and the first
    frame of what follows it; states of the result are places in the lattice with what waits there (Kaldi's
    lattice-align-words). What the end of the utterance cuts off reaches to the end.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`; from a determinised lattice.
      model: of the graph; self-loops stand after the arc that enters their state.
      boundary: phone id → nonword, begin, internal, end or singleton, as word_boundary.int tells them.
      phones: arcs are phones instead; a word stands on its first one.

    Raises:
      LatticeError: a transition-id that the model lacks.
    """
    highest = max(int(ids.max(initial=0)) for ids in (compact.strings, compact.final_strings))
    if highest >= len(model.phones):
        raise LatticeError(f"has transition-id {highest}, and the model has {len(model.phones) - 1}")
    if compact.start < 0:
        return no_paths()
    return remove_epsilons(LatticeAligner(compact, model, boundary, phones).run())


class LatticeAligner:
    """Follows a lattice with what was read of it and not yet put out; `unit` says what can be."""

    def __init__(self, compact: CompactLattice, model: PhonesOfIds, boundary: Mapping[int, str], phones: bool) -> None:
        self._compact, self._phones = compact, phones
        self._loop, self._final = model.is_self_loop.tolist(), model.is_final.tolist()
        self._kind = [boundary.get(phone, "nonword") for phone in model.phones.tolist()]
        self._number: dict[WaitingPlace, int] = {}
        self._queue: list[WaitingPlace] = []

    def run(self) -> CompactLattice:
        """Follows the lattice from its start."""
        compact = self._compact
        bounds = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).tolist()
        arcs: list[tuple] = []
        finals: dict[int, tuple[float, float, tuple]] = {}
        self._of(WaitingPlace(0, (), ()))
        while self._queue:
            place = self._queue.pop()
            here = self._number[place]
            if unit := self.unit(place):
                length, label = unit
                rest = WaitingPlace(place.state, place.ids[length:], place.words[1:] if label else place.words)
                arcs.append((here, self._of(rest), label, 0.0, 0.0, place.ids[:length]))
            elif place.state < 0:
                finals[here] = (0.0, 0.0, ())
            else:
                arcs += [(here, *step) for step in self._steps(place, bounds)]
        return from_rows(arcs, finals, len(self._number))

    def _of(self, place: WaitingPlace) -> int:
        if place not in self._number:
            self._number[place] = len(self._number)
            self._queue.append(place)
        return self._number[place]

    def _steps(self, place: WaitingPlace, bounds: list[int]) -> list[tuple]:
        """The arcs and the end of a place's state, whose labels and frames wait from then on."""
        compact, state, out = self._compact, place.state, []
        for arc in range(bounds[state], bounds[state + 1]):
            word = int(compact.word_ids[arc])
            to = WaitingPlace(
                int(compact.next_states[arc]), place.ids + tuple(compact.string(arc).tolist()),
                (*place.words, word) if word else place.words,
            )  # fmt: skip
            out.append((self._of(to), 0, float(compact.graph_scores[arc]), float(compact.acoustic_scores[arc]), ()))
        if np.isfinite(compact.final_graph_scores[state]):
            end = WaitingPlace(-1, place.ids + tuple(compact.final_string(state).tolist()), place.words)
            scores = float(compact.final_graph_scores[state]), float(compact.final_acoustic_scores[state])
            out.append((self._of(end), 0, *scores, ()))
        return out

    def unit(self, place: WaitingPlace) -> tuple[int, int] | None:
        """The frames and the label of what can be put out first, if anything."""
        ids, words, at_end = place.ids, place.words, place.state < 0
        if not ids:
            return (0, words[0]) if at_end and words else None
        kind = self._kind[ids[0]]
        takes_word = kind != "nonword" and not (self._phones and kind in INSIDE)
        if takes_word and not words and not at_end:
            return None
        length = self._length(ids, at_end)
        return (length, words[0] if takes_word and words else 0) if length else None

    def _length(self, ids: tuple[int, ...], at_end: bool) -> int:
        """The frames of the first word, pause or phone; 0 where it may go on."""
        position, size = 0, len(ids)
        while position < size:
            kind, ended = self._kind[ids[position]], False
            while position < size and (self._loop[ids[position]] or not ended):
                ended = ended if self._loop[ids[position]] else self._final[ids[position]]
                position += 1
            if position < size and (self._phones or kind not in ("begin", "internal")):
                return position
        return size if at_end else 0
