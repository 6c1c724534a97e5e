"""Settings of `prepare_lang`; apart from it so that a command line can show them at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.errors import quote
from hybrid.base.ranges import Range, check_fields
from lexicon.symbols import is_disambig

__all__ = ["LangConfig"]


@dataclass(frozen=True)
class LangConfig:
    """How a dictionary becomes a lang folder."""

    position_dependent_phones: bool = field(
        default=True,
        metadata={"help": "Mark phones as begin, end, internal or singleton of a word; finds word ends in lattices."},
    )
    share_silence_phones: bool = field(
        default=False, metadata={"help": "Let all silence phones use the same pdfs; for corpora with little noise."}
    )
    silence_prob: float = field(
        default=0.5, metadata={"help": "Probability of silence between words; 0 leaves optional silence out."}
    )
    extra_phone_disambig: int = field(
        default=1, metadata={"help": "Disambiguation symbols beyond those of words; the last one marks silence."}
    )
    extra_word_disambig: tuple[str, ...] = field(
        default=(), metadata={"help": "Further symbols of G (such as #x) that L lets pass; may be repeated."}
    )

    def __post_init__(self) -> None:
        check_fields(self, extra_phone_disambig=Range(1, 10_000))
        if not 0 <= self.silence_prob < 1:
            raise ValueError(f"silence_prob is {self.silence_prob}; wanted at least 0 and below 1")
        if self.extra_phone_disambig < 1:
            raise ValueError(f"extra_phone_disambig is {self.extra_phone_disambig}; wanted at least 1")
        for symbol in self.extra_word_disambig:
            if not is_disambig(symbol) or symbol[1:].isdecimal() or len(symbol.split()) != 1:
                raise ValueError(f"extra_word_disambig has '{quote(symbol)}'; wanted '#' and a name that is no number")
        if len(set(self.extra_word_disambig)) != len(self.extra_word_disambig):
            raise ValueError("extra_word_disambig has a symbol twice")
