"""The table of phonemes: every one that English voices say, and nothing else."""

from __future__ import annotations

import pytest

from hybrid.base.errors import InputError
from hybrid.synth.arpabet import ARPABET, starts_of, to_arpabet

CMU = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
    + ["B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W"]
    + ["Y", "Z", "ZH"]
)


def test_all_phones_are_cmudicts():
    assert {p for phones in ARPABET.values() for p in phones.split()} == CMU


def test_by_hand():
    assert to_arpabet("'aI") == ("AY",) and to_arpabet("A@") == ("AA", "R") and to_arpabet(";") == ()
    assert to_arpabet("_:") is None
    rows = [("k", 0.1, 0.2), ("'A@", 0.2, 0.4), ("_:", 0.4, 0.5)]
    assert starts_of(rows) == [("K", 0.1), ("AA", 0.2), ("R", None)]
    with pytest.raises(InputError, match="phoneme: 'y' is none of espeak-ng's English ones. Use an English voice."):
        to_arpabet("y")


def test_english_voices_say_nothing_else():
    pytest.importorskip("espeakng_loader", reason="the package espeakng-loader is not installed")
    from hybrid.synth.espeak import Voice, english_bases, speak

    text = (
        "the quick brown fox measures a thin hour of pure joy near there, bird; tower fire church judge sing you about"
    )
    for base in english_bases():
        phones = [to_arpabet(phone.symbol) for phone in speak(text, Voice(base)).phones]
        assert sum(phone is not None for phone in phones) > 50, base
