"""Tables of rules: what they hold, and each mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from hybrid.written.rewriting import Rules, read_rules
from hybrid.written.sentence import WrittenToken


def test_the_longest_rule_and_its_words(tmp_path: Path) -> None:
    (tmp_path / "rules.tsv").write_text("# mine\nNew York\tNYC\nnew york city hall\tNYC Hall\n\n", encoding="utf-8")
    rules = read_rules(tmp_path / "rules.tsv")
    assert len(rules) == 2
    assert rules.match(["in", "new", "york", "city", "hall"], 1) == [
        WrittenToken("NYC", 1, 2),
        WrittenToken("Hall", 2, 5),
    ]
    assert rules.match(["new", "york"], 0) == [WrittenToken("NYC", 0, 2)]
    assert rules.match(["new"], 0) is None and Rules().match(["new"], 0) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no rule. Write `spoken words<TAB>written text`."),
        ("two words", ":1: 'two words' is no rule. Write `spoken words<TAB>written text`."),
        ("# a\n\tone", ":2: 'one' is no rule"),
        ("one\t ", ":1: 'one' is no rule"),
        ("one\tthe 1", ":1: 2 tokens stand for 1 words, and each needs a word for its time. Write fewer tokens."),
        ("one\t1\nOne\t2", ":2: 'one' has a rule already. Keep one of them."),
        (" ".join(["w"] * 201) + "\tx", ":1: a phrase of 201 words, wanted at most 200"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "rules.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_rules(path)
    assert str(error.value).startswith(str(path)) and told in str(error.value)


def test_a_rule_in_memory() -> None:
    with pytest.raises(ValueError, match="a rule has 1 words and 2 tokens, wanted at least a word each"):
        Rules(((("a",), ("b", "c")),))
