"""lexicon.words.normaliser: what a word is, in many scripts, marks and cases, with a lexicon and without."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.words.blanks import byte_blanks, cut_key, split_words
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser, check_loss
from lexicon.words.spelling import Spelling, folded, told_loss

LAW = settings(deadline=None, max_examples=150)
ENGLISH = ["PLEASE", "CALL", "PETER", "DON'T", "NO", "YOU", "<UNK>", "DOGS'", "'TIS"]
BLANKS = sorted(
    {c for c in map(chr, range(0x110000)) if c.isspace() or unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc")}
)


def words(text: str, lexicon: list[str] | None = None, **settings: object) -> list[str]:
    return Normaliser(TextConfig(**settings), lexicon).words(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "lexicon", "wanted"),
    [
        ("'Please call' Peter", ENGLISH, ["PLEASE", "CALL", "PETER"]),
        ("'Please call' Peter", None, ["PLEASE", "CALL", "PETER"]),
        ("No, call you! (please) «Peter»…", ENGLISH, ["NO", "CALL", "YOU", "PLEASE", "PETER"]),
        ("don´t don`t donʼt don’t don＇t don‛t", ENGLISH, ["DON'T"] * 6),
        ("don´t don`t donʼt don’t", None, ["DON'T"] * 4),
        ("Please--call please—call please-call PLEASE‐CALL", ENGLISH, ["PLEASE", "CALL"] * 4),
        ("co-op please-sir", ENGLISH, ["CO-OP", "PLEASE-SIR"]),
        ("ple\u00adase ca\u2060ll", ENGLISH, ["PLEASE", "CALL"]),
        ("'Tis the dogs' 'no' 'no", ENGLISH, ["'TIS", "THE", "DOGS'", "NO", "NO"]),
        ("the dogs' tail 'tis", None, ["THE", "DOGS'", "TAIL", "'TIS"]),
        ("rock 'n' roll", None, ["ROCK", "N", "ROLL"]),
        ("“Don’t—stop!” he said... 3 co-ops", None, ["DON'T", "STOP", "HE", "SAID", "3", "CO-OPS"]),
        ("- ... ' —", None, []),
        ("Größe наука", None, ["GRÖSSE", "НАУКА"]),
        ("Bitte straße ılık", ["Bitte", "straße", "ılık"], ["Bitte", "straße", "ılık"]),
        ("BITTE STRASSE ILIK", ["Bitte", "straße", "ılık"], ["Bitte", "straße", "ılık"]),
        ("İstanbul'da ISTANBUL", ["istanbul", "istanbul'da"], ["istanbul'da", "istanbul"]),
        ("ΟΔΥΣΣΕΥΣ οδυσσευς", ["Οδυσσευς"], ["Οδυσσευς"] * 2),
        ("ﬁne ＡＢ", ["fine", "ab"], ["fine", "ab"]),
        ("می\u200cخواهم", ["می\u200cخواهم"], ["می\u200cخواهم"]),
        ("می\u200cخواهم", ["میخواهم"], ["میخواهم"]),
        ("می\u200cخواهم، नमस्ते।", None, ["می\u200cخواهم", "नमस्ते"]),
        ("ภาษา\u200bไทย", None, ["ภาษา", "ไทย"]),
        ("中文，字。", None, ["中文", "字"]),
        ("בֵּית־סֵפֶר", ["בֵּית", "סֵפֶר"], ["בֵּית", "סֵפֶר"]),
        ("U.S.A. a.m. Mr. AT&T new_york", ["a.m.", "mr."], ["u", "s", "a", "a.m.", "mr.", "at", "t", "new", "york"]),
        ("Polish POLISH polish", ["Polish", "polish"], ["Polish", "polish", "polish"]),
        ("▁ple ase@@ <UNK> !SIL", ["▁ple", "ase@@", "<UNK>", "!SIL"], ["▁ple", "ase@@", "<UNK>", "!SIL"]),
    ],
)  # fmt: skip
def test_right_words(text: str, lexicon: list[str] | None, wanted: list[str]) -> None:
    assert words(text, lexicon) == wanted


@pytest.mark.parametrize("word", ["café", "Å", "뷁", "ở", "ў"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_unicode_form_is_the_lexicons(word: str, form: str) -> None:
    of_lexicon, other = (
        unicodedata.normalize(form, word),
        unicodedata.normalize("NFC" if form == "NFD" else "NFD", word),
    )
    both = Normaliser(lexicon=[of_lexicon])
    assert both.words(f"{other} {of_lexicon} {other.upper()}") == [of_lexicon] * 3
    assert both.changes.kinds["Unicode form"] >= 1


@pytest.mark.parametrize("blank", BLANKS)
def test_every_blank_parts_words_and_bytes_alike(blank: str) -> None:
    text = f"ab{blank}cd"
    assert split_words(text) == words(text, case="keep") == words(text, normalise=False) == ["ab", "cd"]
    assert cut_key(f"utt{blank}ab cd") == ("utt", "ab cd")
    if blank != "\0":
        assert byte_blanks(text.encode()).split() == [b"ab", b"cd"]
        assert len(byte_blanks(text.encode())) == len(text.encode())


@LAW
@given(st.text(max_size=60))
def test_words_hold_no_blank_and_stay_when_normalised_again(text: str) -> None:
    text = text.replace("<eps>", "").replace("#0", "")
    for case in ("upper", "keep"):
        once = words(text, case=case)
        assert all(split_words(w) == [w] and "-" not in (w[0], w[-1]) for w in once)
        again = words(" ".join(w for w in once if "'" not in (w[0], w[-1])), case=case)
        assert [w.replace("-", "") for w in again] == [w.replace("-", "") for w in once if "'" not in (w[0], w[-1])]


@LAW
@given(st.lists(st.text(st.characters(categories=("L", "M")), min_size=1, max_size=6), min_size=1, max_size=6))
def test_every_word_of_a_lexicon_is_itself(lexicon: list[str]) -> None:
    assert words(" ".join(lexicon), lexicon) == lexicon
    spelling = Spelling(lexicon)
    assert all(spelling.find(w) == (w, "") and spelling.find(w.upper()) is not None for w in lexicon if w.isalpha())


SPELT = ["Ab", "AB", "ab", "A'b", "A\u2019b", "\u00c9", "E\u0301", "\u00e9", "<s>", "stra\u00dfe", "STRASSE"]
FEW = st.lists(st.sampled_from(SPELT))


@LAW
@given(FEW, FEW, FEW)
def test_more_words_are_found_as_if_all_came_at_once(words: list[str], more: list[str], asked: list[str]) -> None:
    once, later = Spelling(words + more, ("<s>",)), Spelling(more, ("<s>",), Spelling(words, ("<s>",)))
    assert [once.find(word) for word in asked] == [later.find(word) for word in asked]
    assert once.words == later.words and sorted(once.twins()) == sorted(later.twins())


def test_tags_are_dropped_mapped_or_words() -> None:
    normaliser = Normaliser(TextConfig(tags=("[noise]=<NOISE>", "<i>=")), ENGLISH)
    text = "<s> no [noise] <i>please</i> {NUMBER} <unk> [long noise] <spoken-noise> </s>"
    assert normaliser.words(text) == ["NO", "<NOISE>", "PLEASE", "<UNK>"]
    assert normaliser.changes.tags == dict.fromkeys(
        ["<s>", "[noise]", "</i>", "{NUMBER}", "[long noise]", "<spoken-noise>", "</s>"], 1
    )
    assert words("a < b and c > d", case="keep") == ["a", "b", "and", "c", "d"]


@pytest.mark.parametrize("symbol", ["<eps>", "#0"])
@pytest.mark.parametrize("normalise", [True, False])
def test_symbols_of_graphs_are_refused(symbol: str, normalise: bool) -> None:
    with pytest.raises(InputError, match=f"t.txt:7: '{symbol}' stands in the text, where only words may stand. Remove"):
        Normaliser(TextConfig(normalise=normalise)).words(f"a {symbol} b", "t.txt", 7)
    assert words("we're #01 <epsilon>", case="keep") == ["we're", "01"]


def test_changes_are_counted() -> None:
    normaliser = Normaliser(lexicon=ENGLISH)
    normaliser.words("no NO No, [x] [x] cafe\u0301")
    assert normaliser.changes.told() == ("3 words changed (2 in case, 1 in marks); 2 tags dropped or mapped ([x] 2)")
    assert normaliser.changes.outside == {"CAFÉ": 1} and normaliser.changes.words == 4
    assert Normaliser(lexicon=["a"]).changes.told() == ""


def test_case_of_unknown_words_follows_the_lexicon() -> None:
    assert words("Neu", ["ALT", "<unk>"]) == ["NEU"] and words("Neu", ["alt", "!SIL"]) == ["neu"]
    assert words("Neu", ["Alt", "jung"]) == ["Neu"] and words("Neu", ["alt"], case="upper") == ["NEU"]
    assert words("Neu 'n “Wort”.", ["ALT"], normalise=False) == ["Neu", "'n", "“Wort”."]


def test_a_mass_loss_is_told() -> None:
    spelling = Spelling(ENGLISH)
    assert told_loss(["no", "you", "xyz"], 3, spelling) == "2 of 3 words differ only in case (e.g. 'no' for 'NO')"
    with pytest.raises(InputError, match=r"text: 1 of 1 words differ only in marks \(e.g. 'NO,' for 'NO'\). Mend it."):
        check_loss({"NO,": 6}, 10, spelling, "text", "Mend it.")
    check_loss({"NO,": 5}, 10, spelling, "text", "Mend it.")
    check_loss({"XYZ": 9}, 10, spelling, "text", "Mend it.")


def test_settings_in_the_folder(tmp_path: Path) -> None:
    config = TextConfig(False, "lower", ("[noise]=<NOISE>", "<i>="))
    assert TextConfig.of_folder(tmp_path) == TextConfig()
    config.write(tmp_path)
    assert TextConfig.of_folder(tmp_path) == config and config.table == {"[noise]": "<NOISE>", "<i>": ""}
    (tmp_path / "text.yaml").write_text("cases: upper\n")
    with pytest.raises(
        InputError, match=r"text.yaml: unknown setting 'cases'. Settings are: normalise, case, tags, spoken."
    ):
        TextConfig.of_folder(tmp_path)
    for bad in (("x",), ("=W",), ("[x]=two words",), ("[x]=<eps>",)):
        with pytest.raises(ValueError, match="wanted TAG=WORD"):
            TextConfig(tags=bad)


def test_twins_of_a_lexicon() -> None:
    nfd = unicodedata.normalize("NFD", "café")
    assert list(Spelling(["café", nfd, "don't", "don’t", "x"]).twins()) == [(nfd, "café"), ("don't", "don’t")]
    assert folded("ılık") == folded("ILIK") == "ilik"
