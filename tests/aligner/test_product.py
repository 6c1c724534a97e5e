"""`hybrid align audio` on made-up speech: times, formats, explanations, bad input."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from hybrid.align.config import AlignmentError
from hybrid.aligner.text_aligner import TextAligner
from hybrid.formats.praat import read_textgrid

WORDS = "ALFA BRAVO CHARLIE DELTA ECHO BRAVO ALFA"


ALL_FORMATS = [x for name in ("ctm", "textgrid", "json", "srt", "vtt", "lhotse") for x in ("--format", name)]


def run_hybrid(*arguments: object) -> None:
    from click.testing import CliRunner

    from hybrid.cli.main import command

    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == 0, (result.output, result.exception)


def ctm(path):
    return [line.split() for line in path.read_text().splitlines() if not line.startswith(";;")]


def failed(out) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in (out / "failed.txt").read_text().splitlines())


def test_words_are_found_where_they_are_said(toy, tmp_path):
    starts = toy.save(tmp_path / "in" / "a.wav", WORDS, 7)
    result = toy.align(tmp_path / "out", *ALL_FORMATS, tmp_path / "in")
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
    for name in ("words.ctm", "phones.ctm", "s0/u0.TextGrid", "failed.txt"):
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


def test_digital_silence_around_speech_changes_no_normalisation(toy, tmp_path):
    """Words lie where they lay, and are as sure, for a model that normalises each utterance."""
    import soundfile

    run_hybrid("gmm", "train-mono", "--feats", toy.root / "feats", "--lang", toy.lang, "--total-gaussians", 60,
               "--cmvn", "utterance", "--num-passes", 8, "--last-mix-up-pass", 5, "--out-dir",
               tmp_path / "norm")  # fmt: skip
    toy.save(tmp_path / "a" / "a.wav", WORDS, 7)
    samples, rate = soundfile.read(str(tmp_path / "a" / "a.wav"), dtype="int16")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.txt").write_text(WORDS)
    zeros = np.zeros(4 * rate, np.int16)
    soundfile.write(str(tmp_path / "b" / "b.wav"), np.concatenate([zeros, samples, zeros]), rate, subtype="PCM_16")
    rows = {}
    for name in "ab":
        out = ("--out-dir", tmp_path / f"out{name}", "--max-failed", 1, tmp_path / name)
        result = toy.run("audio", "--model", tmp_path / "norm", "--lang", toy.lang, *out)
        assert result.exit_code == 0, (result.output, result.exception)
        rows[name] = ctm(tmp_path / f"out{name}" / "words.ctm")
    for one, two in zip(rows["a"], rows["b"], strict=True):
        assert one[4] == two[4] and float(two[2]) == pytest.approx(float(one[2]) + 4, abs=0.011)
        assert float(two[5]) == pytest.approx(float(one[5]), abs=0.02)


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
    extra, model = tmp_path / "extra.txt", tmp_path / "g2p.arpa"
    extra.write_text("CARLOS C\n")
    (tmp_path / "names.txt").write_text("CARLOS C\nCARLA C\nALCOR C\n")
    run_hybrid("lm", "g2p-train", tmp_path / "names.txt", "--order", 3, "--out", model)
    for name, more in (("plain", ()), ("given", ("--pronunciations", extra)), ("guessed", ("--g2p", model))):
        result = toy.align(tmp_path / name, *ALL_FORMATS, *more, tmp_path / "in")
        assert result.exit_code == 0, (result.output, result.exception)
        words = json.loads((tmp_path / name / "a.json").read_text())["utterances"][0]["words"]
        assert [w["word"] for w in words][2] == "CARLOS"
        assert words[2].get("guessed", False) is (name == "guessed")
        assert ("confidence" in words[2]) is (name != "plain")
    out = tmp_path / "guessed"
    assert "pronunciation guessed: CARLOS" in (out / "notes.txt").read_text()
    assert (out / "guessed.txt").read_text() == "CARLOS C\n" and not (tmp_path / "given" / "guessed.txt").read_text()
    assert "NOTE pronunciation guessed: CARLOS\n" in (out / "a.vtt").read_text()
    tiers = {tier.name: tier for tier in read_textgrid(out / "a.TextGrid").tiers}
    assert [i.label for i in tiers["guessed"].intervals if i.label] == ["CARLOS"]
    with gzip.open(out / "supervisions.jsonl.gz", "rt") as stream:
        assert json.loads(stream.readline())["custom"] == {"guessed": ["CARLOS"]}
    assert "no pronunciation, spoken as <UNK>: CARLOS" in (tmp_path / "plain" / "notes.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_is_not_writable(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 54)
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    result = toy.align(out, tmp_path / "in")
    assert result.exit_code != 0 and "not writable" in str(result.exception)


def test_a_second_run_replaces_the_whole_output_or_keeps_all_of_it(toy, tmp_path, monkeypatch):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 7)
    out = tmp_path / "out"
    assert toy.align(out, *ALL_FORMATS, tmp_path / "in").exit_code == 0
    files = json.loads((out / "meta.json").read_text())["files"]
    assert set(files) == {p.name for p in out.iterdir()} - {"meta.json"}
    (tmp_path / "in" / "a.wav").rename(tmp_path / "in" / "b.wav")
    (tmp_path / "in" / "a.txt").rename(tmp_path / "in" / "b.txt")
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hybrid.timing.formats.write_textgrid", stopped)
        toy.align(out, tmp_path / "in")
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before  # killed while it wrote
    (tmp_path / "in" / "b.txt").write_text("")
    result = toy.align(out, tmp_path / "in")
    assert f"(see {out}/failed.new.txt); the earlier results stand; the first, b: " in str(result.exception)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.name != "failed.new.txt"} == before
    (tmp_path / "in" / "b.txt").write_text(WORDS)
    assert toy.align(out, tmp_path / "in").exit_code == 0
    names = {p.name for p in out.iterdir()}
    assert "b.TextGrid" in names and not names & {"a.TextGrid", "a.json", "failed.new.txt"}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_users_file_in_the_output_hinders_a_second_run_by_name(toy, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 7)
    assert toy.align(tmp_path / "out", tmp_path / "in").exit_code == 0
    (tmp_path / "out" / "mine.txt").write_text("mine")
    result = toy.align(tmp_path / "out", tmp_path / "in")
    assert "is an earlier 'aligned-speech', but holds 'mine.txt' too, which this toolkit did not make" in str(
        result.exception
    )


def test_a_manifest_with_a_command_is_told_what_aligning_takes(toy, tmp_path):
    source = {"type": "command", "channels": [0], "source": f"touch {tmp_path}/ran"}
    recording = {"id": "a", "sources": [source], "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0}
    cut = {"id": "a", "start": 0, "duration": 1.0, "channel": 0, "recording": recording, "type": "MonoCut"}
    (tmp_path / "cuts.jsonl").write_text(json.dumps(cut) + "\n")
    result = toy.align(tmp_path / "out", "--cuts", tmp_path / "cuts.jsonl")
    text = "cuts.jsonl:1: cut 'a' has a shell command (touch"
    assert text in str(result.exception) and "Alignment takes plain audio files only" in str(result.exception)
    assert "--allow" not in str(result.exception) and not (tmp_path / "ran").exists()


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
    assert "has no text beside it (a.txt, .lab or .TextGrid)" in str(result.exception)
    (tmp_path / "none").mkdir()
    assert "no audio files" in str(toy.align(tmp_path / "out", tmp_path / "none").exception)


def test_one_file_with_its_text(toy, tmp_path):
    starts = toy.save(tmp_path / "in" / "a.wav", WORDS, 56)
    text = tmp_path / "book.txt"
    text.write_text("Alfa, bravo;\ncharlie: delta. Echo!\nBravo alfa\n")
    result = toy.align(tmp_path / "out", "--whole-text", text, tmp_path / "in" / "a.wav")
    assert result.exit_code == 0, (result.output, result.exception)
    assert len(ctm(tmp_path / "out" / "words.ctm")) == len(starts)


def test_a_file_that_cannot_be_written_stops_no_other(toy, tmp_path):
    for i, name in enumerate(("a", "failed")):
        toy.save(tmp_path / "in" / f"{name}.wav", WORDS, 57 + i)
    out = tmp_path / "out"
    result = toy.align(out, "--format", "txt", "--format", "ctm", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "1 aligned, 1 failed" in result.output
    told = "its file failed.txt would be a file of the command itself. Rename one, or choose other formats."
    assert failed(out) == {"failed": told} and (out / "a.txt").read_text() == WORDS + "\n"
    result = toy.align(tmp_path / "alone", "--format", "txt", tmp_path / "in" / "failed.wav")
    assert result.exit_code != 0 and "the first, failed: its file failed.txt" in str(result.exception)


def test_lower_case_lang_folders_are_understood(toy, lower, tmp_path):
    toy.save(tmp_path / "in" / "a.wav", WORDS, 59, WORDS.capitalize() + ".")
    result = toy.run("audio", "--model", toy.model, "--lang", lower, "--out-dir", tmp_path / "out", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    assert [row[4] for row in ctm(tmp_path / "out" / "words.ctm")] == WORDS.lower().split()


@pytest.fixture(scope="module")
def lower(toy, tmp_path_factory):
    """The toy's lang folder with words in lower case."""
    import shutil

    folder = tmp_path_factory.mktemp("lower")
    shutil.copytree(toy.root / "dict", folder / "dict")
    lines = (folder / "dict" / "lexicon.txt").read_text().splitlines()
    text = "".join(
        f"{line if line[0] in '!<' else line.split()[0].lower() + ' ' + line.split()[1]}\n" for line in lines
    )
    (folder / "dict" / "lexicon.txt").write_text(text)
    for name in ("lexiconp.txt", "lexiconp_silprob.txt"):
        (folder / "dict" / name).unlink(missing_ok=True)
    run_hybrid("lang", "prepare", "--dict-dir", folder / "dict", "--oov", "<UNK>", "--out-dir", folder / "lang")
    return folder / "lang"


