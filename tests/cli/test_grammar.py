"""`hybrid grammar`: what each command prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.formats.openfst import read_fst
from lexicon.symbols import SymbolTable

GRAMMAR = """#JSGF V1.0;
grammar phone;
public <command> = [please] call <contact> {contact} | <never>;
<contact> = /3/ anna | /1/ the doctor;
<never> = <VOID>;
<silent> = <NULL>;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "phone.gram").write_text(GRAMMAR)
    (tmp_path / "text.txt").write_text("Call Anna!\nplease call\ncall anna now\ncall the nurse\n")
    (tmp_path / "words.txt").write_text("CALL K AO L\nANNA AE N AH\nTHE DH AH\nDOCTOR D AA K T ER\n")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(command, ["grammar", *map(str, arguments)], catch_exceptions=False)
    return f"{result.output}exit {result.exit_code}"


def test_check_names_rules_words_and_sentences(folder: Path) -> None:
    gram, text = folder / "phone.gram", folder / "text.txt"
    assert (
        run("check", gram, "--text", text, "--words", folder / "words.txt")
        == f"""{gram}:6: rule <silent> cannot be reached
{gram}:5: rule <never> can never be said
{gram}:6: rule <silent> has no words
{gram}: 'PLEASE' has no pronunciation
{text}:1: accepted
{text}:2: stops at the end, wanted ANNA, THE
{text}:3: stops at 'NOW' (word 3), wanted the end
{text}:4: stops at 'NURSE' (word 3), wanted DOCTOR
{text}: 1 of 4 sentences accepted
exit 0"""
    )
    assert run("check", gram, "--strict").endswith("exit 1")
    assert run("check", gram, "--rule", "contact", "--no-normalise").endswith("exit 0")


def test_a_grammar_without_faults(folder: Path) -> None:
    (folder / "good.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <s> = a;")
    assert run("check", folder / "good.gram") == f"{folder}/good.gram: nothing wrong was found\nexit 0"


def test_info_sample_and_draw(folder: Path) -> None:
    gram = folder / "phone.gram"
    assert (
        "sentences: 4\nwords in a sentence: 2.75\n" in (told := run("info", gram))
        and "acceptor: 5 states, 6 arcs" in told
    )
    lines = run("sample", gram, "--count", 20, "--seed", 1).splitlines()
    assert len(lines) == 21 and {line.replace("please ", "") for line in lines[:-1]} == {"call anna", "call the doctor"}
    assert run("draw", gram, "--out", folder / "phone.html").endswith("phone.html: 4 rules\nexit 0")
    page = (folder / "phone.html").read_text()
    assert page.count("<svg") == 4 and "contact</text>" in page and ">0.75</text>" in page
    run("draw", gram, "--out", folder / "phone.svg")
    assert (folder / "phone.svg").read_text().startswith("<svg ")


def test_fst_takes_the_words_of_a_lang_folder(folder: Path) -> None:
    (folder / "lang").mkdir()
    table = SymbolTable(("<eps>", "ANNA", "CALL", "DOCTOR", "PLEASE", "THE", "#0"))
    table.write(folder / "lang" / "words.txt")
    assert "5 states, 6 arcs" in run("fst", folder / "phone.gram", "--lang", folder / "lang", "--out", folder / "G.fst")
    assert set(read_fst(folder / "G.fst").ilabels.tolist()) == {1, 2, 3, 4, 5}
    SymbolTable(("<eps>", "ANNA", "CALL", "THE", "#0")).write(folder / "lang" / "words.txt")
    result = CliRunner().invoke(command, ["grammar", "fst", str(folder / "phone.gram"), "--lang", str(folder / "lang"),
                                          "--out", str(folder / "H.fst")])  # fmt: skip
    assert "2 words are not in" in str(result.exception) and ": DOCTOR, PLEASE. Give them" in str(result.exception)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--grammar", "go.gram", "--grammar-weight", "0.2"], "--grammar-weight goes with --grammar and --sentences"),
        (["--sentences", "say.txt", "--rule", "go"], "--rule goes with --grammar"),
        (["--sentences", "say.txt", "--garbage", "0.5"], "--garbage goes with --grammar"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path: Path, monkeypatch, given: list[str], text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "go.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <go> = go left;\n")
    (tmp_path / "say.txt").write_text("go left\n")
    result = CliRunner().invoke(command, ["graph", "build", "--model", "en-small", *given, "--out-dir", "g"])
    assert result.exit_code == 2 and text in result.output
    assert not (tmp_path / "g").exists()


def test_a_boost_without_a_list_is_refused(tmp_path: Path) -> None:
    arguments = ["decode", "--model", "en-small", "--graph", "g", "--bias-boost", "3", "my.wav"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = CliRunner().invoke(command, arguments)
    assert "--bias-boost goes with --bias" in f"{result.output} {result.exception}"
