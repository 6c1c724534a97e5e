"""Pronunciations of words that the lang folder lacks: from a list, and from a G2P model for the rest."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence

from hybrid.align.speech_source import read_pronunciations
from hybrid.align.vocabulary import Guesser
from hybrid.base.errors import InputError

__all__ = ["make_guesser"]


def make_guesser(
    pronunciations: str | os.PathLike | None = None, g2p: str | os.PathLike | None = None
) -> Guesser | None:
    """Returns what supplies pronunciations; None where neither is given.

    Args:
      pronunciations: file of `word phone …` lines; it comes first.
      g2p: G2P model.

    Raises:
      InputError: a file that cannot be used.
    """
    if pronunciations is None and g2p is None:
        return None
    table = {} if pronunciations is None else read_pronunciations(pronunciations)
    model = None if g2p is None else _load(g2p)

    def guess(words: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
        found: dict[str, Sequence[Sequence[str]]] = {w: table[w] for w in words if w in table}
        rest = [w for w in words if w not in found]
        if model is not None and rest:
            found.update(model(rest))
        return found

    return guess


def _load(path: str | os.PathLike) -> Guesser:
    try:
        load = importlib.import_module("lm.g2p").load_guesser
    except (ImportError, AttributeError) as error:
        raise InputError.at(path, "this version has no G2P", "Give --pronunciations FILE.") from error
    return load(path)
