"""Grammars on real speech: the sentences of the corpora, slots of a command, and speech outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.model.ready import model_folder
from hybrid.recogniser import Recogniser

pytestmark = [pytest.mark.real, pytest.mark.slow]
MOVE = """#JSGF V1.0;
grammar turtle;
public <move> = go (forward {direction=FORWARD} | backward {direction=BACKWARD}) <count> {count}
  (meter | meters) {unit=m};
<count> = one | two | ten;
"""


def build(model: Path, grammar: Path, out: Path, *options: str) -> Recogniser:
    arguments = ["graph", "build", "--model", str(model), "--grammar", str(grammar), "--out-dir", str(out), *options]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Recogniser.load(model, out)


@pytest.fixture(scope="module")
def small() -> Path:
    return model_folder("en-small")


def test_the_sentences_of_the_corpora(corpora: Path, small: Path, tmp_path: Path) -> None:
    """The bar: at least five of six right."""
    speech = corpora / "smoke_english"
    rows = [line.split("\t") for line in (speech / "transcripts.tsv").read_text().splitlines()]
    right = 0
    for grammar, folder in (("goforward", "ps_misc"), ("cards", "ps_cards")):
        recogniser = build(small, corpora / "grammars" / f"{grammar}.gram", tmp_path / grammar)
        for row in rows:
            if row[2].startswith(f"audio/{folder}/"):
                transcript = recogniser.recognise(speech / row[2])
                right += transcript.text == row[3]
                assert transcript.segments[0].rule in ("move", "move2", "cards")
    assert right >= 5


def test_a_command_has_slots_and_other_speech_is_rejected(corpora: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "turtle.gram").write_text(MOVE)
    recogniser = build(small, tmp_path / "turtle.gram", tmp_path / "graph", "--garbage", "0.5")
    audio = corpora / "smoke_english" / "audio"
    transcript = recogniser.recognise(audio / "ps_misc" / "goforward.wav")
    assert transcript.text == "GO FORWARD TEN METERS"
    assert {slot.name: slot.value for slot in transcript.slots} == {"direction": "FORWARD", "count": "TEN", "unit": "m"}
    words = {word.label: word for word in transcript.words}
    count = next(slot for slot in transcript.slots if slot.name == "count")
    assert (count.start, count.confidence) == (words["TEN"].start, words["TEN"].confidence)
    assert transcript.written.slots == transcript.slots, "the written form keeps what was meant"
    record = json.loads(transcript.to_json())["utterances"][0]
    assert record["rule"] == "move" and [slot["name"] for slot in record["slots"]] == ["direction", "count", "unit"]
    other = recogniser.recognise(audio / "sb_asr" / "spk1_snt5.wav")
    assert (other.text, other.slots) == ("", ()) and all(one.outside for one in other.segments)
    assert json.loads(other.to_json())["utterances"][0]["rule"] == ""


def test_decode_writes_slots(corpora: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "turtle.gram").write_text(MOVE)
    build(small, tmp_path / "turtle.gram", tmp_path / "graph")
    audio = corpora / "smoke_english" / "audio" / "ps_misc" / "goforward.wav"
    arguments = ["decode", "--model", str(small), "--graph", str(tmp_path / "graph"), "--format", "json", str(audio)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    slots = json.loads(result.stdout)["utterances"][0]["slots"]
    assert [(slot["name"], slot["value"]) for slot in slots] == [
        ("direction", "FORWARD"),
        ("count", "TEN"),
        ("unit", "m"),
    ]


def test_a_grammar_beside_sentences(corpora: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "turtle.gram").write_text(MOVE)
    (tmp_path / "say.txt").write_text("Sunday is the best part of the week.\nGo and see the child.\n")
    options = ("--sentences", str(tmp_path / "say.txt"), "--grammar-weight", "0.3")
    recogniser = build(small, tmp_path / "turtle.gram", tmp_path / "graph", *options)
    audio = corpora / "smoke_english" / "audio"
    command, free = (recogniser.recognise(audio / name) for name in ("ps_misc/goforward.wav", "sb_asr/spk1_snt5.wav"))
    assert (command.text, command.segments[0].rule) == ("GO FORWARD TEN METERS", "move")
    assert (free.text, free.slots) == ("SUNDAY IS THE BEST PART OF THE WEEK", ())
    assert not any(one.rule or one.outside for one in free.segments)
