"""Subtitles, JSON and lhotse supervisions by hand."""

from __future__ import annotations

import pytest

from hybrid.timing.ctm import TimedLabel
from hybrid.timing.formats import json_record, supervision_record, write_formats
from hybrid.timing.subtitles import SubtitleConfig, captions, format_srt, format_vtt
from hybrid.timing.timed_text import TimedText, TimedWord, joined


def word(label: str, start: float, duration: float = 0.5, **more) -> TimedWord:
    return TimedWord(label, start, duration, **more)


TEXT = TimedText(
    "u", "r", 1.0, 2.0,
    (word("", 1.0, 0.25), word("A", 1.25, 0.5, confidence=0.5, phones=(TimedLabel("a", 1.25, 0.5, 0.5),)),
     word("<B>", 1.75, 1.25, confidence=0.25, guessed=True)),
    "s",
)  # fmt: skip


def test_captions_break_at_pauses_lines_and_lengths():
    words = [word("one", 0), word("two", 0.5), word("three", 2.0), word("four", 2.5), word("five", 3.0)]
    found = captions(words, SubtitleConfig(max_line=8, max_lines=1, break_pause=0.6))
    assert [c.lines for c in found] == [("one two",), ("three",), ("four",), ("five",)]
    found = captions(words, SubtitleConfig(max_line=8, max_lines=2, break_pause=0.6))
    assert [c.lines for c in found] == [("one two",), ("three", "four"), ("five",)]
    assert (found[1].start, found[1].end) == (2.0, 3.0)
    assert captions(words, SubtitleConfig(max_duration=0.9))[0].lines == ("one",)


def test_srt_and_vtt_by_hand():
    items = captions([word("a", 3661.5), word("<b>", 3662.0)])
    assert format_srt(items) == "1\n01:01:01,500 --> 01:01:02,500\na <b>\n"
    assert format_vtt(items) == "WEBVTT\n\n01:01:01.500 --> 01:01:02.500\na &lt;b&gt;\n"
    assert format_srt([]) == "" and format_vtt([]) == "WEBVTT\n"


def test_json_by_hand():
    record = json_record(TEXT)
    assert record["text"] == "A <B>" and record["speaker"] == "s"
    assert (record["start"], record["end"]) == (1.0, 3.0)
    assert record["confidence"] == pytest.approx((0.5 * 0.5 + 0.25 * 1.25) / 1.75, abs=1e-4)
    assert record["words"][0] == {
        "word": "A", "start": 1.25, "end": 1.75, "confidence": 0.5,
        "phones": [{"phone": "a", "start": 1.25, "end": 1.75, "confidence": 0.5}],
    }  # fmt: skip
    assert record["words"][1]["guessed"] is True and "guessed" not in record["words"][0]


def test_supervisions_are_lhotses():
    from lhotse import SupervisionSegment

    item = SupervisionSegment.from_dict(supervision_record(TEXT))
    assert item.alignment["word"][1].symbol == "<B>" and item.alignment["word"][1].duration == 1.25
    assert item.custom["guessed"] == ["<B>"]


def test_texts_of_one_recording_are_joined(tmp_path):
    later = TimedText("v", "r", 4.0, 1.0, (word("C", 4.25),), "s")
    whole = joined([later, TEXT], 9.0)
    assert [w.label for w in whole.spoken] == ["A", "<B>", "C"] and whole.end == 9.0
    write_formats([later, TEXT], tmp_path, ["ctm", "srt"])
    assert (tmp_path / "words.ctm").read_text() == "r 1 1.25 0.50 A 0.50\nr 1 1.75 1.25 <B> 0.25\nr 1 4.25 0.50 C\n"
    assert (tmp_path / "r.srt").exists()


def test_utterances_over_each_other_fail_by_name_and_stop_no_other(tmp_path):
    over, alone = (
        TimedText("v", "r", 1.5, 1.0, (word("C", 1.5),), "s"),
        TimedText("w", "q", 0.0, 1.0, (word("C", 0.0),)),
    )
    failed = write_formats([TEXT, over, alone], tmp_path, ["ctm", "textgrid"])
    assert list(failed) == ["r"] and "recording 'r': utterances 'u' and 'v' lie over each other. Mend" in failed["r"]
    assert (tmp_path / "q.TextGrid").exists() and not (tmp_path / "r.TextGrid").exists()
    assert write_formats([TEXT, over], tmp_path, ["ctm", "lhotse"]) == {}


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format 'doc' is none of ctm"):
        write_formats([TEXT], tmp_path, ["doc"])


def test_words_that_overlap_are_refused():
    with pytest.raises(ValueError, match="'B' starts at 0.3 s, before 0.5 s"):
        TimedText("u", "r", 0.0, 2.0, (word("A", 0.0), word("B", 0.3)))
    with pytest.raises(ValueError, match="the words end at 2.5 s, the utterance at 2.0 s"):
        TimedText("u", "r", 0.0, 2.0, (word("A", 2.0),))