@pytest.fixture(scope="module")
def adapted(toy, tmp_path_factory):
    """The toy's model as one that was trained on adapted features."""
    from hybrid.model.folder import load_model, save_model

    path, model = tmp_path_factory.mktemp("sat") / "sat", load_model(toy.model)
    save_model(path, replace(model, speaker_independent=model.acoustic_model))
    return path


def test_a_speaker_with_one_second_of_speech_is_aligned_without_adaptation(toy, adapted, tmp_path):
    toy.save(tmp_path / "in" / "ann" / "a.wav", "ALFA BRAVO CHARLIE", 60)
    for i in range(3):
        toy.save(tmp_path / "in" / "bob" / f"b{i}.wav", f"{WORDS} {WORDS}", 61 + i)
    options = ("--model", adapted, "--lang", toy.lang, "--adapt-frames", 400)
    result = toy.run("audio", *options, "--out-dir", tmp_path / "out", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    notes = (tmp_path / "out" / "notes.txt").read_text().splitlines()
    assert len(notes) == 1 and notes[0].startswith("ann-a aligned without adaptation (")
    assert notes[0].endswith(" s of speech, from 4.00 s on a speaker is adapted to)")
    rows = ctm(tmp_path / "out" / "words.ctm")
    assert [row[4] for row in rows if row[0] == "ann-a"] == ["ALFA", "BRAVO", "CHARLIE"]
    assert len(rows) == 3 + 6 * len(WORDS.split())


def test_long_recordings_fall_back_on_the_speaker_independent_model(toy, tmp_path):
    """An adapted model that hears nothing without its transforms."""
    from hybrid.model.folder import load_model, save_model

    model = load_model(toy.model)
    gmm = model.acoustic_model.gmm
    deaf = replace(model.acoustic_model, gmm=type(gmm).from_arrays({**gmm.arrays(), **_shuffled(gmm.arrays())}))
    save_model(tmp_path / "sat", replace(model, acoustic_model=deaf, speaker_independent=model.acoustic_model))
    words = " ".join([WORDS] * 4)
    starts = toy.save(tmp_path / "in" / "a.wav", words, 65)
    options = ("--lang", toy.lang, "--long-from", 8, "--chunk", 8, "--max-segment", 6)
    result = toy.run("audio", "--model", tmp_path / "sat", *options, "--out-dir", tmp_path / "out", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    found = np.array([float(row[2]) for row in ctm(tmp_path / "out" / "words.ctm")])
    assert len(found) == len(starts) and np.abs(found - starts).max() < 0.1


def _shuffled(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array[::-1].copy() for name, array in arrays.items() if "mean" in name}
