"""Graphones: units of some letters with the phones that they stand for, and their spelling as words of an LM.

`PH}F` pairs P H with F, `X}K|S` one letter with two phones, `E}` a silent letter. Whatever of a
letter or phone means something else there, or to an ARPA file, is written as %XX.
"""

from __future__ import annotations

from typing import NamedTuple

from hybrid.base.errors import quote

__all__ = ["Graphone"]

_ESCAPED = {c: f"%{ord(c):02X}" for c in "%}|<>#\\"}


def _escape(symbol: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in symbol)


def _unescape(symbol: str) -> str:
    for character, code in _ESCAPED.items():
        if character != "%":
            symbol = symbol.replace(code, character)
    return symbol.replace("%25", "%")


class Graphone(NamedTuple):
    """Attributes:
    letters: one or more. phones: none or more.
    """

    letters: tuple[str, ...]
    phones: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(map(_escape, self.letters)) + "}" + "|".join(map(_escape, self.phones))

    @classmethod
    def parse(cls, text: str) -> "Graphone":
        """Reads what `str` wrote.

        Raises:
          ValueError: the text is no graphone.
        """
        letters, brace, phones = text.partition("}")
        parts = tuple(_unescape(p) for p in letters.split("|"))
        if not brace or "}" in phones or not all(len(p) == 1 for p in parts):
            raise ValueError(f"'{quote(text)}' is no graphone (LETTER|LETTER}}PHONE|PHONE)")
        return cls(parts, tuple(_unescape(p) for p in phones.split("|")) if phones else ())
