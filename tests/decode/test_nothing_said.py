"""Recordings in which nothing is said: an empty transcript, no lattice, no failure; padding changes no word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_recogniser import RATE, make_audio, must, write_wav


@pytest.mark.parametrize("form", ["json", "textgrid", "srt"])
def test_silence_and_noise_have_empty_transcripts(tiny, tmp_path: Path, form: str) -> None:
    random, t = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    sounds = {
        "a_zeros": np.zeros(3 * RATE), "b_tone": 0.1 * np.sin(2 * np.pi * 440 * t), "d_long": np.zeros(40 * RATE),
        "c_noise": 0.01 * random.standard_normal(3 * RATE), "e_speech": make_audio(["LOW", "HIGH", "MID"], 77),
    }  # fmt: skip
    files = []
    for name, samples in sounds.items():
        files.append(tmp_path / f"{name}.wav")
        write_wav(files[-1], samples.astype(np.float32))
    out = tmp_path / "out"
    must("decode", "--model", tiny.model, "--graph", tiny.graph, "--out-dir", out, "--format", form, *files)
    assert (out / "transcript.txt").read_text().splitlines() == [
        "a_zeros", "b_tone", "c_noise", "d_long", "e_speech LOW HIGH MID"
    ]  # fmt: skip
    rows = [line.split("\t") for line in (out / "utterances.tsv").read_text().splitlines()]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[3] for row in rows[1:]] == ["silence"] * 4 + ["complete"]
    assert (out / "failed.txt").read_text() == ""
    assert len(list((out / "recordings").iterdir())) == 5


def test_only_silence_is_no_failure(tiny, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(2 * RATE, np.float32))
    out = tmp_path / "out"
    must("decode", "--model", tiny.model, "--graph", tiny.graph, "--out-dir", out, tmp_path / "a.wav")
    assert (out / "transcript.txt").read_text() == "a\n" and (out / "words.ctm").read_text().count("\n") <= 1
