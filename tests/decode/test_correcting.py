"""`hybrid rescore correct`: not sure and sounding like a phrase, a word becomes that phrase; each change is told."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hybrid.cli.main import command as hybrid
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import from_rows


@pytest.fixture
def lattice(tiny) -> CompactLattice:
    """LOW for sure, then MID, or a little less likely HIGH."""
    from lexicon.symbols import SymbolTable

    words = SymbolTable.read(tiny.graph / "words.txt")
    low, mid, high = (words[word] for word in ("LOW", "MID", "HIGH"))
    arcs = [(0, 1, low, 0.0, 0.0, [1]), (1, 2, mid, -1.0, 0.0, [2]), (1, 2, high, -1.2, 0.0, [3])]
    return from_rows(arcs, {2: (0.0, 0.0, [])}, 3)


def run(tiny, tmp_path, *more: str) -> str:
    arguments = ["rescore", "correct", str(tmp_path / "in.gz"), str(tmp_path / "out.txt"), "--graph", str(tiny.graph)]
    result = CliRunner().invoke(hybrid, [*arguments, "--acoustic-scale", "1", *more])
    assert result.exit_code == 0, result.output
    return (tmp_path / "out.txt").read_text()


def test_the_command(tiny, tmp_path, lattice):
    write_lattices(tmp_path / "in.gz", [("u1", lattice)], compact=True)
    (tmp_path / "names.txt").write_text("mid low\t3\nnguyen\n")
    given = ("--list", str(tmp_path / "names.txt"), "--changes", str(tmp_path / "changes.tsv"))
    assert run(tiny, tmp_path, *given, "--farthest", "0.5") == "u1 LOW MID LOW\n"
    head, row = (tmp_path / "changes.tsv").read_text().splitlines()
    assert head.split("\t") == ["utterance", "word", "written", "instead_of", "confidence", "cost"]
    assert row.split("\t")[:4] == ["u1", "1", "MID LOW", "MID"] and row.split("\t")[5] == "0.500"
    assert run(tiny, tmp_path, *given, "--farthest", "0.4") == "u1 LOW MID\n"
    assert run(tiny, tmp_path, *given, "--farthest", "0.5", "--below", "0.3") == "u1 LOW MID\n"
    assert (tmp_path / "changes.tsv").read_text().splitlines() == [head]


def test_confusions_are_learnt(tiny, tmp_path, lattice):
    """Where LOW was heard as MID again and again, MID may be LOW."""
    write_lattices(tmp_path / "in.gz", [("u1", lattice)], compact=True)
    (tmp_path / "names.txt").write_text("low\n")
    (tmp_path / "said").write_text("".join(f"u{n} LOW HIGH\n" for n in range(9)))
    (tmp_path / "heard").write_text("".join(f"u{n} {'MID' if n % 2 else 'LOW'} HIGH\n" for n in range(9)))
    given = ("--list", str(tmp_path / "names.txt"), "--farthest", "0.99")
    assert run(tiny, tmp_path, *given) == "u1 LOW MID\n"
    texts = (str(tmp_path / "said"), str(tmp_path / "heard"))
    assert run(tiny, tmp_path, *given, "--confusions", *texts) == "u1 LOW LOW\n"
