"""Biasing on lattices: every path gains what its words gain; and why a phrase was said or was not."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hybrid.cli.main import command as hybrid
from hybrid.lattice.algebra.lattice_biasing import BiasShare, BiasWhy, biased, explain_bias, words_without
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.lattice.trim import from_rows
from lexicon.symbols import SymbolTable
from lm.biasing.bias_automaton import BiasAutomaton
from lm.biasing.bias_list import BiasList

WORDS = SymbolTable(("<eps>", "CALL", "PETER", "PETRA", "NOW", "JOHN"))


@pytest.fixture
def lattice() -> CompactLattice:
    """CALL PETER is 1 better than CALL PETRA, then NOW."""
    arcs = [(0, 1, 1, -1.0, 0.0, [1]), (1, 2, 2, -1.0, 0.0, [2]), (1, 2, 3, -2.0, 0.0, [3]), (2, 3, 4, 0.0, 0.0, [4])]
    return from_rows(arcs, {3: (0.0, 0.0, [])}, 4)


def words(compact: CompactLattice) -> list[str]:
    path = best_path(expand(compact), 0.1)
    assert path is not None
    return [WORDS.symbol(word) for word in path.word_ids.tolist()]


def phrases(*lines: tuple[str, float, str]) -> BiasList:
    return BiasList.of(lines, WORDS)


@pytest.mark.parametrize(
    ("line", "best"),
    [
        (("petra", 0.5, ""), "PETER"),
        (("petra", 1.5, ""), "PETRA"),
        (("petra now", 0.4, ""), "PETER"),  # 0.4 a word: 0.8 in all
        (("petra now", 0.6, ""), "PETRA"),
        (("petra call", 9.0, ""), "PETER"),  # a beginning is paid back
        (("petra", 1.5, "call"), "PETRA"),
        (("petra", 1.5, "now"), "PETER"),  # the context was not said
        (("peter", -1.5, ""), "PETRA"),
        (("petra", 0.0, ""), "PETER"),
    ],
)
def test_the_best_path(lattice, line, best):
    assert words(biased(lattice, phrases(line).automaton())) == ["CALL", best, "NOW"]


def test_nothing_changes_nothing(lattice):
    same = biased(lattice, BiasAutomaton([]))
    assert (same.graph_scores == lattice.graph_scores).all() and (same.word_ids == lattice.word_ids).all()


def test_why(lattice):
    found = phrases(("petra", 1.5, ""), ("peter now", 0.1, ""), ("john", 5.0, ""), ("nguyen", 1.0, ""))
    raised = biased(lattice, found.automaton())
    assert explain_bias(raised, found, 0.1, [1, 2, 4]) == [
        BiasWhy("nguyen", "no pronunciation"),
        BiasWhy("petra", "said", 1.5, 1, (2,)),
        BiasWhy("peter now", "beaten", needed=0.25, acoustics=0.0, graph=0.3),  # level with 1.5 - 1
        BiasWhy("john", "no path"),
    ]


def test_the_words_without_the_list(lattice):
    found = phrases(("petra", 1.5, ""), ("peter now", -0.4, ""))
    assert words_without(biased(lattice, found.automaton()), found, 0.1) == [1, 2, 4]


def test_a_list_that_swallows_everything():
    share = BiasShare()
    share.add([1, 2, 4], [1, 3, 4])
    assert share.written == 1 and "33% of 3 words were written by the list alone" in share.warning()
    share.add([1] * 10, [1] * 10)
    assert share.warning() == ""


def test_the_command(tmp_path, lattice):
    WORDS.write(tmp_path / "words.txt")
    write_lattices(tmp_path / "in.gz", [("u1", lattice)], compact=True)
    (tmp_path / "list.txt").write_text("petra\njohn\n")
    arguments = [
        "rescore",
        "bias",
        str(tmp_path / "in.gz"),
        str(tmp_path / "out.gz"),
        "--list",
        str(tmp_path / "list.txt"),
    ]
    arguments += ["--words", str(tmp_path / "words.txt"), "--boost", "30", "--why", str(tmp_path / "why.jsonl")]
    result = CliRunner().invoke(hybrid, arguments)
    assert result.exit_code == 0, result.output
    assert [words(made) for _, made in read_compact_folder(tmp_path / "out.gz")] == [["CALL", "PETRA", "NOW"]]
    told = json.loads((tmp_path / "why.jsonl").read_text())
    assert told["phrases"][0] == {"phrase": "petra", "outcome": "said", "raised": 30.0, "word": 1,
                                  "instead_of": ["PETER"], "needed": None, "acoustics": None,
                                  "graph": None, "guessed": []}  # fmt: skip
    assert told["neither"] == {"no path": 1, "acoustics": 0, "no pronunciation": 0}
    assert "33% of 3 words were written by the list alone; its boosts are too high" in result.output


@pytest.mark.parametrize(("why", "text"), [("names.txt", "also an input"), ("out.gz", "are one file")])
def test_the_report_of_a_list_replaces_nothing_else(tmp_path, why, text):
    for name in ("in.gz", "names.txt", "words.txt", "out.gz"):
        (tmp_path / name).write_text("kept\n")
    arguments = ["rescore", "bias", "in.gz", "out2.gz" if why != "out.gz" else "out.gz", "--list", "names.txt"]
    arguments += ["--words", "words.txt", "--why", why]
    (tmp_path / "out.gz").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = CliRunner().invoke(hybrid, arguments)
    assert result.exit_code and text in f"{result.output} {result.exception}"
    assert (tmp_path / "names.txt").read_text() == (tmp_path / "words.txt").read_text() == "kept\n"
