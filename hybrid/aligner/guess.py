"""Pronunciations of words that the lang folder lacks: from the user's list, and from a G2P model for the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hybrid.aligner.speech_source import read_pronunciations
from hybrid.data.own import normalise_text
from lexicon.vocabulary import Guesser, Pronouncer

__all__ = ["LEAST_SHARE", "VARIANTS", "g2p_guesser", "make_pronouncer"]

VARIANTS = 3  # guesses of a word that alignment may choose from
LEAST_SHARE = 0.3  # of the best guess's probability, which the others need


def make_pronouncer(
    pronunciations: str | os.PathLike | None = None, g2p: str | os.PathLike | None = None
) -> Pronouncer | None:
    """Returns what supplies pronunciations; None where neither is given.

    Args:
      pronunciations: file of `word phone …` lines; it comes first. Its words count in their own spelling and in the
        one that texts are brought to.
      g2p: model of `hybrid lm g2p-train`.

    Raises:
      InputError: a file that cannot be used.
    """
    if pronunciations is None and g2p is None:
        return None
    table = {} if pronunciations is None else read_pronunciations(pronunciations)
    for word in list(table):
        table.setdefault(normalise_text(word), table[word])
    return Pronouncer(table, None if g2p is None else g2p_guesser(g2p))


def g2p_guesser(path: str | os.PathLike) -> Guesser:
    """Loads a G2P model as a guesser of up to VARIANTS pronunciations a word.

    Raises:
      InputError: the file is no such model.
    """
    from lm.g2p.lexicons import guess_lexicon
    from lm.g2p.model import G2pModel

    model = G2pModel.load(path)

    def guess(words: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
        found: dict[str, list[Sequence[str]]] = {}
        rows, _ = guess_lexicon(model, words, VARIANTS, LEAST_SHARE)
        for word, pronunciation, _ in rows:
            found.setdefault(word, []).append(pronunciation.phones)
        return found

    return guess
