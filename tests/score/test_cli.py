"""`hybrid score` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hybrid.base.artifact import write_meta
from hybrid.cli.score import command
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.lattice import Lattice
from hybrid.score.results import read_results
from lexicon.symbols import SymbolTable


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text("u1 A B\nu2 B\n")
    (tmp_path / "hyp").write_text("u1 A B\nu2 C\n")
    (tmp_path / "other").write_text("u1 B\nu2 C C\n")
    (tmp_path / "cost.json").write_text('{"cpu_s": 12.34, "max_gb": 0.5}')
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(command, [str(w) for w in words])


def test_transcript(files: Path) -> None:
    row = [
        "--results",
        files / "r.tsv",
        "--system",
        "mono",
        "--set",
        "test",
        "--lm",
        "loop",
        "--cost",
        files / "cost.json",
    ]
    done = call(
        "--ref", files / "ref", "--hyp", files / "hyp", "--compare", files / "other", "--out-dir", files / "s", *row
    )
    assert done.exit_code == 0, done.output
    assert "WER 33.33 % [ 1 / 3, 0 ins, 0 del, 1 sub ]" in done.output
    assert "B → C" in done.output
    assert "MAPSSWE: 2 segments" in done.output
    values = json.loads((files / "s" / "score.json").read_text())
    assert values["wer"]["errors"] == 1
    assert values["compare"]["wer_against"] == 100.0
    assert (files / "s" / "hyp.txt").read_text() == "u1 A B\nu2 C\n"
    assert "u2 op S\nu2 #csid 0 1 0 0\n" in (files / "s" / "per_utt.txt").read_text()
    (row_found,) = read_results(files / "r.tsv")
    assert (row_found.key, row_found.cpu_s, row_found.max_gb) == (("mono", "test", "loop"), 12.3, 0.5)


def test_sweep_tuned_on_another_set(files: Path, words: SymbolTable, two_paths: Lattice) -> None:

    words.write(files / "words.txt")
    for name in ("dev", "test"):
        write_lattices(files / name / "lat.1.gz", [(f"{name}1", two_paths)])
    (files / "dev.txt").write_text("dev1 C\n")
    (files / "test.txt").write_text("test1 A B\n")
    common = ["--words", files / "words.txt", "--lm-weights", "6,8", "--penalties", "0", "--out-dir", files / "s"]
    here = ["--ref", files / "test.txt", "--lattices", files / "test"]
    there = ["--tune-ref", files / "dev.txt", "--tune-lattices", files / "dev"]
    done = call(*here, *common, *there)
    assert done.exit_code == 0, done.output
    assert "LM weight 6, word insertion penalty 0 (chosen on" in done.output
    assert "WER 100.00 % [ 2 / 2, 0 ins, 1 del, 1 sub ]" in done.output
    assert call(*here, *common).output.startswith("LM weight 8, word insertion penalty 0\nWER 0.00 %")
    assert (files / "s" / "sweep.tsv").read_text().splitlines()[2] == "8\t0\t0.00\t0\t0\t0\t2"


def test_folds_count_as_one_set(files: Path, words: SymbolTable, two_paths: Lattice) -> None:
    words.write(files / "words.txt")
    for name in ("u1", "u2"):
        write_lattices(files / name / "lat.1.gz", [(name, two_paths)])
    (files / "more.json").write_text('{"cpu_s": 1.0, "max_gb": 0.7}')
    row = ["--results", files / "r.tsv", "--system", "m", "--set", "loso", "--lm", "g"]
    costs = ["--cost", files / "cost.json", "--cost", files / "more.json"]
    weights = ["--words", files / "words.txt", "--lm-weights", "8", "--penalties", "0"]
    done = call(
        "--ref", files / "ref", "--lattices", files / "u1", "--lattices", files / "u2", *weights, *row, *costs
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (found,) = read_results(files / "r.tsv")
    assert (found.words, found.cpu_s, found.max_gb) == (3, 13.3, 0.7)


@pytest.mark.parametrize("option", ["--lattices", "--tune-lattices"])
def test_words_of_another_graph(files: Path, words: SymbolTable, two_paths: Lattice, option: str) -> None:
    words.write(files / "words.txt")
    for name in ("--lattices", "--tune-lattices"):
        write_lattices(files / name / "lat.1.gz", [("u1", two_paths)])
    write_meta(files / option, "lattices", inputs={"words": "1" * 64})
    given = [x for name in ("--lattices", "--tune-lattices") for x in (name, files / name)]
    done = call("sweep", "--ref", files / "ref", "--tune-ref", files / "ref", "--words", files / "words.txt", *given)
    assert f"{files / option} and {files / 'words.txt'} were made from different versions of words.txt" in str(
        done.exception
    )


def test_compare_and_table(files: Path) -> None:
    done = call("compare", "--ref", files / "ref", "--hyp", files / "hyp", "--against", files / "other")
    assert "difference -66.67 points" in done.output
    row = ["--results", files / "r.tsv", "--system", "m", "--set", "t", "--lm", "g"]
    call("--ref", files / "ref", "--hyp", files / "hyp", *row)
    (files / "R.md").write_text("<!-- results -->\n<!-- end of results -->\n")
    assert call("table", files / "r.tsv", "--into", files / "R.md", "--copy", files / "R.tsv").exit_code == 0
    assert "| m | t | g | 33.33 |" in (files / "R.md").read_text()
    assert (files / "R.tsv").read_text() == (files / "r.tsv").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--results", "r.tsv"], "--results needs --system, --set and --lm"),
        (["--replications", "5"], "replications is 5, wanted 100 to 10000000"),
    ],
)
def test_wrong_options(files: Path, words: list[str], message: str) -> None:
    done = call("--ref", files / "ref", "--hyp", files / "hyp", *words)
    assert done.exit_code == 2
    assert message in done.output


def test_cost_that_is_none(files: Path) -> None:
    (files / "cost").write_text('{"cpu_s": "many"}')
    names = ["--results", files / "r.tsv", "--system", "m", "--set", "t", "--lm", "g", "--cost", files / "cost"]
    done = call("--ref", files / "ref", "--hyp", files / "hyp", *names)
    assert "cost: does not tell cpu_s and max_gb" in str(done.exception)
