"""What MFA's users expect: folders mirrored, TextGrids as input, plain phones, names of speakers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybrid.aligner.speech_source import items_of_files
from hybrid.base.errors import InputError
from hybrid.data.beside import spoken_beside
from hybrid.data.own import OwnConfig, prepare, speaker_of
from hybrid.formats.praat import LabelledTime, TextGrid, Tier, read_textgrid, write_textgrid

WORDS = "ALFA BRAVO CHARLIE DELTA"


def grid(path, end, **tiers):
    """Writes a TextGrid; each tier is a list of (label, start, end) that tile the time."""
    made = [Tier(name, tuple(LabelledTime(*row) for row in rows)) for name, rows in tiers.items()]
    write_textgrid(path, TextGrid(0.0, end, tuple(made)))


@pytest.fixture
def talk(toy, tmp_path):
    """Two speakers who take turns in one recording, told by a TextGrid; returns its path and when each begins."""
    import soundfile

    first, _ = toy.speech("ALFA BRAVO", 1)
    second, _ = toy.speech("DELTA ECHO CHARLIE", 2)
    path, turn = tmp_path / "in" / "spk" / "talk.wav", len(first) / 8000
    path.parent.mkdir(parents=True)
    soundfile.write(str(path), np.concatenate([first, second]), 8000, subtype="PCM_16")
    end = turn + len(second) / 8000
    rows = {
        "ann": [("alfa, bravo!", 0.0, turn), ("", turn, end)],
        "bob b": [("", 0.0, turn), ("delta echo charlie", turn, end)],
    }
    grid(path.with_suffix(".TextGrid"), end, **rows)
    return path, turn


def test_output_folders_mirror_the_inputs(toy, tmp_path):
    for place in ("spkA/x", "spkB/x", "spkB/deep/y.z", "w"):
        toy.save(tmp_path / "in" / f"{place}.wav", WORDS, 3)
    formats = ("--format", "textgrid", "--format", "json", "--format", "ctm")
    result = toy.align(tmp_path / "out", *formats, tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    places = ("spkA/x", "spkB/x", "spkB/deep/y.z", "w")
    assert made == {f"{place}.{ending}" for place in places for ending in ("TextGrid", "json")} | {
        "words.ctm", "phones.ctm", "failed.txt", "notes.txt", "gaps.tsv", "guessed.txt", "meta.json"
    }  # fmt: skip
    assert [t.name for t in read_textgrid(tmp_path / "out" / "spkA" / "x.TextGrid").tiers] == ["words", "phones"]


def test_a_textgrid_tells_speakers_and_utterances(toy, talk, tmp_path):
    path, turn = talk
    result = toy.align(tmp_path / "out", "--format", "textgrid", "--format", "json", tmp_path / "in")
    assert result.exit_code == 0, (result.output, result.exception)
    found = read_textgrid(tmp_path / "out" / "spk" / "talk.TextGrid")
    said = {t.name: [i.label for i in t.intervals if i.label] for t in found.tiers if t.name.endswith("words")}
    assert said == {"ann - words": ["ALFA", "BRAVO"], "bob_b - words": ["DELTA", "ECHO", "CHARLIE"]}
    record = json.loads((tmp_path / "out" / "spk" / "talk.json").read_text())
    assert [u["speaker"] for u in record["utterances"]] == ["ann", "bob_b"]
    assert record["utterances"][1]["words"][0]["start"] >= turn - 1e-4
    whole = read_textgrid(path.with_suffix(".TextGrid")).end
    assert found.end == pytest.approx(whole, abs=1e-3) and record["duration"] == pytest.approx(whole, abs=1e-3)


def test_a_textgrid_is_text_of_from_audio_too(talk, tmp_path):
    from hybrid.data.manifest import read_cuts

    prepare([tmp_path / "in"], tmp_path / "data", OwnConfig(rate=8000))
    cuts = read_cuts(tmp_path / "data")
    assert [(c.speaker, c.text, c.recording_id) for c in cuts] == [
        ("ann", "ALFA BRAVO", "spk-talk"), ("bob_b", "DELTA ECHO CHARLIE", "spk-talk")
    ]  # fmt: skip
    assert cuts[0].id == "spk-talk-ann-00000000" and cuts[1].start == pytest.approx(talk[1], abs=1e-3)


def test_a_textgrid_of_an_alignment_is_no_input(toy, tmp_path):
    toy.save(tmp_path / "a.wav", WORDS, 1)
    (tmp_path / "a.txt").unlink()
    grid(tmp_path / "a.TextGrid", 1.0, words=[("ALFA", 0.0, 1.0)], phones=[("A", 0.0, 1.0)])
    items, failures = items_of_files([tmp_path])
    assert not items and failures["a"].endswith(
        "a.TextGrid: has the tier 'words' of an alignment, wanted a tier a speaker, an interval an utterance. "
        "Remove such tiers."
    )
    (tmp_path / "a.TextGrid").write_text("no TextGrid")
    with pytest.raises(InputError, match="a.TextGrid: is cut short or damaged"):
        spoken_beside(tmp_path / "a.wav")
    (tmp_path / "a.LAB").write_text("alfa")  # text comes first
    assert [one.text for one in spoken_beside(tmp_path / "a.wav")] == ["alfa"]


def test_names_of_speakers(tmp_path):
    path = tmp_path / "anna" / "b_ob-01.wav"
    names = {kind: speaker_of("anna-b_ob-01", path, kind) for kind in ("folder", "prefix", "file", "one")}
    assert names == {"folder": "anna", "prefix": "b", "file": "anna-b_ob-01", "one": "speaker"}


def test_marks_of_phones_are_left_out_unless_wanted(toy, tmp_path):
    toy.save(tmp_path / "a.wav", WORDS, 4)
    for more, wanted in ((), ["A", "B", "C", "D"]), (("--phone-marks",), ["A_S", "B_S", "C_S", "D_S"]):
        out = tmp_path / f"out{len(more)}"
        assert toy.align(out, *more, "--format", "ctm", "--format", "json", tmp_path / "a.wav").exit_code == 0
        lines = [line.split() for line in (out / "phones.ctm").read_text().splitlines() if line[0] != ";"]
        assert [line[4] for line in lines if line[4] != "SIL"] == wanted
        words = json.loads((out / "a.json").read_text())["utterances"][0]["words"]
        assert [phone["phone"] for word in words for phone in word["phones"]] == wanted


@pytest.fixture
def corpus(toy, tmp_path):
    """Such as MFA takes: two speakers, .lab and .txt, an OOV, a wrong text, empty files, a text without audio."""
    root = tmp_path / "corpus"
    texts = {
        "spkA/a1": None, "spkA/a2": "alfa bravo carlos delta alfa bravo", "spkB/b1": None,
        "spkB/wrong": "echo echo bravo bravo alfa echo", "spkB/still": "",
    }  # fmt: skip
    for i, (place, text) in enumerate(texts.items()):
        toy.save(root / f"{place}.wav", "ALFA BRAVO CHARLIE DELTA ALFA BRAVO", 70 + i, text)
    (root / "spkA" / "a1.txt").rename(root / "spkA" / "a1.lab")
    (root / "spkB" / "none.wav").write_bytes(b"")
    (root / "spkB" / "none.lab").write_text("alfa")
    (root / "spkB" / "alone.lab").write_text("alfa")
    (root / "spkB" / "b1.lab").write_text("alfa")
    (root / "spkA" / "notes.doc").write_text("mine")
    return root


def test_a_corpus_is_validated_first_and_every_problem_named(toy, corpus, tmp_path):
    result = toy.run("validate", "--lang", toy.lang, "--model", toy.model, "--out", tmp_path / "found.tsv", corpus)
    assert str(result.exception) == "4 problems keep speech from use: mend them, or leave these files out"
    lines = [line for line in result.output.splitlines() if " INFO " not in line]
    assert lines[-1].startswith("6 utterances of 2 speakers, 0.")
    assert lines[-1].endswith(" 25 words, 1 of them without pronunciation (1 different): 4 problems")
    told = dict(line.split(": ", 1) for line in lines[:-1] if not line.startswith("note: "))
    assert told.pop("text spkB-wrong").startswith("text is not what is said: ")
    assert told == {
        f"text {corpus}/spkB/alone.lab": "is text without audio of its name beside it",
        "audio spkB-none": f"{corpus}/spkB/none.wav: audio file is empty (0 bytes). Copy or download it again.",
        "text spkB-still": "has an empty text",
    }
    assert [line for line in lines if line.startswith("note: ") and "nothing above" not in line] == [
        f"note: file {corpus}/spkA/notes.doc: is no audio; left out",
        "note: text spkB-b1: b1.txt counts, b1.lab beside it does not",
        "note: oov CARLOS: has no pronunciation; stands 1 times",
    ]
    rows = [line.split("\t") for line in (tmp_path / "found.tsv").read_text().splitlines()]
    assert rows[0] == ["kind", "name", "found", "fails"] and len(rows) == len(lines)


def test_what_was_validated_is_aligned_into_a_tree_like_the_corpus(toy, corpus, tmp_path):
    result = toy.align(tmp_path / "out", "--format", "textgrid", corpus)
    assert result.exit_code == 0, (result.output, result.exception)
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.TextGrid")}
    assert made == {"spkA/a1.TextGrid", "spkA/a2.TextGrid", "spkB/b1.TextGrid"}
    reasons = dict(line.split(" ", 1) for line in (tmp_path / "out" / "failed.txt").read_text().splitlines())
    assert set(reasons) == {"spkB-none", "spkB-still", "spkB-wrong"}
    words = read_textgrid(tmp_path / "out" / "spkA" / "a2.TextGrid").tiers[0]
    assert [i.label for i in words.intervals if i.label] == ["ALFA", "BRAVO", "CARLOS", "DELTA", "ALFA", "BRAVO"]


def test_texts_that_cannot_be_of_their_audio_and_names_of_two_folders(toy, tmp_path):
    root = tmp_path / "in"
    toy.save(root / "x" / "ann" / "long.wav", "ALFA", 1, " ".join(["alfa bravo"] * 40))
    toy.save(root / "y" / "ann" / "short.wav", " ".join(["ALFA BRAVO CHARLIE DELTA"] * 5), 2, "alfa")
    toy.save(root / "y" / "ann" / "foreign.wav", "ALFA", 3, "über allen gipfeln alfa")
    toy.save(root / "y" / "ann" / "late.wav", "ALFA", 4)
    (root / "y" / "ann" / "late.txt").unlink()
    grid(root / "y" / "ann" / "late.TextGrid", 90.0, bob=[("", 0.0, 60.0), ("alfa", 60.0, 90.0)])
    found = toy.run("validate", "--lang", toy.lang, root).output
    assert "text x-ann-long: is too long: 80 words (80 phones) in " in found
    assert "text y-ann-short: is too short: 1 words (1 phones) in " in found
    assert "text y-ann-foreign: 3 of 4 words have no pronunciation: ÜBER ALLEN GIPFELN" in found
    assert "text y-ann-late-bob-00060000: reaches to 90.00 s, its recording to " in found
    assert "note: speaker ann: is the name of 2 folders (" in found
