"""`hybrid lang`: each command once, and how its mistakes end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hybrid.base.errors import HybridError
from hybrid.cli.main import command
from lexicon.lang_dir import LangDir
from lexicon.lexicon import Lexicon

Make = Callable[..., Path]


def hybrid(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["lang", *map(str, arguments)])


def test_prepare_validate_and_info(make_dict: Make, tmp_path: Path) -> None:
    folder = make_dict()
    done = hybrid("prepare", "--dict-dir", folder, "--out-dir", tmp_path / "lang", "--silence-prob", 0.4)
    assert done.exit_code == 0, done.output
    assert "<State> 4 <PdfClass> 4" in (tmp_path / "lang" / "topo").read_text()
    for place, kind in ((folder, "dictionary folder"), (tmp_path / "lang", "lang folder")):
        assert f"this {kind} is right (0 warnings)" in hybrid("validate", place).output
    shown = hybrid("info", tmp_path / "lang", "--word", "SEE", "--word", "XX", "--homophones").output
    assert "SEE S_B IY_E\n" in shown and "XX: not in the lexicon, recognised as <UNK>" in shown
    assert "SEA SEE: S_B IY_E" in shown and "words 7\npronunciations 8" in shown


def test_prepare_with_the_phones_of_a_model(make_dict: Make, make_lang: Make, tmp_path: Path) -> None:
    table = make_lang() / "phones.txt"
    small = make_dict(
        {"lexicon.txt": "<UNK> SPN\nICE IY S\n", "nonsilence_phones.txt": "IY\nS\n", "extra_questions.txt": ""}
    )
    done = hybrid("prepare", "--dict-dir", small, "--out-dir", tmp_path / "new", "--phones", table)
    assert done.exit_code == 0, done.output
    old, new = LangDir.load(table.parent), LangDir.load(tmp_path / "new")
    assert all(new.phones[p] == old.phones[p] for p in ("SIL", "IY_B", "S_E", "#0"))


def test_validate_lists_problems_and_fails(make_dict: Make) -> None:
    folder = make_dict({"lexicon.txt": "<UNK> SPN\nA AX\nB\nC AX\n"})
    done = hybrid("validate", folder, "--limit", 2)
    assert done.exit_code == 1 and isinstance(done.exception, HybridError)
    assert str(done.exception).endswith("dict: 3 errors in this dictionary folder. Mend them and check again.")
    lines = done.output.splitlines()
    assert len(lines) == 3 and lines[0].startswith("error: ") and lines[2] == "… and 1 more (--limit shows them)"


def test_cmudict(tmp_path: Path) -> None:
    (tmp_path / "c.dict").write_text("hello HH AH0 L OW1\nworld W ER1 L D\n")
    (tmp_path / "v.txt").write_text("u1 HELLO XYZZY\n")
    (tmp_path / "names.txt").write_text("ADA EY D AH\n")
    out = tmp_path / "d"
    done = hybrid(
        "cmudict", "--cmudict", tmp_path / "c.dict", "--vocabulary", tmp_path / "v.txt", "--with-ids",
        "--extra", tmp_path / "names.txt", "--out-dir", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (out / "failed.txt").read_text() == "XYZZY not in the dictionary\n"
    assert Lexicon.read(out / "lexicon.txt").words == ("!SIL", "<UNK>", "ADA", "HELLO")


def test_grapheme_sentencepiece_and_oov(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\nthat rat ate the oats\n" * 10)
    assert hybrid("grapheme", "--vocabulary", text, "--out-dir", tmp_path / "g").exit_code == 0
    assert "cat c a t\n" in (tmp_path / "g/lexicon.txt").read_text()
    arguments = ("sentencepiece", "--vocabulary", text, "--out-dir", tmp_path / "p")
    assert hybrid(*arguments, "--train-text", text, "--vocab-size", 25).exit_code == 0
    again = hybrid("sentencepiece", "--vocabulary", text, "--out-dir", tmp_path / "q", "--model", tmp_path / "p.model")
    assert again.exit_code == 0
    assert (tmp_path / "p/lexicon.txt").read_text() == (tmp_path / "q/lexicon.txt").read_text()
    assert "Give either --model or --train-text" in hybrid(*arguments).output

    (tmp_path / "new.txt").write_text("the dog sat\nthe dog\n")
    done = hybrid("oov", tmp_path / "new.txt", "--lexicon", tmp_path / "g/lexicon.txt", "--out", tmp_path / "oov.tsv")
    assert done.output.startswith("2 of 5 tokens (40.00 %)") and "       2 dog  (line 1)" in done.output
    assert (tmp_path / "oov.tsv").read_text().splitlines()[1] == "dog\t2\tline 1"


def test_oov_against_a_lang_folder(make_lang: Make, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("SEE A SEA\n")
    lang = make_lang()
    assert hybrid("oov", tmp_path / "t.txt", "--lang", lang).output.startswith("0 of 3 tokens")
    assert hybrid("oov", tmp_path / "t.txt", "--lang", lang / "words.txt").output.startswith("0 of 3 tokens")
    assert "Give either --lexicon or --lang" in hybrid("oov", tmp_path / "t.txt").output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("grapheme", "--out-dir", "x"), "Give at least one --vocabulary"),
        (
            ("prepare", "--dict-dir", "x", "--out-dir", "y", "--silence-prob", "1"),
            "--silence-prob is 1.0; wanted at least 0",
        ),
        (
            ("prepare", "--dict-dir", "x", "--out-dir", "y", "--num-silence-states", "2"),
            "silence has 1 state, or 3 and",
        ),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], message: str) -> None:
    done = hybrid(*arguments)
    assert done.exit_code == 2 and message in done.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hybrid.cli.language import lang; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'torch', 'numba', 'kaldifst', 'sentencepiece', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
