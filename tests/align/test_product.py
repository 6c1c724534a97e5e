"""`hybrid align audio` on made-up speech: times, formats, explanations, bad input."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pytest

from hybrid.align.config import AlignmentError
from hybrid.align.speech import TextAligner
from hybrid.align.textgrid import read_textgrid

WORDS = "ALFA BRAVO CHARLIE DELTA ECHO BRAVO ALFA"


def ctm(path):
    return [line.split() for line in path.read_text().splitlines()]


def failed(out) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in (out / "failed.txt").read_text().splitlines())


def test_words_are_found_where_they_are_said(toy, tmp_path):
    starts = toy.save(tmp_path / "in" / "a.wav", WORDS, 7)
    formats = [x for name in ("ctm", "textgrid", "json", "srt", "vtt", "lhotse") for x in ("--format", name)]
    result = toy.align(tmp_path / "out", *formats, tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    rows = ctm(tmp_path / "out" / "words.ctm")
    assert [row[4] for row in rows] == WORDS.split()
    assert np.abs(np.array([float(row[2]) for row in rows]) - starts).max() < 0.05
    assert all(float(row[5]) > 0.9 for row in rows)
    grid = read_textgrid(tmp_path / "out" / "a.TextGrid")
    assert [i.label for i in grid.tiers[0].intervals if i.label] == WORDS.split()
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["utterances"][0]["text"] == WORDS
    assert (tmp_path / "out" / "a.srt").read_text().startswith("1\n00:00:00,")
    with gzip.open(tmp_path / "out" / "supervisions.jsonl.gz", "rt") as stream:
        line = stream.readline()
    from lhotse import SupervisionSegment

    supervision = SupervisionSegment.from_dict(json.loads(line))
    assert [item.symbol for item in supervision.alignment["word"]] == WORDS.split()


def test_any_number_of_jobs_gives_the_same_bytes(toy, tmp_path):
    for i in range(3):
        toy.save(tmp_path / "in" / f"s{i}" / f"u{i}.wav", WORDS, 20 + i)
    for jobs in (1, 2):
        result = toy.align(tmp_path / f"out{jobs}", "--jobs", jobs, tmp_path / "in")
        assert result.exit_code == 0, (result.output, result.exception)
    for name in ("words.ctm", "phones.ctm", "s0-u0.TextGrid", "failed.txt"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_failures_are_explained(toy, tmp_path):
    said = "ALFA BRAVO CHARLIE DELTA ECHO ALFA DELTA BRAVO"
    texts: dict[str, str] = {
        "good": said,
        "other": "ECHO ECHO BRAVO BRAVO ALFA ECHO CHARLIE CHARLIE",
        "start": "ECHO DELTA ECHO CHARLIE " + said,
        "end": said + " CHARLIE ECHO CHARLIE ECHO",
        "empty": "",
        "foreign": "ÜBER ALLEN GIPFELN IST RUH",
    }
    for i, (name, text) in enumerate(texts.items()):
        toy.save(tmp_path / "in" / name / f"{name}.wav", said, 40 + i, text)
    result = toy.align(tmp_path / "out", "--max-failed", 1, tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    reasons = {name.split("-")[0]: reason for name, reason in failed(tmp_path / "out").items()}
    assert set(reasons) == set(texts) - {"good"}
    assert reasons["other"].startswith("text is not what is said: ") and "heard '" in reasons["other"]
    assert reasons["start"] == (
        "audio lacks the beginning of the text: 4 of 12 words were not heard: 'ECHO DELTA ECHO CHARLIE'"
    )
    assert reasons["end"].startswith("audio lacks the end of the text: 4 of 12 words were not heard")
    assert "has an empty text. Write what is said" in reasons["empty"]
    assert "5 of 5 words have no pronunciation" in reasons["foreign"] and "--g2p" in reasons["foreign"]


def test_a_narrow_beam_is_told_and_widened(toy, tmp_path, monkeypatch):
    align = TextAligner.align

    def lose(self, words, scores, offset=0.0, duration=None, config=None):
        if config is None:
            raise AlignmentError("no final state reached")
        return align(self, words, scores, offset, duration, config)

    monkeypatch.setattr(TextAligner, "align", lose)
    toy.save(tmp_path / "in" / "a.wav", WORDS, 50)
    result = toy.align(tmp_path / "out", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    note = (tmp_path / "out" / "notes.txt").read_text()
    assert note == "a beam too narrow: 7 of 7 words of the text were heard; aligned with beam 400\n"


def test_a_wrong_rate_is_told(toy, tmp_path):
    toy.save(tmp_path / "in" / "a" / "a.wav", WORDS, 51)
    toy.save(tmp_path / "in" / "b" / "b.wav", WORDS, 52, rate=16000)
    result = toy.align(tmp_path / "out", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    assert failed(tmp_path / "out")["b-b"] == (
        "wrong speed or sampling rate: the text fits when the audio is played 0.5 times as fast "
        "(the file says 16000 Hz, 8000 Hz would fit)"
    )


def test_words_without_pronunciation_keep_their_spelling(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 53, WORDS.replace("CHARLIE", "CARLOS"))
    extra = tmp_path / "extra.txt"
    extra.write_text("CARLOS C\n")
    assert toy.align(tmp_path / "plain", "--format", "json", tmp_path / "in").exit_code == 0
    result = toy.align(tmp_path / "guessed", "--format", "json", "--pronunciations", extra, tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    for name, guessed in (("plain", False), ("guessed", True)):
        words = json.loads((tmp_path / name / "a.json").read_text())["utterances"][0]["words"]
        assert [w["word"] for w in words][2] == "CARLOS"
        assert words[2].get("guessed", False) is guessed
        assert ("confidence" in words[2]) is guessed
    assert "pronunciation guessed: CARLOS" in (tmp_path / "guessed" / "notes.txt").read_text()
    assert "no pronunciation, spoken as <UNK>: CARLOS" in (tmp_path / "plain" / "notes.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_is_not_writable(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 54)
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    result = toy.align(out, tmp_path / "in")
    assert result.exit_code != 0 and "not writable" in str(result.exception)


def test_an_output_that_is_a_file(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 54)
    (tmp_path / "out").write_text("")
    result = toy.align(tmp_path / "out", tmp_path / "in")
    assert result.exit_code != 0
    assert "is a file, wanted a folder" in str(result.exception)


def test_files_without_text_and_folders_without_audio(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 55)
    (tmp_path / "in" / "a.txt").unlink()
    result = toy.align(tmp_path / "out", tmp_path / "in")
    assert "has no text beside it (a.txt or .lab)" in str(result.exception)
    (tmp_path / "none").mkdir()
    assert "no audio files" in str(toy.align(tmp_path / "out", tmp_path / "none").exception)


def test_one_file_with_its_text(toy, tmp_path):
    starts = toy.save(tmp_path / "in" / "a.wav", WORDS, 56)
    text = tmp_path / "book.txt"
    text.write_text("Alfa, bravo;\ncharlie: delta. Echo!\nBravo alfa\n")
    result = toy.align(tmp_path / "out", "--text", text, tmp_path / "in" / "a.wav")
    assert result.exit_code == 0, (result.output, result.exception)
    assert len(ctm(tmp_path / "out" / "words.ctm")) == len(starts)
