"""A G2P model as a guesser of pronunciations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from lexicon.vocabulary import Guesser

__all__ = ["LEAST_SHARE", "VARIANTS", "g2p_guesser"]

VARIANTS = 3  # guesses of a word that alignment, or a search, may choose from
LEAST_SHARE = 0.3  # of the best guess's probability, which the others need


def g2p_guesser(path: str | os.PathLike) -> Guesser:
    """Loads a G2P model as a guesser of up to VARIANTS pronunciations a word.

    Raises:
      InputError: the file is no such model.
    """
    from lm.g2p.lexicons import guess_lexicon
    from lm.g2p.model import G2pModel

    model = G2pModel.load(path)

    def guess(words: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
        """Pronunciations of words, the likeliest first."""
        found: dict[str, list[Sequence[str]]] = {}
        rows, _ = guess_lexicon(model, words, VARIANTS, LEAST_SHARE)
        for word, pronunciation, _ in rows:
            found.setdefault(word, []).append(pronunciation.phones)
        return found

    return guess
