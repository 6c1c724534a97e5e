"""A G2P model as a guesser of pronunciations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hybrid.base.compiled import interpreted
from lexicon.vocabulary import Guesser

__all__ = ["LEAST_SHARE", "VARIANTS", "g2p_guesser"]

VARIANTS = 3  # guesses of a word that alignment, or a search, may choose from
LEAST_SHARE = 0.3  # of the best guess's probability, which the others need
MOST_KNOWN = 200_000  # words whose guesses are remembered
LITTLE = 50  # words: to compile the search takes longer than to guess so many by plain Python


def g2p_guesser(path: str | os.PathLike) -> Guesser:
    """Loads a G2P model as a guesser of up to VARIANTS pronunciations a word; each word is guessed once.

    Raises:
      InputError: the file is no such model.
    """
    from lm.g2p.lexicons import guess_lexicon
    from lm.g2p.model import G2pModel

    model = G2pModel.load(path)
    known: dict[str, tuple[tuple[str, ...], ...]] = {}  # none of a word that cannot be guessed

    def guess(words: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
        """Pronunciations of words, the likeliest first."""
        found = {word: known[word] for word in words if word in known}
        new: dict[str, tuple[tuple[str, ...], ...]] = {word: () for word in words if word not in found}
        with interpreted(len(new) <= LITTLE and not model.table.compiled):
            rows, _ = guess_lexicon(model, new, VARIANTS, LEAST_SHARE)
        for word, pronunciation, _ in rows:
            new[word] += (pronunciation.phones,)
        if len(known) + len(new) > MOST_KNOWN:
            known.clear()
        known.update(new)
        return {word: some for word, some in (found | new).items() if some}

    return guess
