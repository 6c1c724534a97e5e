"""Graphemic lexicon: a word is pronounced as it is spelt, for languages without a dictionary.

Works well where spelling follows sound; a tree over letters in context learns much of the rest
(Kanthak and Ney, 2002).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import check_fields
from lexicon.cmudict import CmudictConfig
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.phones import PhoneSet
from lexicon.symbols import RESERVED_WORDS

__all__ = ["GraphemeConfig", "grapheme_dictionary", "graphemes"]


@dataclass(frozen=True)
class GraphemeConfig:
    """How a word is cut into graphemes."""

    marks: str = field(
        default="joined",
        metadata={"help": "Combining marks: 'joined' to their letter, 'apart' as units, or 'dropped'."},
    )
    keep: str = field(
        default="", metadata={"help": "Signs that are sounds in this language, e.g. an apostrophe; others are dropped."}
    )
    fold_case: bool = field(default=True, metadata={"help": "Let upper and lower case be one unit."})
    oov: str = field(default="<UNK>", metadata={"help": "Word that stands for unknown words; it is pronounced SPN."})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.marks not in ("joined", "apart", "dropped"):
            raise ValueError(f"marks is '{quote(self.marks)}'; wanted joined, apart or dropped")
        CmudictConfig(oov=self.oov)


def graphemes(word: str, config: GraphemeConfig) -> tuple[str, ...]:
    """Cuts a word into units: letters and digits, with their combining marks as the config says.

    The word is first put into canonical composition (NFC), so that `é` is one letter however it was typed.

    Returns:
      The units, none for a word of punctuation only.
    """
    text = unicodedata.normalize("NFC", word.casefold() if config.fold_case else word)
    if config.marks == "dropped":
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c)[0] != "M")
        text = unicodedata.normalize("NFC", text)
    units: list[str] = []
    for char in text:
        kind = unicodedata.category(char)
        if kind[0] == "M" or char in "\u200c\u200d":  # marks and joiners belong to the letter before
            if config.marks == "joined" and units and kind[0] == "M":
                units[-1] += char
            elif config.marks == "apart" and kind[0] == "M":
                units.append(char)
        elif kind[0] in "LN" or char in config.keep:
            units.append(char)
    return tuple(units)


def grapheme_dictionary(
    words: Iterable[str], config: GraphemeConfig | None = None
) -> tuple[PhoneSet, Lexicon, list[str]]:
    """Builds phone set and lexicon of a vocabulary, a grapheme being a phone.

    Returns:
      The phones (SIL and SPN are the silence phones), the lexicon sorted by word, and the words that have
      no letter.

    Raises:
      InputError: no word has a letter, or a unit cannot be the name of a phone.
    """
    config = config or GraphemeConfig()
    special = [Pronunciation(config.oov, ("SPN",)), Pronunciation("!SIL", ("SIL",))]
    names = RESERVED_WORDS | {e.word for e in special}
    rows, missing = [], []
    for word in sorted(set(words) - names):
        units = graphemes(word, config)
        if units:
            rows.append(Pronunciation(word, units))
        else:
            missing.append(word)
    if not rows:
        raise InputError.at("vocabulary", "no word has a letter", "Hand over a list of words, one a line.")
    speech = sorted({p for row in rows for p in row.phones})
    try:
        return PhoneSet.from_phones(("SIL", "SPN"), speech), Lexicon((*special, *rows)), missing
    except ValueError as error:
        raise InputError.at("vocabulary", str(error), "Drop the sign from --keep, or fold the case.") from error
