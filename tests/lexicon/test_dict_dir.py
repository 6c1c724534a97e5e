"""lexicon.dict_dir: dictionary folders and the messages of their mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from lexicon.dict_dir import check_dict_dir, read_dict_dir, write_dict_dir
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.phones import PhoneSet
from lexicon.silence import SilenceProbs

Make = Callable[..., Path]
PROBS = SilenceProbs(0.9, 1.5, 0.5, 0.2)
PHONES = PhoneSet.from_phones(("SIL", "SPN"), ("a", "b"))


def test_small_folder_is_right(make_dict: Make) -> None:
    phones, lexicon, problems = check_dict_dir(make_dict())
    assert not problems and phones is not None and lexicon is not None
    assert (len(phones), len(lexicon), lexicon.form) == (7, 8, "plain")


@pytest.mark.parametrize(
    "lexicon",
    [
        Lexicon((Pronunciation("A", ("a",)), Pronunciation("A", ("b",)))),
        Lexicon((Pronunciation("A", ("a",)), Pronunciation("A", ("b",), 0.25))),
        Lexicon((Pronunciation("A", ("a",), 0.5, (0.5, 1.5, 0.1)),), PROBS),
    ],
)
def test_save_and_load_is_identity(tmp_path: Path, lexicon: Lexicon) -> None:
    write_dict_dir(tmp_path / "d", PHONES, lexicon)
    assert read_dict_dir(tmp_path / "d") == (PHONES, lexicon)
    write_dict_dir(tmp_path / "d", PHONES, lexicon)  # in the place of the older one


@pytest.mark.peer
def test_peers_folders_are_right(peers: Path) -> None:
    plain, weighted = (read_dict_dir(peers / "lang_small" / d)[1] for d in ("dict", "dictp"))
    assert [e[:2] for e in plain.entries] == [e[:2] for e in weighted.entries]
    assert (plain.form, weighted.form) == ("plain", "probs")


@pytest.mark.parametrize(
    "changes, messages",
    [
        ({"lexicon.txt": None}, ["dict: holds no lexicon; wanted lexicon.txt ('word phone …') or lexiconp.txt"]),
        ({"lexicon.txt": ""}, ["lexicon.txt: the file is empty"]),
        ({"lexicon.txt": b"<UNK> SPN\nCAF\xc9 S\n"}, ["lexicon.txt:2: byte 0xc9 is not UTF-8 text. Convert it"]),
        (
            {"lexicon.txt": "<UNK> SPN\r\nA AH\r\n"},
            ["lexicon.txt:1: carriage return (Windows line ends, 2 in the file)"],
        ),
        (
            {"lexicon.txt": "<UNK> SPN\nTOY T OY3\n"},
            ["lexicon.txt:2: word 'TOY' uses phone 'T', absent from silence_phones.txt and nonsilence_phones.txt (7"],
        ),
        (
            {"lexicon.txt": "<UNK> SPN\nTOY\nA AH\nA AH\n<s> SIL\n"},
            [
                "lexicon.txt:2: word 'TOY' has no pronunciation",
                "lexicon.txt:4: word 'A' has the",
                "lexicon.txt:5: '<s>'",
            ],
        ),
        ({"silence_phones.txt": None}, ["silence_phones.txt: the file does not exist"]),
        ({"silence_phones.txt": ""}, ["silence_phones.txt: the file is empty"]),
        ({"nonsilence_phones.txt": "AH\n\nD\nEY\nIY\nS\n"}, ["nonsilence_phones.txt:2: an empty line"]),
        (
            {"nonsilence_phones.txt": "AH\nD\nEY\nIY\nS\nAH\n"},
            ["nonsilence_phones.txt:6: phone 'AH' stands in line 1 already; wanted each phone once. Remove one"],
        ),
        (
            {"nonsilence_phones.txt": "AH\nD\nEY\nIY\nS\nSIL\n"},
            ["nonsilence_phones.txt:6: phone 'SIL' is a silence phone already; wanted silence and non-silence"],
        ),
        (
            {"nonsilence_phones.txt": "AH\nD\nEY\nIY\nS\nX_B\n#1\n<eps>\n"},
            [
                "nonsilence_phones.txt:6: phone 'X_B' ends in _B, _E, _I or _S as phones marked for word position do",
                "nonsilence_phones.txt:7: phone '#1' starts with '#'",
                "nonsilence_phones.txt:8: phone '<eps>' is the name of epsilon",
            ],
        ),
        (
            {"optional_silence.txt": "AH\n"},
            ["optional_silence.txt:1: found 'AH'; wanted one line with one of the 2 phones of silence_phones.txt."],
        ),
        ({"optional_silence.txt": "SIL\nSPN\n"}, ["optional_silence.txt:1: found 'SIL SPN'; wanted one line"]),
        (
            {"extra_questions.txt": "AH QQ\n\n"},
            ["extra_questions.txt:1: phone 'QQ' is absent from", "extra_questions.txt:2: an empty line"],
        ),
        (
            {"nonsilence_phones.txt": "AH EY\nD\nIY\nS\n"},
            [
                "nonsilence_phones.txt:1: phones 'AH' and 'EY' share a tree root and no question tells them apart; "
                "wanted a line of extra_questions.txt that holds one of them and not the other. Add such a line"
            ],
        ),
        (
            {"lexiconp.txt": "<UNK> 1 SPN\n"},
            ["lexiconp.txt: has 1 lines and lexicon.txt has 8; wanted the same pronunciations in both."],
        ),
        (
            {"lexicon.txt": "<UNK> SPN\nA AH\n", "lexiconp.txt": "<UNK> 1 SPN\nA 1 EY\n"},
            ["lexiconp.txt:2: 'A EY'; wanted 'A AH' as in line 2 of lexicon.txt"],
        ),
        (
            {"lexicon.txt": None, "lexiconp_silprob.txt": "<UNK> 1 0.5 1 1 SPN\n", "silprob.txt": "<s> 1\n"},
            ["dict: holds no lexicon"],
        ),
        (
            {"lexicon.txt": "<UNK> SPN\n", "lexiconp_silprob.txt": "<UNK> 1 0.5 1 1 SPN\n"},
            ["silprob.txt: the file does not exist"],
        ),
        ({"nonterminals.txt": "#nonterm:x\n"}, ["nonterminals.txt: nonterminals are not supported. Remove it"]),
    ],
)
def test_message_of_each_mistake(make_dict: Make, changes: dict, messages: list[str]) -> None:
    folder = make_dict(changes)
    phones, lexicon, problems = check_dict_dir(folder)
    assert phones is None and lexicon is None
    told = [str(p) for p in problems]
    for message in messages:
        assert any(message in line for line in told), told
    assert all(line.startswith(str(folder)) and "\n" not in line for line in told)
    with pytest.raises(InputError, match="dict"):
        read_dict_dir(folder)


def test_message_of_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no: is no folder; wanted a dictionary folder .* Correct the path"):
        read_dict_dir(tmp_path / "no")
