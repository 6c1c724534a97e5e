"""hybrid.timing.slot: what a tag says of its words."""

from __future__ import annotations

import pytest

from hybrid.timing.ctm import TimedLabel
from hybrid.timing.formats import json_record
from hybrid.timing.slot import Slot
from hybrid.timing.timed_text import TimedText

WORDS = [TimedLabel("THE", 1.0, 0.2, 0.9), TimedLabel("DOCTOR", 1.2, 0.5, 0.7)]


@pytest.mark.parametrize("tag, name, value", [
    ("contact=DOCTOR", "contact", "DOCTOR"), ("contact", "contact", "THE DOCTOR"),
    ("contact = 'a b' ;", "contact", "a b"),
    ('out.contact = "x=y";', "contact", "x=y"), ("$.n=6", "n", "6"), ("contact=", "contact", ""),
    ("do something()", "", "do something()"),
])  # fmt: skip
def test_a_tag_is_a_name_and_a_value(tag: str, name: str, value: str) -> None:
    slot = Slot.of(tag, WORDS, 0.0)
    assert (slot.name, slot.value, slot.text, slot.start, slot.confidence) == (name, value, "THE DOCTOR", 1.0, 0.7)
    assert slot.duration == pytest.approx(0.7)


def test_a_tag_without_words_stands_at_its_time() -> None:
    slot = Slot.of("mode=ON", [], 2.5)
    assert slot.to_dict() == {"name": "mode", "value": "ON", "text": "", "start": 2.5, "end": 2.5}


def test_json_has_rule_and_slots_where_there_is_a_grammar() -> None:
    assert "rule" not in json_record(TimedText("u", "r", 0, 3, ()))
    record = json_record(TimedText("u", "r", 0, 3, (), rule="call", slots=(Slot.of("who=X", WORDS, 0.0),)))
    assert record["rule"] == "call"
    assert record["slots"] == [
        {"name": "who", "value": "X", "text": "THE DOCTOR", "start": 1.0, "end": 1.7, "confidence": 0.7}
    ]
