"""Phone sets: silence and non-silence phones, their groups, and their forms by position in the word.

A dictionary folder lists "base" phones. Phones on one line (say `AA0 AA1 AA2`, one vowel under three
stresses) share the root of a decision tree and are told apart only by questions in
`extra_questions.txt`. A lang folder holds the phones that models are made of: with position-dependent
phones each base phone becomes four (`_B` begin, `_E` end, `_I` internal, `_S` singleton), and each
silence phone five, since silence also stands outside words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from lexicon.text import read_lines

__all__ = ["POSITIONS", "PhoneInventory", "PhoneSet", "bad_phone_form", "position_forms"]

Groups = tuple[tuple[str, ...], ...]

# How a phone is marked for its place in the word.
POSITIONS = {"_B": "begin", "_E": "end", "_I": "internal", "_S": "singleton"}


def bad_phone_form(phone: str) -> str:
    """Returns why a base phone's name cannot be used, or an empty text where it can."""
    if phone.startswith("#"):
        return "starts with '#' as disambiguation symbols do"
    if phone.endswith(tuple(POSITIONS)):
        return "ends in _B, _E, _I or _S as phones marked for word position do"
    return "is the name of epsilon" if phone == "<eps>" else ""


def position_forms(phone: str, is_silence: bool) -> tuple[str, ...]:
    """Returns the forms of a base phone by word position; a silence phone also stands outside words."""
    forms = tuple(phone + suffix for suffix in POSITIONS)
    return (phone, *forms) if is_silence else forms


@dataclass(frozen=True, eq=False)
class PhoneInventory(ByContent):
    """The phones of a lang folder and their groups, by name.

    Attributes:
      silence, nonsilence: in the order of their ids.
      sets: phones that are clustered as one when questions are made; one line of `sets.txt` each.
      roots: ("shared" | "not-shared", "split" | "not-split", phones) of each tree root.
      extra_questions: phone sets that trees may ask about besides the automatic ones.
      word_boundary: phone → "begin", "end", "internal", "singleton" or "nonword"; None if not marked.
    """

    silence: tuple[str, ...]
    nonsilence: tuple[str, ...]
    optional_silence: str
    sets: Groups
    roots: tuple[tuple[str, str, tuple[str, ...]], ...]
    extra_questions: Groups
    word_boundary: dict[str, str] | None


