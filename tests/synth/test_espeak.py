"""espeak-ng through ctypes: the same samples every time, phonemes that tile the audio, errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the package espeakng-loader is not installed")

from hybrid.base.errors import HybridError, InputError, MissingDependencyError
from hybrid.synth import espeak
from hybrid.synth.espeak import Voice, english_bases, speak, variants

TEXT = "set a timer for ten minutes"


def test_about_a_hundred_voices() -> None:
    assert len(variants()) >= 100
    assert {"en", "en-us", "en-gb-scotland", "en-gb-x-rp"} <= set(english_bases())


def test_phonemes_tile_the_audio_and_words_stand_in_them() -> None:
    speech = speak(TEXT, Voice("en-us", "f3"))
    seconds = len(speech.samples) / speech.rate
    assert 1.0 < seconds < 3.0
    assert all(a.end == b.start for a, b in zip(speech.phones, speech.phones[1:]))
    assert speech.phones[0].start < 0.05
    assert speech.phones[-1].end == pytest.approx(seconds)
    assert [w.symbol for w in speech.words] == TEXT.split()
    assert all(a.end <= b.start for a, b in zip(speech.words, speech.words[1:]))
    sounds = [p.symbol.strip("'") for p in speech.phones]
    assert sounds[:3] == ["s", "E", "t"]
    assert sounds[-1].startswith("_")


@pytest.mark.parametrize("voice", [Voice("en-us", "f3"), Voice("en", "klatt2"), Voice("en-gb-scotland", "whisper")])
def test_what_was_said_before_changes_nothing(voice: Voice) -> None:
    first = speak(TEXT, voice)
    speak("something else", Voice("en-us", "m1", 120))
    again = speak(TEXT, voice)
    assert np.array_equal(first.samples, again.samples)
    assert first.phones == again.phones


def test_rate_and_pitch_matter() -> None:
    slow, fast = (speak(TEXT, Voice(rate=rate)) for rate in (120, 240))
    assert len(slow.samples) > 1.5 * len(fast.samples)
    low, high = (speak(TEXT, Voice(pitch=pitch)) for pitch in (20, 80))
    assert not np.array_equal(low.samples[:4000], high.samples[:4000])


@pytest.mark.parametrize("voice", [Voice("xx"), Voice("en-us", "nobody")])
def test_unknown_voice(voice: Voice) -> None:
    with pytest.raises(InputError, match=r"voice: espeak-ng has no '[+\w-]+'. `hybrid synth voices` lists them."):
        speak(TEXT, voice)


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_nothing_to_say(text: str) -> None:
    with pytest.raises(InputError, match="text to speak: is empty"):
        speak(text, Voice())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"rate": 10}, "rate is 10, wanted 80 to 450"),
        ({"pitch": 101}, "pitch is 101, wanted 0 to 100"),
        ({"base": ""}, "voice has no base"),
        ({"base": ["en-us"]}, "base is .*, wanted a text"),
    ],
)
def test_bad_voice(bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Voice(**bad)


def test_a_child_that_dies_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import time

    monkeypatch.setattr(espeak, "_speak_here", lambda *_: os._exit(3))
    with pytest.raises(HybridError, match="espeak-ng crashed while it spoke 'set a timer"):
        speak(TEXT, Voice())
    monkeypatch.setattr(espeak, "_speak_here", lambda *_: time.sleep(30))
    monkeypatch.setattr(espeak, "TIME_LIMIT", 0.2)
    with pytest.raises(HybridError, match="took more than 0.2 s"):
        speak(TEXT, Voice())


def test_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    espeak._library.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDependencyError, match="Speech synthesis needs the package espeakng_loader"):
        speak(TEXT, Voice())
