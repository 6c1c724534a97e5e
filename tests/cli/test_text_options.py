"""One normaliser behind every command: what lang, lm, data and score make of the same awkward text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.data.manifest import read_cuts
from lm.arpa import read_arpa

CMUDICT = """please P L IY1 Z
call K AO1 L
peter P IY1 T ER0
don't D OW1 N T
no N OW1
boy B OY1
read R EH1 D
read(2) R IY1 D
"""
SENTENCES = "'Please call' Peter.\nDon´t call!\n[noise] No, please--call\u00a0Peter\n<s> no </s>\n"
WANTED = "PLEASE CALL PETER\nDON'T CALL\nNO PLEASE CALL PETER\nNO\n"


def hybrid(*arguments: object, fails: str = "") -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if fails:
        assert result.exception is not None and fails in str(result.exception), (result.output, result.exception)
        return str(result.exception)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def lang(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lang")
    (root / "cmudict").write_text(CMUDICT)
    (root / "s.txt").write_text(SENTENCES)
    hybrid("lang", "cmudict", "--cmudict", root / "cmudict", "--vocabulary", root / "s.txt", "--out-dir", root / "dict")
    hybrid("lang", "prepare", "--dict-dir", root / "dict", "--tags", "[laugh]=", "--out-dir", root / "lang")
    return root / "lang"


def test_the_dictionary_of_a_raw_text(lang: Path) -> None:
    words = (lang / "words.txt").read_text().split()[::2]
    assert words == ["<eps>", "!SIL", "<UNK>", "CALL", "DON'T", "NO", "PETER", "PLEASE", "#0", "<s>", "</s>"]
    assert (lang / "text.yaml").read_text() == "normalise: true\ncase: lexicon\ntags:\n- '[laugh]='\nspoken: false\n"


def test_lm_and_oov_see_the_same_words(lang: Path, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(SENTENCES)
    (tmp_path / "right.txt").write_text(WANTED)
    for name in ("raw", "right"):
        hybrid("lm", "train", tmp_path / f"{name}.txt", "--order", 2, "--smoothing", "witten-bell", "--lang", lang,
               "--out", tmp_path / f"{name}.arpa")  # fmt: skip
        hybrid("lm", "fst", tmp_path / f"{name}.arpa", "--lang", lang, "--out", tmp_path / f"{name}.fst")
    assert (tmp_path / "raw.arpa").read_bytes() == (tmp_path / "right.arpa").read_bytes()
    assert (tmp_path / "raw.fst").read_bytes() == (tmp_path / "right.fst").read_bytes()
    told = hybrid("lang", "oov", tmp_path / "raw.txt", "--lang", lang)
    assert told.startswith("0 of 10 tokens (0.00 %)") and "3 tags dropped or mapped ([noise] 1, <s> 1, </s> 1)" in told
    assert hybrid("lang", "oov", tmp_path / "raw.txt", "--lang", lang, "--no-normalise").startswith("12 of 12 tokens")


def test_a_mass_loss_is_an_error(lang: Path, tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text("No, PLEASE. call, CALL! Call call\nNo NO no\n")
    hybrid(
        "lm", "train", tmp_path / "raw.txt", "--order", 1, "--smoothing", "witten-bell", "--out", tmp_path / "a.arpa"
    )
    cure = "Train it with `hybrid lm train --lang`"
    told = hybrid("lm", "fst", tmp_path / "a.arpa", "--lang", lang, "--out", tmp_path / "G.fst", fails=cure)
    assert "words are not in words.txt" in told and "words differ only in case or marks (e.g. '" in told
    assert not (tmp_path / "G.fst").exists()
    hybrid("lm", "fst", tmp_path / "a.arpa", "--lang", lang, "--max-left-out", 1, "--out", tmp_path / "G.fst")
    (tmp_path / "lower.txt").write_text("no please call\ncall peter\n")
    hybrid("lm", "train", tmp_path / "lower.txt", "--order", 2, "--smoothing", "witten-bell", "--vocabulary",
           lang / "words.txt", "--out", tmp_path / "b.arpa",
           fails="no word of the vocabulary: 4 of 4 words differ only in case (e.g. 'call' for 'CALL')")  # fmt: skip
    hybrid(
        "lm", "train", tmp_path / "lower.txt", "--order", 2, "--smoothing", "witten-bell", "--out", tmp_path / "b.arpa"
    )
    hybrid("lm", "fst", tmp_path / "b.arpa", "--lang", lang, "--out", tmp_path / "G.fst")  # one spelling each: found
    hybrid("lm", "fst", tmp_path / "b.arpa", "--lang", lang, "--no-normalise", "--out", tmp_path / "G.fst", fails=cure)


@pytest.mark.parametrize("symbol", ["<eps>", "#0"])
def test_symbols_of_graphs_are_refused_at_the_first(lang: Path, tmp_path: Path, symbol: str) -> None:
    (tmp_path / "t.txt").write_text(f"NO CALL\nNO\n\nCALL {symbol} NO\n")
    fails = f"t.txt:4: '{symbol}' stands in the text, where only words may stand. Remove it."
    for more in ([], ["--lang", lang], ["--vocabulary", lang / "words.txt"], ["--no-normalise"]):
        hybrid("lm", "train", tmp_path / "t.txt", *more, "--out", tmp_path / "x.arpa", fails=fails)
    hybrid("lang", "oov", tmp_path / "t.txt", "--lang", lang, fails=fails)
    hybrid("lang", "grapheme", "--vocabulary", tmp_path / "t.txt", "--out-dir", tmp_path / "d", fails=fails)
    (tmp_path / "x.arpa").write_text(
        f"\\data\\\nngram 1=4\n\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 NO\n-1 {symbol}\n\n\\end\\\n"
    )
    hybrid("lm", "fst", tmp_path / "x.arpa", "--lang", lang, "--out", tmp_path / "G.fst",
           fails=f"x.arpa:8: holds the word '{symbol}', which belongs to graphs")  # fmt: skip


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u3000", "\u2028", "\x0b", "\x1f", "\x07", "\u0085", "\u200b"])
def test_one_white_space(lang: Path, tmp_path: Path, blank: str) -> None:
    (tmp_path / "t.txt").write_text(f"NO{blank}CALL\nPETER\n", encoding="utf-8")
    assert hybrid("lang", "oov", tmp_path / "t.txt", "--lang", lang, "--no-normalise").startswith("0 of 3 tokens")
    for more in ([], ["--lang", lang], ["--no-normalise"]):
        hybrid(
            "lm",
            "train",
            tmp_path / "t.txt",
            "--order",
            1,
            "--smoothing",
            "witten-bell",
            *more,
            "--out",
            tmp_path / "x.arpa",
        )
        assert read_arpa(tmp_path / "x.arpa").vocabulary.symbols[3:] == ["CALL", "NO", "PETER"]


def test_one_unicode_form(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "café")
    (tmp_path / "t.txt").write_text(f"café {nfd}\nthé the\u0301\n" * 2, encoding="utf-8")
    hybrid("lm", "train", tmp_path / "t.txt", "--order", 1, "--smoothing", "witten-bell", "--out", tmp_path / "x.arpa")
    assert read_arpa(tmp_path / "x.arpa").vocabulary.symbols[3:] == ["café", "thé"]
    (tmp_path / "ref").write_text("u1 café the\nu2 don't\n", encoding="utf-8")
    (tmp_path / "hyp").write_text(f"u1 {nfd} the\nu2 don’t\n", encoding="utf-8")
    assert "WER 0.00" in hybrid("score", "--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp").replace("%", "")
    assert "WER 66.67" in hybrid(
        "score", "--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp", "--no-normalise"
    ).replace("%", "")


def test_scores_in_the_lexicons_spelling(lang: Path, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("u1 Please call, Peter!\nu2\tDon’t\n")
    (tmp_path / "hyp").write_text("u1 PLEASE CALL PETER\nu2 DON'T\n")
    told = hybrid("score", "--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp", "--lang", lang)
    assert "WER 0.00" in told.replace("%", "")


def test_own_audio_in_the_lexicons_spelling(lang: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    (tmp_path / "a.txt").write_text("'Please call' Peter[noise]\n[laugh] no\n")
    hybrid("data", "from-audio", tmp_path / "a.wav", "--lang", lang, "--out-dir", tmp_path / "d")
    assert [c.text for c in read_cuts(tmp_path / "d")] == ["PLEASE CALL PETER NO"]
    hybrid("data", "from-audio", tmp_path / "a.wav", "--no-normalise", "--out-dir", tmp_path / "e")
    assert [c.text for c in read_cuts(tmp_path / "e")] == ["'Please call' Peter[noise] [laugh] no"]


def test_phones_that_a_model_lacks(tmp_path: Path) -> None:
    (tmp_path / "cmudict").write_text(CMUDICT + "toy T OY1\nrouge R UW1 ZH\n")
    (tmp_path / "v.txt").write_text("please call Peter read no\n")
    hybrid(
        "lang",
        "cmudict",
        "--cmudict",
        tmp_path / "cmudict",
        "--vocabulary",
        tmp_path / "v.txt",
        "--out-dir",
        tmp_path / "d",
    )
    hybrid("lang", "prepare", "--dict-dir", tmp_path / "d", "--out-dir", tmp_path / "l")
    phones = tmp_path / "l" / "phones.txt"
    (tmp_path / "w.txt").write_text("please boy toy\nrouge read\n")
    made = ["lang", "cmudict", "--cmudict", tmp_path / "cmudict", "--vocabulary", tmp_path / "w.txt"]
    hybrid(*made, "--out-dir", tmp_path / "all")
    told = hybrid(
        "lang",
        "prepare",
        "--dict-dir",
        tmp_path / "all",
        "--phones",
        phones,
        "--out-dir",
        tmp_path / "l2",
        fails="lacks",
    )
    assert "lacks 4 phones of the dictionary: B (BOY; nearest: " in told and "OY (BOY, TOY; nearest: AO or OW)" in told
    assert "ZH (ROUGE; nearest: Z or " in told
    hybrid(*made, "--phones", phones, "--out-dir", tmp_path / "some")
    assert (tmp_path / "some" / "lexicon.txt").read_text().split("\n")[2:-1] == [
        "PLEASE P L IY Z",
        "READ R EH D",
        "READ R IY D",
    ]
    assert "ROUGE needs phone ZH, which the model lacks" in (tmp_path / "some" / "failed.txt").read_text().replace(
        "\t", " "
    )
    hybrid("lang", "prepare", "--dict-dir", tmp_path / "some", "--phones", phones, "--out-dir", tmp_path / "l2")


def test_twins_and_variants_are_warned_of(tmp_path: Path) -> None:
    hybrid("lang", "grapheme", "--vocabulary", _file(tmp_path / "v", "read café\n"), "--out-dir", tmp_path / "d")
    lexicon = (tmp_path / "d" / "lexicon.txt").read_text()
    nfd = unicodedata.normalize("NFD", "café")
    (tmp_path / "d" / "meta.json").unlink()
    (tmp_path / "d" / "lexicon.txt").write_text(lexicon + f"read(2) r e d\n{nfd} c a f é\n", encoding="utf-8")
    told = hybrid("lang", "validate", tmp_path / "d")
    assert "warning" in told and "'read(2)' is a word of its own; wanted a further line of 'read'" in told
    assert f"'{nfd}' is a word of its own; wanted the word of line" in told and "(2 warnings)" in told


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
