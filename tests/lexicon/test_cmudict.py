"""lexicon.cmudict: CMUdict and a vocabulary → dictionary folder."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from lexicon.cmudict import CmudictConfig, dictionary_from, read_cmudict
from lexicon.dict_dir import check_dict_dir, write_dict_dir
from lexicon.lexicon import Pronunciation

TEXT = """;;; an older file's comment
# another comment
a AH0
a(2) EY1
aalborg AO1 L B # place, danish
record R EH1 K ER0 D
record(2) R IH0 K AO1 R D
record(3) R EH2 K ER0 D
#hash-mark HH AE1 SH
"""


@pytest.fixture
def cmudict(tmp_path: Path) -> Path:
    (tmp_path / "cmudict.dict").write_text(TEXT)
    return tmp_path / "cmudict.dict"


def test_variants_stress_and_comments(cmudict: Path) -> None:
    assert read_cmudict(cmudict) == {
        "A": [("AH",), ("EY",)],
        "AALBORG": [("AO", "L", "B")],
        "RECORD": [("R", "EH", "K", "ER", "D"), ("R", "IH", "K", "AO", "R", "D")],
        "#HASH-MARK": [("HH", "AE", "SH")],
    }
    assert read_cmudict(cmudict, keep_stress=True)["RECORD"][2] == ("R", "EH2", "K", "ER0", "D")


def test_dictionary_of_a_vocabulary(cmudict: Path) -> None:
    extra = [Pronunciation("YU", ("Y", "UW"), 0.5), Pronunciation("A", ("AA",))]
    made = dictionary_from(read_cmudict(cmudict), CmudictConfig(), ["RECORD", "XYZZY", "A", "RECORD", "<UNK>"], extra)
    phones, lexicon, missing = made
    assert missing == ["XYZZY"]
    assert [e.word for e in lexicon.entries] == ["<UNK>", "!SIL", "A", "A", "A", "RECORD", "RECORD", "YU"]
    assert lexicon.pronunciations("YU")[0].probability == 0.5
    assert phones.nonsilence_phones == ("AA", "AH", "AO", "D", "EH", "ER", "EY", "IH", "K", "R", "UW", "Y")
    assert (phones.silence_phones, phones.optional_silence) == (("SIL", "SPN"), "SIL")


def test_stress_shares_roots_and_is_asked_for(cmudict: Path, tmp_path: Path) -> None:
    config = CmudictConfig(keep_stress=True, silence_word="")
    phones, lexicon, _ = dictionary_from(read_cmudict(cmudict, True), config, ["RECORD", "A"])
    assert ("EH1", "EH2") in phones.nonsilence and ("EY1",) in phones.nonsilence
    assert ("EH1", "EY1", "AO1") not in phones.extra_questions
    assert ("AO1", "EH1", "EY1") in phones.extra_questions
    assert "!SIL" not in lexicon
    write_dict_dir(tmp_path / "d", phones, lexicon)
    assert check_dict_dir(tmp_path / "d")[2] == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("A AH0\nB 0\n", "c.dict:2: a phone of word 'B' has no letter. Rename"),
        ("A a_B\n", "c.dict:1: a phone of word 'A' ends in _B, _E, _I or _S"),
        ("a AH0\nbbb\n", "c.dict:2: word 'bbb' has no pronunciation; wanted 'word phone …'. Add its phones or remove"),
        ("a AH0\nbbb # nothing\n", "c.dict:2: word 'bbb' has no pronunciation"),
        ("", "c.dict: the file is empty"),
    ],
)
def test_message_of_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.dict").write_text(text)
    with pytest.raises(InputError) as caught:
        read_cmudict(tmp_path / "c.dict")
    assert message in str(caught.value)


def test_latin1_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.dict").write_bytes(b"A  AH0\r\nD\xc9J\xc0  D EY2 ZH AA1\r\n")
    with pytest.raises(InputError, match=r"c\.dict:2: byte 0xc9 is not UTF-8 text\. Convert it"):
        read_cmudict(tmp_path / "c.dict")


def test_message_of_a_vocabulary_without_any_known_word(cmudict: Path) -> None:
    with pytest.raises(InputError, match=r"vocabulary: none of its 1 words has a pronunciation\. CMUdict's words are"):
        dictionary_from(read_cmudict(cmudict), CmudictConfig(), ["record"])


@pytest.mark.parametrize("options", [{"oov": ""}, {"oov": "<s>"}, {"silence_word": "a b"}])
def test_config_checks_itself(options: dict) -> None:
    with pytest.raises(ValueError, match="cannot be a word of the lexicon"):
        CmudictConfig(**options)


@pytest.mark.real
def test_equals_the_plain_definition_on_real_transcripts(corpora: Path, tmp_path: Path) -> None:
    """The dictionary of the peers' recipe, made again in the plainest way from its definition."""
    source = corpora / "cmudict" / "cmudict.dict"
    vocabulary = {"XYZZY"}
    with open(corpora / "text" / "librispeech-train-clean-100.txt") as text:
        for _, line in zip(range(500), text):
            vocabulary.update(line.split()[1:])
    of_word = defaultdict(list)
    for line in source.read_text().splitlines():
        word, *phones = line.split("#")[0].split()
        plain = [re.sub(r"\d", "", p) for p in phones]
        if plain not in of_word[key := re.sub(r"\(\d+\)$", "", word).upper()]:
            of_word[key].append(plain)
    known = sorted(w for w in vocabulary if w in of_word)
    lines = ["<UNK> SPN", "!SIL SIL", *(f"{w} {' '.join(p)}" for w in known for p in of_word[w])]

    phones, lexicon, missing = dictionary_from(read_cmudict(source), CmudictConfig(), sorted(vocabulary))
    write_dict_dir(tmp_path / "d", phones, lexicon)
    assert (tmp_path / "d/lexicon.txt").read_text() == "".join(line + "\n" for line in lines)
    used = sorted({p for w in known for pron in of_word[w] for p in pron})
    assert (tmp_path / "d/nonsilence_phones.txt").read_text() == "".join(p + "\n" for p in used)
    assert (tmp_path / "d/silence_phones.txt").read_text() == "SIL\nSPN\n"
    assert (tmp_path / "d/extra_questions.txt").read_text() == ""
    assert (tmp_path / "d/optional_silence.txt").read_text() == "SIL\n"
    assert missing == sorted(vocabulary - set(known))
