"""Lexicons as the G2P learns from them and writes them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from hybrid.base.artifact import atomic_path
from hybrid.base.failures import write_failed
from lexicon.cmudict import read_cmudict
from lexicon.lexicon import VARIANT, Lexicon, Pronunciation
from lm.g2p.model import G2pModel
from lm.g2p.pronounce import Guess

__all__ = ["guess_lexicon", "read_pronunciations", "write_guesses"]


def read_pronunciations(path: str | os.PathLike, cmudict: bool = False) -> dict[str, list[tuple[str, ...]]]:
    """Reads a lexicon to learn from; words in angle brackets or with ! in front are no words and left out.

    Args:
      path: CMUdict, a lexicon in one of Kaldi's forms, or a dictionary folder with one.

    Raises:
      InputError: not readable, or a line that is wrong.
    """
    if cmudict:
        return {word: list(some) for word, some in read_cmudict(path).items()}
    file = Path(path)
    if file.is_dir():
        file = file / "lexiconp.txt" if (file / "lexiconp.txt").exists() else file / "lexicon.txt"
    found: dict[str, list[tuple[str, ...]]] = {}
    for entry in Lexicon.read(file).entries:
        word = VARIANT.sub("", entry.word)
        if not word.startswith(("<", "!", "[")):
            found.setdefault(word, []).append(entry.phones)
    return {word: list(dict.fromkeys(some)) for word, some in found.items()}


def guess_lexicon(
    model: G2pModel, words: Iterable[str], count: int, least_share: float
) -> tuple[list[tuple[str, Guess, float]], list[str]]:
    """Guesses the pronunciations of words.

    Args:
      count: most pronunciations of a word. least_share: further ones need this share of the best one's probability.

    Returns:
      (word, guess, share of the best) of each pronunciation, and the words that cannot be pronounced.
    """
    rows: list[tuple[str, Guess, float]] = []
    failed = []
    for word in dict.fromkeys(words):
        guesses = model.guess(word, count)
        if not guesses:
            failed.append(word)
        shares = [math.exp(g.score - guesses[0].score) for g in guesses]
        rows += [
            (word, g, share) for i, (g, share) in enumerate(zip(guesses, shares)) if i == 0 or share >= least_share
        ]
    return rows, failed


def write_guesses(path: str | os.PathLike, rows: list[tuple[str, Guess, float]], failed: list[str]) -> None:
    """Writes a lexicon, and beside it PATH.guessed.tsv (scores) and PATH.failed.txt (words without a guess)."""
    if rows:
        Lexicon(tuple(Pronunciation(w, g.phones, max(min(share, 1.0), 1e-6)) for w, g, share in rows)).write(path)
    with atomic_path(f"{os.fspath(path)}.guessed.tsv") as temporary:
        lines = [f"{w}\t{' '.join(g.phones)}\t{g.score:.4f}\t{share:.4f}\n" for w, g, share in rows]
        temporary.write_text("word\tphones\tlog_prob\tshare\n" + "".join(lines), encoding="utf-8")
    write_failed(f"{os.fspath(path)}.failed.txt", ((word, "has a letter that the G2P model lacks") for word in failed))
