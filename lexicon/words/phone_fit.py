"""Pronunciations in the phones of a model: marks of place and stress fitted, missing phones named, the nearest told."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from hybrid.base.errors import InputError, quote
from lexicon.phones import POSITIONS
from lexicon.symbols import SymbolTable, is_disambig

__all__ = ["absent_phones", "bare_names", "base_phones", "fit_phones", "lacking_phones", "nearest_phones"]

# What a phone of CMUdict is like: manner, place and voice of consonants, height, place and rounding of vowels.
_LIKE = {
    "P": "stop labial", "B": "stop labial voice", "T": "stop alveolar", "D": "stop alveolar voice",
    "K": "stop velar", "G": "stop velar voice", "CH": "affricate sibilant palatal", "F": "fricative labial",
    "JH": "affricate sibilant palatal voice", "V": "fricative labial voice", "TH": "fricative dental",
    "DH": "fricative dental voice", "S": "fricative sibilant alveolar", "Z": "fricative sibilant alveolar voice",
    "SH": "fricative sibilant palatal", "ZH": "fricative sibilant palatal voice", "HH": "fricative glottal",
    "M": "nasal labial voice", "N": "nasal alveolar voice", "NG": "nasal velar voice", "L": "liquid alveolar voice",
    "R": "liquid palatal voice", "W": "glide labial velar voice", "Y": "glide palatal voice",
    "IY": "vowel high front tense", "IH": "vowel high front lax", "EY": "vowel mid front tense glide-front",
    "EH": "vowel mid front lax", "AE": "vowel low front lax", "AA": "vowel low back lax", "ER": "vowel mid central r",
    "AH": "vowel mid central lax", "AO": "vowel low-mid back round lax", "OW": "vowel mid back round tense glide-back",
    "UH": "vowel high back round lax", "UW": "vowel high back round tense",
    "OY": "vowel low-mid back round glide-front", "AY": "vowel low central glide-front",
    "AW": "vowel low central glide-back",
}  # fmt: skip


def base_phones(phones: SymbolTable, marked: bool) -> frozenset[str]:
    """Returns the names of a model's phones without marks of place; no disambiguation symbols."""
    names = (s for s in phones.symbols[1:] if not is_disambig(s))
    return frozenset(n[:-2] if marked and n[-2:] in POSITIONS else n for n in names)


def bare_names(phones: SymbolTable) -> dict[int, str]:
    """Returns phone_id → name without the mark of the place in a word (`AH` for `AH_B`), where phones are marked."""
    marked = is_marked(phones)
    return {i: n[:-2] if marked and n[-2:] in POSITIONS else n for i, n in zip(phones.ids, phones.symbols)}


def is_marked(phones: SymbolTable) -> bool:
    """Tells whether the phones of a table are marked for their place in a word."""
    return any(f"{s[:-2]}{mark}" in phones for s in phones.symbols if s.endswith("_B") for mark in ("_E", "_S"))


def fit_phones(pronunciation: Sequence[str], known: AbstractSet[str]) -> tuple[str, ...] | None:
    """Returns a pronunciation in the phones of a model; None where the model lacks one.

    Marks of place (`AH_B`) and stress (`AH0`) are taken off where the model has the phone without only.
    """
    if known >= set(pronunciation):
        return tuple(pronunciation)
    fitted = tuple(next((form for form in _forms(phone) if form in known), "") for phone in pronunciation)
    return fitted if all(fitted) else None


def _forms(phone: str) -> Iterable[str]:
    yield phone
    bare = phone[:-2] if phone[-2:] in POSITIONS else phone
    yield bare
    yield bare.rstrip("0123456789") or bare


def lacking_phones(entries: Iterable[tuple[str, Sequence[str]]], known: AbstractSet[str]) -> dict[str, list[str]]:
    """Returns each phone that a model lacks, and the words that need it."""
    lacking: dict[str, dict[str, None]] = {}
    for word, phones in entries:
        for phone in phones:
            if fit_phones([phone], known) is None:
                lacking.setdefault(phone, {})[word] = None
    return {phone: list(words) for phone, words in sorted(lacking.items())}


def nearest_phones(phone: str, known: Collection[str], count: int = 2) -> list[str]:
    """Returns the phones of a model that sound most like one that it lacks; by name where its sound is not known."""
    like = set(_LIKE.get(phone.rstrip("012"), "").split())
    if not like:
        return difflib.get_close_matches(phone, sorted(known), count, 0.4)
    scored = []
    for other in known:
        theirs = set(_LIKE.get(other.rstrip("012"), "").split())
        if theirs:
            scored.append((-len(like & theirs) / len(like | theirs), other))
    return [other for _, other in sorted(scored)[:count]]


def absent_phones(place: object, lacking: Mapping[str, Sequence[str]], known: Collection[str]) -> InputError:
    """Returns the error that names all phones that a model lacks, the words concerned, and the nearest phones."""
    told = []
    for phone, words in lacking.items():
        shown = ", ".join(map(quote, words[:5])) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
        nearest = " or ".join(map(quote, nearest_phones(phone, known)))
        told.append(f"{quote(phone)} ({shown}{f'; nearest: {nearest}' if nearest else ''})")
    count = len(lacking)
    found = f"lacks {count} {'phone' if count == 1 else 'phones'} of the dictionary: {'; '.join(told)}"
    return InputError.at(place, found, "Write these words with the model's phones; it knows no others.")
