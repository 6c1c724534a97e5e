"""espeak-ng's English phonemes as the phones of CMUdict, so that its times can judge an aligner."""

from __future__ import annotations

from collections.abc import Iterable

from hybrid.base.errors import InputError, quote

__all__ = ["ARPABET", "starts_of", "to_arpabet"]

# Mnemonics of espeak-ng's English voices → CMUdict phones without stress. A vowel with an R or an L of its own is one
# phoneme there and two phones here; `;` (a glide between vowels) and the glottal stop are none.
ARPABET: dict[str, str] = {
    # vowels
    "a": "AE", "aa": "AE", "a2": "AE", "aI": "AY", "aI2": "AY", "aU": "AW", "aI@": "AY ER", "aI3": "AY ER",
    "aU@": "AW ER", "A": "AA", "A:": "AA", "A@": "AA R", "A#": "AA", "0": "AA", "02": "AA", "O": "AO", "O:": "AO",
    "O2": "AO", "O@": "AO R", "o@": "AO R", "OI": "OY", "oI": "OY", "oU": "OW", "o": "OW", "E": "EH", "E2": "EH",
    "e": "EH", "e@": "EH R", "eI": "EY", "e:": "EY", "i": "IY", "i:": "IY", "i@": "IH R", "i@3": "IH R", "I": "IH",
    "I2": "IH", "I#": "IH", "IR": "IH R", "u": "UW", "u:": "UW", "U": "UH", "U@": "UH R", "V": "AH", "VR": "AH R",
    "@": "AH", "@2": "AH", "@5": "AH", "@-": "AH", "a#": "AH", "@L": "AH L", "@r": "AH R", "3": "ER", "3:": "ER",
    # consonants
    "b": "B", "d": "D", "D": "DH", "D[": "DH", "dZ": "JH", "f": "F", "g": "G", "h": "HH", "j": "Y", "k": "K", "l": "L",
    "L": "L", "m": "M", "n": "N", "N": "NG", "p": "P", "r": "R", "r-": "R", "s": "S", "S": "SH", "t": "T",
    "t2": "T", "t#": "T", "t[": "TH", "tS": "CH", "T": "TH", "v": "V", "w": "W", "w#": "W", "x": "K", "z": "Z",
    "Z": "ZH",
    # neither
    ";": "", "?": "", "l^": "L", "*": "T",
}  # fmt: skip
STRESS = "',%=|"


def to_arpabet(symbol: str) -> tuple[str, ...] | None:
    """Returns the phones of a phoneme: none, one or two; None for a pause.

    Raises:
      InputError: a phoneme of no English voice.
    """
    plain = symbol.strip(STRESS)
    if symbol.startswith("_") or not plain:
        return None
    if plain not in ARPABET:
        raise InputError.at(
            "phoneme", f"'{quote(symbol)}' is none of espeak-ng's English ones", "Use an English voice."
        )
    return tuple(ARPABET[plain].split())


def starts_of(phonemes: Iterable[tuple[str, float, float]]) -> list[tuple[str, float | None]]:
    """Returns phones with their starts, without pauses.

    Args:
      phonemes: (symbol, start, end), in order, as `phones.jsonl.gz` has them.

    Returns:
      (phone, seconds); None for the second half of a phoneme that counts as two, whose start nobody knows.
    """
    found: list[tuple[str, float | None]] = []
    for symbol, start, _ in phonemes:
        for number, phone in enumerate(to_arpabet(symbol) or ()):
            found.append((phone, None if number else start))
    return found