@dataclass(frozen=True)
class PhoneSet:
    """The base phones of a dictionary folder.

    Attributes:
      silence: groups of silence and noise phones, one line of `silence_phones.txt` each.
      nonsilence: groups of speech phones; a group shares a tree root.
      optional_silence: the phone that may stand between words; one of `silence`.
      extra_questions: sets of phones that split what a group holds together.
    """

    silence: Groups
    nonsilence: Groups
    optional_silence: str
    extra_questions: Groups = ()

    def __post_init__(self) -> None:
        for name in ("silence", "nonsilence", "extra_questions"):
            object.__setattr__(self, name, tuple(map(tuple, getattr(self, name))))
        names = [p for group in (*self.silence, *self.nonsilence) for p in group]
        if not self.silence or not self.nonsilence:
            raise ValueError("wanted at least one silence phone and one non-silence phone")
        if len(set(names)) != len(names):
            twice = next(p for p in names if names.count(p) > 1)
            raise ValueError(f"phone '{quote(twice)}' stands twice in the phone set")
        for phone in names:
            if reason := bad_phone_form(phone):
                raise ValueError(f"phone '{quote(phone)}' {reason}")
        if self.optional_silence not in self.silence_phones:
            raise ValueError(f"optional silence '{quote(self.optional_silence)}' is no silence phone")
        for phone in (p for question in self.extra_questions for p in question):
            if phone not in self:
                raise ValueError(f"extra question asks about '{quote(phone)}', which is no phone of the set")

    @cached_property
    def silence_phones(self) -> tuple[str, ...]:
        """Names of the phones that are no speech."""
        return tuple(p for group in self.silence for p in group)

    @cached_property
    def nonsilence_phones(self) -> tuple[str, ...]:
        """Names of the phones of words."""
        return tuple(p for group in self.nonsilence for p in group)

    @cached_property
    def names(self) -> frozenset[str]:
        """All base phones."""
        return frozenset(self.silence_phones + self.nonsilence_phones)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, phone: object) -> bool:
        return phone in self.names

    @classmethod
    def from_phones(
        cls, silence: Iterable[str], nonsilence: Iterable[str], extra_questions: Iterable[Iterable[str]] = ()
    ) -> PhoneSet:
        """Builds a set in which each phone is a group of its own and the first silence phone is the optional one."""
        silence = tuple(silence)
        questions = tuple(tuple(q) for q in extra_questions)
        return cls(tuple((p,) for p in silence), tuple((p,) for p in nonsilence), silence[0], questions)

    @classmethod
    def read(cls, dict_dir: str | os.PathLike) -> PhoneSet:
        """Reads the phone files of a dictionary folder.

        Raises:
          InputError: a file is missing or the set is not consistent; `hybrid lang validate` tells it by lines.
        """
        folder = Path(dict_dir)
        silence, nonsilence = (
            [line.split() for line in read_lines(folder / f"{name}_phones.txt")] for name in ("silence", "nonsilence")
        )
        optional = " ".join(read_lines(folder / "optional_silence.txt")).strip()
        file = folder / "extra_questions.txt"
        questions = [line.split() for line in read_lines(file, may_be_empty=True)] if file.exists() else []
        try:
            return cls(silence, nonsilence, optional, questions)  # type: ignore[arg-type]
        except ValueError as error:
            cure = f"`hybrid lang validate {folder}` names the line."
            raise InputError.at(folder, str(error), cure) from error

    def write(self, dict_dir: str | os.PathLike) -> None:
        """Writes the four phone files of a dictionary folder."""
        contents = {
            "silence_phones.txt": self.silence,
            "nonsilence_phones.txt": self.nonsilence,
            "optional_silence.txt": ((self.optional_silence,),),
            "extra_questions.txt": self.extra_questions,
        }
        for name, groups in contents.items():
            with atomic_path(Path(dict_dir) / name) as temporary:
                text = "".join(" ".join(group) + "\n" for group in groups)
                temporary.write_text(text, encoding="utf-8", newline="\n")

    def inventory(self, position_dependent: bool = True, share_silence: bool = False) -> PhoneInventory:
        """Expands the base phones into the phones of a lang folder, numbered and grouped as Kaldi does.

        Args:
          position_dependent: mark each phone for its position in the word.
          share_silence: put all silence phones into one root that is neither shared between HMM states
            nor split, so that they use the same pdfs.
        """
        silent = set(self.silence_phones)

        def forms(phones: Iterable[str]) -> tuple[str, ...]:
            phones = tuple(phones)
            return tuple(f for p in phones for f in position_forms(p, p in silent)) if position_dependent else phones

        groups = [self.silence_phones] if share_silence else list(self.silence)
        sets = tuple(forms(group) for group in (*groups, *self.nonsilence))
        kinds = [("not-shared", "not-split") if share_silence else ("shared", "split")]
        kinds += [("shared", "split")] * (len(sets) - 1)
        inventory = PhoneInventory(
            silence=forms(self.silence_phones),
            nonsilence=forms(self.nonsilence_phones),
            optional_silence=self.optional_silence,
            sets=sets,
            roots=tuple((*kind, group) for kind, group in zip(kinds, sets)),
            extra_questions=tuple(forms(q) for q in self.extra_questions)
            + (self._position_questions() if position_dependent else ()),
            word_boundary=self._word_boundary() if position_dependent else None,
        )
        return inventory

    def _position_questions(self) -> Groups:
        """Questions about the position in the word, for silence and speech phones apart."""
        speech = [tuple(p + suffix for p in self.nonsilence_phones) for suffix in POSITIONS]
        silence = [tuple(p + suffix for p in self.silence_phones) for suffix in ("", *POSITIONS)]
        return (*speech, *silence)

    def _word_boundary(self) -> dict[str, str]:
        kinds = dict.fromkeys(self.silence_phones, "nonword")
        named = {}
        for phone in self.silence_phones + self.nonsilence_phones:
            for form in position_forms(phone, phone in kinds):
                named[form] = kinds[phone] if form == phone else POSITIONS[form[-2:]]
        return named
