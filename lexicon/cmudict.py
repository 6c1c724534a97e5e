"""CMUdict → dictionary folder: its words, or those of a vocabulary, with stress or without.

CMUdict writes a word's variants as `word(2)`, vowels with a stress digit (`AH0`), and comments behind `#`
(the older cmudict-0.7b: lines that start with `;;;`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import check_fields
from lexicon.lexicon import VARIANT, Lexicon, Pronunciation
from lexicon.phones import PhoneSet, bad_phone_form
from lexicon.symbols import RESERVED_WORDS
from lexicon.text import read_user_lines
from lexicon.words.phone_fit import fit_phones, lacking_phones

__all__ = ["CmudictConfig", "dictionary_from", "in_phones_of", "read_cmudict"]

_STRESS = str.maketrans("", "", "0123456789")

Entries = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class CmudictConfig:
    """How CMUdict becomes a dictionary folder."""

    keep_stress: bool = field(
        default=False,
        metadata={"help": "Keep AH0, AH1, AH2 apart (they share a tree root, with a question for each stress)."},
    )
    oov: str = field(default="<UNK>", metadata={"help": "Word that stands for unknown words; it is pronounced SPN."})
    silence_word: str = field(default="!SIL", metadata={"help": "Word that stands for silence; empty for none."})

    def __post_init__(self) -> None:
        check_fields(self)
        for word in (self.oov, self.silence_word or "x"):
            if not word or word in RESERVED_WORDS or len(word.split()) != 1:
                raise ValueError(
                    f"'{quote(word)}' cannot be a word of the lexicon; wanted one token that is not reserved"
                )

    def special_entries(self) -> list[Pronunciation]:
        """The words that are no speech: unknown word and silence."""
        entries = [Pronunciation(self.oov, ("SPN",))]
        return entries + ([Pronunciation(self.silence_word, ("SIL",))] if self.silence_word else [])


def read_cmudict(path: str | os.PathLike, keep_stress: bool = False) -> Entries:
    """Reads CMUdict.

    Returns:
      Word (upper case) → its pronunciations in the order of the file, each once.

    Raises:
      InputError: not UTF-8, or a word without phones; the line is named.
    """
    lexicon: Entries = {}
    for number, line in read_user_lines(path):
        if line.startswith((";;;", "# ")):
            continue
        word, *phones = line.split()  # "#hash-mark" is a word; elsewhere "#" begins a comment
        phones = " ".join(phones).partition("#")[0].split()
        if not phones:
            cure = "Add its phones or remove the line."
            raise InputError.at(path, f"word '{quote(word)}' has no pronunciation; wanted 'word phone …'", cure, number)
        if "(" in word:
            word = VARIANT.sub("", word)
        joined = " ".join(phones)
        pronunciation = tuple((joined if keep_stress else joined.translate(_STRESS)).split())
        wrong = next((why for phone in pronunciation if (why := bad_phone_form(phone))), "")
        if wrong or len(pronunciation) != len(phones):
            found = f"a phone of word '{quote(word)}' {wrong or 'has no letter'}"
            raise InputError.at(path, found, "Rename the phone or remove the line.", number)
        of_word = lexicon.setdefault(word.upper(), [])
        if pronunciation not in of_word:
            of_word.append(pronunciation)
    return lexicon


def in_phones_of(
    entries: Entries, known: AbstractSet[str], words: Iterable[str] | None = None
) -> tuple[Entries, dict[str, list[str]]]:
    """Keeps the pronunciations that the phones of a model can spell, and spells them so.

    Args:
      known: phones without marks of place.
      words: those that matter; None for all.

    Returns:
      The entries, and phone → words that are left without a pronunciation for want of it.
    """
    kept: Entries = {}
    for word in entries if words is None else dict.fromkeys(words):
        rows = [row for phones in entries.get(word, ()) if (row := fit_phones(phones, known))]
        if rows:
            kept[word] = list(dict.fromkeys(rows))
    lost = ((w, p) for w in (entries if words is None else dict.fromkeys(words)) if w not in kept
            for p in entries.get(w, ()))  # fmt: skip
    return kept, lacking_phones(lost, known)


def dictionary_from(
    entries: Entries,
    config: CmudictConfig,
    vocabulary: Iterable[str] | None = None,
    extra: Sequence[Pronunciation] = (),
) -> tuple[PhoneSet, Lexicon, list[str]]:
    """Picks the words of a vocabulary and builds phone set and lexicon for a dictionary folder.

    Args:
      entries: from `read_cmudict`.
      vocabulary: words to keep; None for all.
      extra: further pronunciations (a user's own words), kept whether in the vocabulary or not.

    Returns:
      The phones in use (SIL and SPN are the silence phones), the lexicon sorted by word, and the words of
      the vocabulary that have no pronunciation, in order.

    Raises:
      InputError: no word of the vocabulary has a pronunciation.
    """
    mine: Entries = {}
    for entry in extra:
        mine.setdefault(entry.word, []).append(entry.phones)
    special = config.special_entries()
    names = {e.word for e in special}
    wanted = dict.fromkeys(entries if vocabulary is None else vocabulary)
    reserved = RESERVED_WORDS | names
    missing = [w for w in wanted if w not in entries and w not in mine and w not in reserved]
    rows = list(special)
    probabilities = {(e.word, e.phones): e.probability for e in extra}
    for word in sorted({w for w in wanted if w in entries and w not in reserved} | {w for w in mine if w not in names}):
        given = entries.get(word, []) if word in wanted else []
        for phones in dict.fromkeys([*given, *mine.get(word, [])]):
            rows.append(Pronunciation(word, phones, probabilities.get((word, phones), 1.0)))
    if len(rows) == len(special):
        cure = "CMUdict's words are upper case here; check the case and the language of the vocabulary."
        raise InputError.at("vocabulary", f"none of its {len(wanted)} words has a pronunciation", cure)
    speech = sorted({p for row in rows[len(special) :] for p in row.phones} - {"SIL", "SPN"})
    return _phone_set(speech, config.keep_stress), Lexicon(tuple(rows)), missing


def _phone_set(speech: list[str], keep_stress: bool) -> PhoneSet:
    """Silence phones SIL and SPN; with stress, vowels that differ in stress alone share a group."""
    if not keep_stress:
        return PhoneSet.from_phones(("SIL", "SPN"), speech)
    groups: dict[str, list[str]] = {}
    stresses: dict[str, list[str]] = {}
    for phone in speech:
        base = phone.translate(_STRESS)
        groups.setdefault(base, []).append(phone)
        stresses.setdefault(phone[len(base) :], []).append(phone)
    questions = [tuple(stresses[s]) for s in sorted(stresses)] if len(stresses) > 1 else []
    return PhoneSet((("SIL",), ("SPN",)), tuple(map(tuple, groups.values())), "SIL", tuple(questions))
