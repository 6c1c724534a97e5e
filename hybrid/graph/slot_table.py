"""Slots: places of a decoding graph that are filled with words when it is used.

A slot of G is an arc whose label is the slot's. In HCLG it is a *place*: a state that is entered by arcs "the phone
before was b, the slot's first phone is x" and left by arcs "the slot's last phone was y, the phone after is c". That is
all that the graph need know of what will stand there: the phones that are context of one another. Where the tree does
not look to one side, that side's phone is 0, any.

The labels of these arcs are numbered after the transition-ids: first all (slot, b, x), then all (slot, y, c).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.reading import read_json, reading
from hybrid.formats.openfst import FstArrays
from hybrid.tree import ContextTree
from lexicon.lang_dir import LangDir
from lexicon.lexicon_fst import silence_probability

__all__ = ["SLOTS", "SlotTable"]

SLOTS = "slots.json"  # its file in a graph folder
CURE = "Compile the graph again with --slot."
EVEN, RARE = 0.2, 1e-6  # what of a slot's probability is spread evenly at its first phones, and at those after it
ENDS, BEGINS = ("end", "singleton", "nonword"), ("begin", "singleton", "nonword")


@dataclass(frozen=True)
class SlotTable:
    """The slots of a graph, and what the labels around its places mean.

    Attributes:
      names: of the slots, sorted.
      before: phone ids that may stand before a place, 0 for the beginning of the utterance.
      first: that a filling may begin with. last: that it may end with, silence after its last word included.
      after: that may stand after a place, 0 for the end of the utterance.
      first_label: number of the first label, one more than the transition-ids.
      silence_phone: may stand between and after the words of a filling. silence_prob: and how likely.
      first_shares: per phone of `first`, the share of a slot's probability that the grammar pays before what is in the
        slot is known. after_shares: per phone of `after`, what a filling pays before what follows is known.
    """

    names: tuple[str, ...]
    before: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    after: tuple[int, ...]
    first_label: int
    silence_phone: int
    silence_prob: float
    first_shares: tuple[float, ...]
    after_shares: tuple[float, ...]

    @classmethod
    def of(cls, names: Sequence[str], lang: LangDir, tree: ContextTree, num_transition_ids: int) -> SlotTable:
        """Lists the phones that the slots of a graph may meet.

        Raises:
          HybridError: the tree looks further than one phone to a side, or silence depends on the word.
        """
        left, right = tree.central_position, tree.context_width - 1 - tree.central_position
        if left > 1 or right > 1:
            found = f"the tree looks {left} phones back and {right} ahead; slots know one phone on each side"
            raise HybridError(f"{found}. Use a model of monophones, triphones or left biphones.")
        lexicon = lang.L_arrays(disambig=True)
        loops = np.isfinite(lexicon.final_costs)
        if loops.sum() > 1:
            found = f"{lang.path}: its silence probabilities depend on the word, which slots cannot know"
            raise HybridError(f"{found}. Make the lang folder without lexiconp_silprob.txt.")
        silence_prob = silence_probability(lexicon, lang.optional_silence)
        kinds, silences = lang.word_boundary, set(lang.silence_phones)
        everything = sorted(silences | set(lang.nonsilence_phones))

        def at(places: Sequence[str], silence: bool) -> tuple[int, ...]:
            """Phones at an end of a word, and 0 for none where silence is wanted too."""
            fit = [p for p in everything if kinds is None or kinds.get(p) in places or (silence and p in silences)]
            return (0, *fit) if silence else tuple(p for p in fit if p not in silences)

        last = at(ENDS, False) + ((lang.optional_silence,) if silence_prob else ())
        first = at(BEGINS, False) if right else (0,)
        after = at(BEGINS, True) if right else (0,)
        return cls(
            tuple(sorted(names)),
            at(ENDS, True) if left else (0,),
            first,
            tuple(sorted(last)) if left else (0,),
            after,
            num_transition_ids + 1,
            lang.optional_silence,
            silence_prob,
            _shares(_begins(lexicon, first), EVEN),
            _shares(np.zeros(len(after)), EVEN),
        )

    def with_exits(self, after: np.ndarray) -> SlotTable:
        """Returns the table of a graph in which the phones of `after` follow places with these probabilities."""
        return replace(self, after_shares=_shares(after, RARE))

    @property
    def num_entries(self) -> int:
        """Labels (slot, phone before, first phone)."""
        return len(self.names) * len(self.before) * len(self.first)

    @property
    def num_exits(self) -> int:
        """Labels (slot, last phone, phone after)."""
        return len(self.names) * len(self.last) * len(self.after)

    def entry(self, slot: int, before: int, first: int) -> int:
        """The key of an entry, from 0.

        Raises:
          HybridError: no such phone may stand there.
        """
        return self._key(slot, before, first, 0)

    def exit(self, slot: int, last: int, after: int) -> int:
        """The key of an exit: after all entries.

        Raises:
          HybridError: no such phone may stand there.
        """
        return self.num_entries + self._key(slot, last, after, 2)

    def _key(self, slot: int, one: int, other: int, group: int) -> int:
        ones, others = self._places[group], self._places[group + 1]
        if one not in ones or other not in others:
            raise HybridError(f"slot {self.names[slot]}: phones {one} and {other} do not stand at its edge")
        return (slot * len(ones) + ones[one]) * len(others) + others[other]

    @cached_property
    def _places(self) -> tuple[dict[int, int], ...]:
        """Of the groups of phones before, first, last and after the place of each phone."""
        groups = self.before, self.first, self.last, self.after
        return tuple({phone: place for place, phone in enumerate(phones)} for phones in groups)

    def name(self, name: str) -> str:
        """The name of a slot, of which the $ may be left out.

        Raises:
          InputError: the graph has none of that name.
        """
        for known in (name, f"${name}"):
            if known in self.names:
                return known
        shown = ", ".join(map(quote, self.names))
        raise InputError.at("slots", f"'{quote(name)}' is none of this graph, which has {shown}", CURE)

    def to_json(self) -> str:
        """As the file of a graph folder holds it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: str | os.PathLike) -> SlotTable:
        """Reads the file of a graph folder.

        Raises:
          InputError: no table of slots.
        """
        found = read_json(Path(path))
        with reading(path, "table of slots", CURE):
            phones = [tuple(found[name]) for name in ("before", "first", "last", "after")]
            probability = float(found["silence_prob"])
            shares = [tuple(map(float, found[name])) for name in ("first_shares", "after_shares")]
            before, first, last, after = phones
            if (
                not 0 <= probability < 1
                or [len(some) for some in shares] != [len(first), len(after)]
                or not all(0 < share <= 1 for some in shares for share in some)
                or not all(type(p) is int and p >= 0 for some in phones for p in some)
            ):
                raise ValueError("phones and probabilities")
            numbers = int(found["first_label"]), int(found["silence_phone"])
            return cls(tuple(map(str, found["names"])), before, first, last, after, *numbers, probability, *shares)


def _begins(lexicon: FstArrays, first: Sequence[int]) -> np.ndarray:
    """Counts the arcs of L on which a word begins with each phone; L has a word on its first phone."""
    counts = np.bincount(lexicon.ilabels[lexicon.olabels > 0], minlength=max(first) + 1)
    return counts[list(first)].astype(float)


def _shares(counts: np.ndarray, even: float) -> tuple[float, ...]:
    """Returns the shares of some counts, with what `even` is of all spread evenly."""
    total = counts.sum()
    return tuple(((1 - even) * counts / total + even / len(counts) if total else counts + 1 / len(counts)).tolist())
