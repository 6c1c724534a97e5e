"""Counts of pronunciations and pauses, and probabilities from them, against a worked example and laws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError, MismatchError
from lexicon.dict_dir import read_dict_dir, write_dict_dir
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Lexicon, Pronunciation
from lexicon.lexicon_fst import silence_probability
from lexicon.phones import PhoneSet
from lexicon.pronunciation_counts import PronunciationCounts
from lexicon.pronunciation_probs import PronunciationConfig, reestimate
from lexicon.remake import remake_lang
from lexicon.validate import check_lang_dir

LAW = settings(deadline=None, max_examples=40)
SIL, AH, EY, SEE, UNK = ("<eps>", "SIL"), ("A", "AH"), ("A", "EY"), ("SEE", "S", "IY"), ("<UNK>", "SPN")
LEXICON = Lexicon(tuple(Pronunciation(item[0], item[1:]) for item in (UNK, AH, EY, SEE)))
UTTERANCES = ((SIL, AH, SEE, SIL), (AH, SIL, EY), (SIL, SEE, SIL, AH))
ANY = st.lists(st.lists(st.sampled_from([SIL, AH, EY, SEE]), max_size=6), min_size=1, max_size=8)


def counted(utterances) -> PronunciationCounts:
    counts = PronunciationCounts()
    for utterance in utterances:
        counts.add(utterance)
    return counts


def test_counts_by_hand() -> None:
    assert counted(UTTERANCES).to_files() == {
        "pron_counts_nowb.txt": "5 <eps> SIL\n3 A AH\n2 SEE S IY\n1 A EY\n",
        "sil_counts_nowb.txt": "1 2 0 0 </s>\n0 0 2 1 <s>\n2 1 1 2 A AH\n1 0 0 1 A EY\n1 1 2 0 SEE S IY\n",
        "pron_bigram_counts_nowb.txt": "2\t<s>\tA AH\n1\t<s>\tSEE S IY\n1\tA AH\t</s>\n1\tA AH\tA EY\n"
        "1\tA AH\tSEE S IY\n1\tA EY\t</s>\n1\tSEE S IY\t</s>\n1\tSEE S IY\tA AH\n",
    }


def test_probabilities_by_hand(tmp_path: Path) -> None:
    # Silence at 5 of 9 places: 0.56. P(s|A AH) = (1 + 2·0.56) / (3 + 2) = 0.42, of A EY 1.12/3 = 0.37, of SEE 0.78.
    # Before A AH: silence twice of three times; expected 2·0 (sentence begin) + 0.78 and 2·1 + 0.22: 4/2.78 and 3/4.22.
    # Before </s>: once of three; expected 0.78 + 0.37 + 0.42 = 1.57 and 1.43: 3/3.57 and 4/3.43.
    # A: (3 + 1) / 6 and (1 + 1) / 6 with six digits, then divided by the larger.
    phones = PhoneSet.from_phones(("SIL", "SPN"), ("AH", "EY", "IY", "S"))
    write_dict_dir(tmp_path / "d", phones, reestimate(LEXICON, counted(UTTERANCES)))
    assert (tmp_path / "d" / "lexiconp_silprob.txt").read_text() == (
        "<UNK> 1 0.56 1.00 1.00 SPN\nA 0.499999 0.37 1.24 0.78 EY\nA 1 0.42 1.44 0.71 AH\nSEE 1 0.78 1.24 0.84 S IY\n"
    )
    assert (tmp_path / "d" / "silprob.txt").read_text() == (
        "<s> 0.62\n</s>_s 0.840336134453781\n</s>_n 1.16618075801749\noverall 0.56\n"
    )
    assert (tmp_path / "d" / "lexiconp.txt").read_text() == "<UNK> 1 SPN\nA 0.499999 EY\nA 1 AH\nSEE 1 S IY\n"
    assert read_dict_dir(tmp_path / "d")[1] == reestimate(LEXICON, counted(UTTERANCES))


@LAW
@given(ANY, ANY)
def test_counts_of_parts_add_up_and_silence_before_is_silence_after(some, more) -> None:
    parts = counted(some)
    parts += counted(more)
    whole = counted([*some, *more])
    assert parts.to_files() == whole.to_files() and parts.utterances == whole.utterances
    for before, after in ((0, 2), (1, 3)):
        ahead = sum(counts[before] for counts in whole.neighbours.values())
        behind = sum(counts[after] for counts in whole.neighbours.values())
        # a run of pauses has one word on each side; a pause is never "none"
        assert ahead == behind


@LAW
@given(ANY, st.booleans())
def test_probabilities_keep_their_bounds(utterances, silence) -> None:
    counts = counted(utterances)
    if not any(item[0] != "<eps>" for item in counts.spoken):
        with pytest.raises(InputError, match=r"alignments: hold no word\. Align a set with transcripts first"):
            reestimate(LEXICON, counts)
        return
    shares = reestimate(LEXICON, counts, PronunciationConfig(max_normalise=False, silence=silence))
    scaled = reestimate(LEXICON, counts, PronunciationConfig(silence=silence))
    for word in LEXICON.words:
        assert sum(e.probability for e in shares.pronunciations(word)) == pytest.approx(1, abs=1e-5)
        assert max(e.probability for e in scaled.pronunciations(word)) == 1
    assert (scaled.silence_probs is not None) == silence == (scaled.form == "silprobs")
    for entry in scaled.entries if silence else ():
        after, before_silence, before_none = entry.silence
        assert 0.01 <= after <= 0.99 and before_silence >= 0.01 and before_none >= 0.01
    of = {(e.word, *e.phones): e.probability for e in scaled.entries}
    assert (of[AH] >= of[EY]) == (counts.spoken[AH] >= counts.spoken[EY])


def test_what_was_never_said_is_average() -> None:
    weighted = reestimate(LEXICON, counted(UTTERANCES))
    assert weighted.pronunciations("<UNK>") == [("<UNK>", ("SPN",), 1.0, (0.56, 1.0, 1.0))]


def test_without_any_silence_nothing_is_impossible() -> None:
    weighted = reestimate(LEXICON, counted([(AH, SEE)] * 500))
    assert weighted.silence_probs.overall == 0.01 and weighted.silence_probs.begin == 0.01
    assert {e.silence[0] for e in weighted.entries} == {0.01}
    always = reestimate(LEXICON, counted([(SIL, AH, SIL)] * 500))
    assert always.silence_probs.begin == 0.99 and always.silence_probs.overall == 1


def test_a_pronunciation_that_the_lexicon_lacks() -> None:
    with pytest.raises(MismatchError) as caught:
        reestimate(LEXICON, counted([(AH, ("SEE", "S", "EY")), (("SEE", "S", "EY"),)]))
    assert str(caught.value) == (
        "lexicon: lacks the pronunciation 'SEE S EY', which the alignments hold 2 times. "
        "Use the dictionary folder that the lang folder was made from."
    )


def test_settings_check_themselves() -> None:
    with pytest.raises(ValueError, match="silence_smoothing is 0, wanted more than 0"):
        PronunciationConfig(silence_smoothing=0)


SILPROB = {
    "lexiconp_silprob.txt": "<UNK> 1.0 0.2 1.0 1.0 SPN\n!SIL 1.0 0.5 1.1 0.9 SIL\nA 1.0 0.1 0.7 1.2 AH\n"
    "A 0.4 0.3 1.4 0.8 EY\nSEA 1.0 0.25 1.0 1.0 S IY\nSEE 1.0 0.35 0.9 1.3 S IY\nSEED 1.0 0.5 1.0 1.0 S IY D\n"
    "SEEDS 1.0 0.6 1.2 0.8 S IY D S\n",
    "lexiconp.txt": "<UNK> 1.0 SPN\n!SIL 1.0 SIL\nA 1.0 AH\nA 0.4 EY\nSEA 1.0 S IY\nSEE 1.0 S IY\nSEED 1.0 S IY D\n"
    "SEEDS 1.0 S IY D S\n",
    "silprob.txt": "<s> 0.93\n</s>_s 2.5\n</s>_n 0.07\noverall 0.2\n",
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"position_dependent_phones": False, "extra_phone_disambig": 3},
        {"share_silence_phones": True, "silence_prob": 0.0, "extra_word_disambig": ("#x",)},
    ],
)
def test_a_lang_folder_is_made_again_with_its_own_settings(
    make_lang: Callable, make_dict: Callable, tmp_path: Path, options: dict
) -> None:
    old = LangDir.load(make_lang(**options))
    again, weighted = tmp_path / "again", tmp_path / "weighted"
    remake_lang(tmp_path / "dict_of_lang", old, again)
    remake_lang(make_dict(SILPROB, "other"), old, weighted)
    for file in (p for p in old.path.rglob("*") if p.is_file() and p.name != "meta.json"):
        name = file.relative_to(old.path)
        assert (again / name).read_bytes() == file.read_bytes(), name
        if file.suffix != ".fst":
            assert (weighted / name).read_bytes() == file.read_bytes(), name
    assert not check_lang_dir(weighted)
    lang = LangDir.load(weighted)
    assert sorted(lang.pronunciations()) == sorted(old.pronunciations())
    assert not lang.find_clashes()
    assert lang.L_arrays().num_states != old.L_arrays().num_states


def test_another_dictionary_is_refused(make_lang: Callable, make_dict: Callable, tmp_path: Path) -> None:
    lang = LangDir.load(make_lang())
    with pytest.raises(MismatchError) as caught:
        remake_lang(make_dict({"lexicon.txt": "<UNK> SPN\nA AH\n"}, "small"), lang, tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'small'}: lacks the word '!SIL' of {lang.path} (2 words in the")
    with pytest.raises(MismatchError) as caught:
        more = make_dict(
            {"lexicon.txt": "<UNK> SPN\n!SIL SIL\nA AH\nSEA S IY\nSEE S IY\nSEED S D\nSEEDS S\nX S\n"}, "m"
        )
        remake_lang(more, lang, tmp_path / "out")
    assert str(caught.value).startswith(f"{lang.path}: lacks the word 'X' of {tmp_path / 'm'}")
    assert not (tmp_path / "out").exists()


def test_silence_probability_is_read_off_any_L(make_lang: Callable) -> None:
    for name, changes, options, wanted in (
        ("plain", {}, {"silence_prob": 0.3}, 0.3),
        ("none", {}, {"silence_prob": 0.0}, 0.0),
        ("unmarked", {}, {"silence_prob": 0.25, "position_dependent_phones": False}, 0.25),
        ("byword", SILPROB, {}, (0.2 + 0.5 + 0.1 + 0.3 + 0.25 + 0.35 + 0.5 + 0.6) / 8),
        ("byword2", SILPROB, {"position_dependent_phones": False}, 0.35),
    ):
        lang = LangDir.load(make_lang(changes, name, **options))
        for disambig in (False, True):
            found = silence_probability(lang.L_arrays(disambig), lang.optional_silence)
            assert found == pytest.approx(wanted, rel=1e-5), name
