"""Pronunciations of words that the lang folder lacks: from the user's list, and from a G2P model for the rest."""

from __future__ import annotations

import os
from pathlib import Path

from hybrid.base.errors import quote
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Pronunciation
from lexicon.text import Problem
from lexicon.vocabulary import Pronouncer
from lexicon.words.normaliser import Normaliser
from lexicon.words.phone_fit import base_phones, fit_phones, nearest_phones
from lexicon.words.user_lexicon import read_user_lexicon, tell_rejected
from lm.g2p.guesser import LEAST_SHARE, VARIANTS, g2p_guesser

__all__ = ["LEAST_SHARE", "VARIANTS", "g2p_guesser", "make_pronouncer"]


def make_pronouncer(
    pronunciations: str | os.PathLike | None = None,
    g2p: str | os.PathLike | None = None,
    lang: LangDir | None = None,
) -> Pronouncer | None:
    """Returns what supplies pronunciations; None where neither is given.

    Args:
      pronunciations: a list (`lexicon.words.user_lexicon`); it comes first. Its words count in their own
        spelling and in the one that texts are brought to. Lines that cannot be used are named in the log.
      g2p: model of `hybrid lm g2p-train`.
      lang: tells the phones of the model and the spelling of texts.

    Raises:
      InputError: a file that cannot be used.
    """
    if pronunciations is None and g2p is None:
        return None
    table: dict[str, list[tuple[str, ...]]] = {}
    if pronunciations is not None:
        for entry in _usable(pronunciations, lang):
            table.setdefault(entry.word, []).append(entry.phones)
        normaliser = Normaliser(lang.text_config, lang.spelling) if lang is not None else Normaliser()
        for word in list(table):
            table.setdefault("".join(normaliser.words(word)[:1]), table[word])
    return Pronouncer(table, None if g2p is None else g2p_guesser(g2p))


def _usable(path: str | os.PathLike, lang: LangDir | None) -> list[Pronunciation]:
    """Reads a list and leaves out, and names, lines whose phones the model lacks."""
    listed, rejected = read_user_lexicon(path)
    known = None if lang is None else base_phones(lang.phones, lang.word_boundary is not None)
    usable = []
    for row in listed:
        lacking = [] if known is None else [p for p in row.entry.phones if fit_phones([p], known) is None]
        if not lacking:
            usable.append(row.entry)
            continue
        found = f"word '{quote(row.entry.word)}' uses phone '{quote(lacking[0])}', which the model lacks"
        nearest = " or ".join(nearest_phones(lacking[0], known or ()))
        cure = f"The nearest of its phones: {nearest}." if nearest else "Use the model's phones."
        rejected.append(Problem(Path(path), row.line, found, "", cure))
    tell_rejected(sorted(rejected, key=lambda problem: problem.line or 0))
    return usable
