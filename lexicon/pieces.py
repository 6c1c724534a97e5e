"""SentencePiece lexicon: a word is pronounced as the pieces a subword model cuts it into.

The pieces are the units that models are made of (the lexicon's "phones"); words stay words, so that
n-gram, graph and scoring are those of any other lexicon. The mark `▁` tells pieces that begin a word.
(Kudo and Richardson, 2018.)
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.ranges import Range, check_fields
from hybrid.base.reading import read_bytes
from lexicon.cmudict import CmudictConfig
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.phones import PhoneSet
from lexicon.symbols import RESERVED_WORDS

__all__ = ["PieceConfig", "load_pieces", "piece_dictionary", "train_pieces"]

_MARK = "\u2581"


@dataclass(frozen=True)
class PieceConfig:
    """How a subword model is trained and used."""

    vocab_size: int = field(default=500, metadata={"help": "Pieces to learn; fewer if the text has not as many."})
    model_type: str = field(default="unigram", metadata={"help": "'unigram' or 'bpe'."})
    alternatives: int = field(
        default=1, metadata={"help": "Segmentations per word, the likeliest first, as weighted pronunciations."}
    )
    oov: str = field(default="<UNK>", metadata={"help": "Word that stands for unknown words; it is pronounced SPN."})

    def __post_init__(self) -> None:
        check_fields(self, vocab_size=Range(2, 1_000_000), alternatives=Range(1, 1000))
        if self.vocab_size < 2 or self.alternatives < 1:
            raise ValueError("wanted vocab_size of at least 2 and at least 1 alternative")
        if self.model_type not in ("unigram", "bpe"):
            raise ValueError(f"model_type is '{quote(self.model_type)}'; wanted unigram or bpe")
        if self.model_type == "bpe" and self.alternatives > 1:
            raise ValueError("a bpe model has one segmentation per word; wanted alternatives 1 or model_type unigram")
        CmudictConfig(oov=self.oov)


def train_pieces(sentences: Iterable[str], path: str | os.PathLike, config: PieceConfig | None = None) -> None:
    """Trains a subword model on sentences of words and writes it.

    The text is taken as it is (no normalisation of letters), every letter is covered, and one thread is
    used, so that the same text gives the same model.

    Raises:
      InputError: SentencePiece cannot train on this text.
    """
    import sentencepiece

    config = config or PieceConfig()
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            vocab_size=config.vocab_size,
            model_type=config.model_type,
            character_coverage=1.0,
            normalization_rule_name="identity",
            hard_vocab_limit=False,
            num_threads=1,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[-200:]
        raise InputError.at("SentencePiece", f"cannot train on this text ({reason})", "Give more text.") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.getvalue())


def load_pieces(path: str | os.PathLike) -> Any:
    """Loads a SentencePiece model.

    Raises:
      InputError: it is missing or is no SentencePiece model.
      MismatchError: it is not the one that its record tells of.
    """
    import sentencepiece

    check(path)
    data = read_bytes(path)
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        if not data or processor.get_piece_size() < 2:
            raise RuntimeError("no pieces")
        for number in range(processor.get_piece_size()):
            processor.id_to_piece(number)  # each is text
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InputError.at(path, "is no SentencePiece model", "Train one with --train-text.") from error
    return processor


def piece_dictionary(
    words: Iterable[str], processor: Any, config: PieceConfig | None = None
) -> tuple[PhoneSet, Lexicon, list[str]]:
    """Builds phone set and lexicon of a vocabulary, a piece being a phone.

    Args:
      processor: from `load_pieces`.

    Returns:
      The phones (SIL and SPN are the silence phones; only pieces in use), the lexicon sorted by word, and
      the words with a letter that the model does not know.

    Raises:
      InputError: no word can be spelt with the pieces, or a piece cannot be the name of a phone.
    """
    config = config or PieceConfig()
    special = [Pronunciation(config.oov, ("SPN",)), Pronunciation("!SIL", ("SIL",))]
    names = RESERVED_WORDS | {e.word for e in special}
    unknown = processor.id_to_piece(processor.unk_id())
    rows: list[Pronunciation] = []
    missing: list[str] = []
    for word in sorted(set(words) - names):
        variants = _segmentations(word, processor, config.alternatives, unknown)
        rows.extend(Pronunciation(word, pieces, probability) for pieces, probability in variants)
        if not variants:
            missing.append(word)
    if not rows:
        raise InputError.at("vocabulary", "no word can be spelt with the pieces", "Train the model on its words.")
    speech = sorted({p for row in rows for p in row.phones})
    try:
        return PhoneSet.from_phones(("SIL", "SPN"), speech), Lexicon((*special, *rows)), missing
    except ValueError as error:
        raise InputError.at("pieces", str(error), "Remove such words from the training text.") from error


def _segmentations(word: str, processor: Any, count: int, unknown: str) -> list[tuple[tuple[str, ...], float]]:
    """Returns (pieces, probability relative to the likeliest) of a word; none if a letter is unknown."""
    import math

    ids = processor.encode(word)
    if not ids or processor.unk_id() in ids:
        return []
    if count == 1:
        return [(_without_bare_mark(processor.encode(word, out_type=str)), 1.0)]
    scored: dict[tuple[str, ...], float] = {}
    for variant in processor.nbest_encode(word, nbest_size=count, out_type=str):
        if unknown not in variant:
            score = sum(processor.get_score(processor.piece_to_id(p)) for p in variant)
            scored.setdefault(_without_bare_mark(variant), score)
    best = max(scored.values())
    floor = 1e-6  # a probability of a lexicon must be above 0
    return [(pieces, max(floor, round(math.exp(score - best), 6))) for pieces, score in scored.items()]


def _without_bare_mark(pieces: Iterable[str]) -> tuple[str, ...]:
    """Joins a piece that is the mark alone, which has no sound, to the one after it."""
    pieces = list(pieces)
    if len(pieces) > 1 and pieces[0] == _MARK:
        return (_MARK + pieces[1], *pieces[2:])
    return tuple(pieces)
