"""Written text in spoken words, and the normaliser's option for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hybrid.cli.main import command
from hybrid.written.spoken import cardinal_words, spoken_text, year_words
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser
from lm.arpa import read_arpa

CASES = {
    "At 5:45 p.m. he paid $4.69.": "At five forty five p m he paid four dollars and sixty nine cents.",
    "July 25, 2012 was hot": "July twenty fifth twenty twelve was hot",
    "on the 25th of July 1805": "on the twenty fifth of July eighteen oh five",
    "2012-07-25": "july twenty fifth twenty twelve",
    "since 1984, 2,500 men": "since nineteen eighty four, two thousand five hundred men",
    "in the 1960s and 1900s": "in the nineteen sixties and nineteen hundreds",
    "3.14, -5 and .5": "three point one four, minus five and point five",
    "$45 million, $1, $0.50": "forty five million dollars, one dollar, fifty cents",
    "£12.01 and ¥30": "twelve pounds and one penny and thirty yen",
    "call 555-1234": "call five five five one two three four",
    "20% of 5 km at 21°C or 1 km": "twenty percent of five kilometers at twenty one degrees celsius or one kilometer",
    "Mr. Smith, Dr. Jones, No. 5": "mister Smith, doctor Jones, number five",
    "1914-18, pp 5-10": "nineteen fourteen to eighteen, pp five to ten",
    "007 ½": "zero zero seven one half",
    "192.168.0.1": "one nine two dot one six eight dot zero dot one",
    "from 9 a.m. to 17:00": "from nine a m to seventeen hundred hours",
    "the 21st": "the twenty first",
    "12/11/2012 4x4 MP3 5:99": "12/11/2012 4x4 MP3 5:99",
    "no number. 'Tis so!": "no number. 'Tis so!",
    "٣ men": "٣ men",
}


@pytest.mark.parametrize("written", CASES)
def test_texts(written: str) -> None:
    assert spoken_text(written) == CASES[written]


@given(st.text(st.sampled_from("0123456789.,:-/$%½ apm°Cth"), max_size=30))
def test_any_text_ends(text: str) -> None:
    spoken_text(text)


def test_words_of_numbers() -> None:
    assert cardinal_words(-2_000_013) == "minus two million thirteen"
    assert [year_words(y) for y in (1066, 1900, 2000, 2009, 2010)] == [
        "one thousand sixty six", "nineteen hundred", "two thousand", "two thousand nine", "twenty ten"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="a number has more than 27 digits"):
        cardinal_words(10**27)


def test_the_normaliser_speaks_where_it_is_asked_to() -> None:
    text = "He paid $20, [noise] at 5:45."
    lexicon = ["HE", "PAID", "TWENTY", "DOLLARS", "AT", "FIVE", "FORTY"]
    assert Normaliser(TextConfig(), lexicon).words(text)[2] == "20"
    normaliser = Normaliser(TextConfig(spoken=True), lexicon)
    assert " ".join(normaliser.words(text)) == "HE PAID TWENTY DOLLARS AT FIVE FORTY FIVE"
    assert "2 in lines with numbers" in normaliser.changes.told()


def test_texts_of_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("he paid $20\nat 5:45 p.m.\n" * 3, encoding="utf-8")
    for name, options in {"spoken": ["--spoken", "--case", "lower"], "as_it_is": []}.items():
        out = tmp_path / f"{name}.arpa"
        result = CliRunner().invoke(command, ["lm", "train", str(tmp_path / "text"), *options, "--out", str(out)])
        assert result.exit_code == 0, result.output
    words = {name: {word.decode() for word in read_arpa(tmp_path / f"{name}.arpa").vocabulary.words[3:]}
             for name in ("spoken", "as_it_is")}  # fmt: skip
    assert words["spoken"] == {"he", "paid", "twenty", "dollars", "at", "five", "forty", "p", "m"}
    assert words["as_it_is"] == {"he", "paid", "$20", "at", "5:45", "p.m."}
