"""A microphone that is muted between, before and within sentences changes no word: files and sessions, real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.data.audio import read_audio
from hybrid.recogniser import Recogniser
from tests.tiny_recogniser import must

pytestmark = [pytest.mark.real, pytest.mark.slow]
SAID = "GO FORWARD TEN METERS"


def test_silence_of_a_converter_changes_no_word(corpora: Path, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("go forward ten meters\nturn left\nstop now\n")
    must("graph", "build", "--model", "en-small", "--sentences", tmp_path / "s.txt", "--out-dir", tmp_path / "graph")
    recogniser = Recogniser.load("en-small", tmp_path / "graph")
    speech, rate = read_audio(corpora / "smoke_english" / "audio" / "ps_misc" / "goforward.wav")
    pause = int(1.2 * rate)  # between FORWARD and TEN

    def muted(seconds: float) -> np.ndarray:
        return np.zeros(int(seconds * rate), np.float32)

    for parts, times in (
        ([speech, muted(10), speech], 2),
        ([muted(8), speech, muted(3), speech, muted(20)], 2),
        ([speech[:pause], muted(1), speech[pause:], muted(1), speech], 2),
    ):
        samples = np.concatenate(parts)
        assert recogniser.recognise(samples, rate).text.split() == times * SAID.split()
        session, heard = recogniser.session(rate=rate), []
        for begin in range(0, len(samples), rate // 10):
            heard += session.advance(samples[begin : begin + rate // 10])
        heard += session.finish()
        assert " ".join(one.text for one in heard).split() == times * SAID.split()
