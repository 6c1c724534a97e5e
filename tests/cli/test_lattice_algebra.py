"""Commands that make lattices of lattices, change their form, draw them and look for phrases; in pipes too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.openfst import write_fst
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import from_rows

ROOT = Path(__file__).resolve().parents[2]


def must(*words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(*words: object) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code != 0
    return f"{done.output}{done.exception}"


def of_words(*sentences: tuple[tuple[int, ...], float]) -> CompactLattice:
    """Two words each, one frame a word."""
    rows, count = [], 2
    for (first, second), score in sentences:
        rows += [(0, count, first, float(np.log(score)), 0.0, (7,)), (count, 1, second, 0.0, 0.0, (8,))]
        count += 1
    return from_rows(sorted(rows), {1: (0.0, 0.0, ())}, count)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.gz: u1 with A B (0.4), A C (0.35), D C (0.25), u2 with A A; b.gz: u1 with A C, u3 with B B."""
    first = of_words(((1, 2), 0.4), ((1, 3), 0.35), ((4, 3), 0.25))
    write_lattices(tmp_path / "a.gz", [("u1", first), ("u2", of_words(((1, 1), 1.0)))], compact=True)
    write_lattices(tmp_path / "b.gz", [("u1", of_words(((1, 3), 0.5))), ("u3", of_words(((2, 2), 1.0)))], compact=True)
    (tmp_path / "words.txt").write_text("<eps> 0\nA 1\nB 2\nC 3\nD 4\n")
    return tmp_path


def sentences(archive: Path, words: Path) -> list[str]:
    lines = must("lattice", "nbest", archive, "--words", words).splitlines()
    return [" ".join([line.split()[0], *line.split()[4:]]) for line in lines]


def test_algebra(folder: Path) -> None:
    a, b, out, words = folder / "a.gz", folder / "b.gz", folder / "out.gz", folder / "words.txt"
    must("lattice", "union", a, b, out)
    assert sentences(out, words) == ["u1 A C", "u1 A B", "u1 D C", "u2 A A", "u3 B B"]
    must("lattice", "difference", a, b, out)
    assert sentences(out, words) == ["u1 A B", "u1 D C", "u2 A A"]
    must("lattice", "compose", a, b, out)
    assert sentences(out, words) == ["u1 A C"]
    write_fst(folder / "T.fst", FstArrays.from_arcs(
        0, *map(np.array, ([0, 0], [1, 3], [2, 4], [0, 0], [0.5, 0.0])), [0.0]))  # fmt: skip
    must("lattice", "compose", a, folder / "T.fst", out)
    assert sentences(out, words) == ["u1 B D", "u2 B B"]
    must("lattice", "minimize", a, out)
    assert sentences(out, words)[:3] == ["u1 A B", "u1 A C", "u1 D C"]
    must("lattice", "push", a, out)
    assert sentences(out, words)[:3] == ["u1 A B", "u1 A C", "u1 D C"]
    must("lattice", "prune", a, out, "--posterior", 0.3)
    assert sentences(out, words) == ["u1 A B", "u1 A C", "u2 A A"]
    assert "give --beam, --posterior or both" in refused("lattice", "prune", a, out)
    write_lattices(folder / "twice.gz", [*read_compact_folder(b), *read_compact_folder(b)], compact=True)
    assert "utterance 'u1' stands there twice" in refused("lattice", "union", a, folder / "twice.gz", out)


def test_forms(folder: Path) -> None:
    a, words = folder / "a.gz", folder / "words.txt"
    must("lattice", "copy", a, folder / "a.jsonl", "--json", "--words", words)
    assert json.loads((folder / "a.jsonl").read_text().splitlines()[1])["arcs"][0][-1] == "A"
    must("lattice", "copy", folder / "a.jsonl", folder / "a.ark", "--scp", folder / "a.scp")
    must("lattice", "to-slf", folder / "a.scp", folder / "a.slf", "--words", words)
    must("lattice", "from-slf", folder / "a.slf", folder / "again.gz", "--words", words)
    assert list(read_compact_folder(folder / "again.gz")) == list(read_compact_folder(a))
    assert "give --text or --json, not both" in refused("lattice", "copy", a, folder / "x", "--json", "--text")
    info = must("lattice", "info", a, "--each").splitlines()
    assert info[0].endswith("2 frames, depth 3.00, density 3.00")


def test_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, words = folder / "a.gz", ("--words", folder / "words.txt")
    must("lattice", "draw", a, folder / "u1.html", "--utterance", "u1", *words)
    must("lattice", "draw", a, folder / "u1.html", "--utterance", "u1", *words)  # an earlier one is replaced
    assert (folder / "u1.html").read_text().count("<svg") == 2
    assert must("lattice", "draw", a, "-", "--utterance", "u1", *words, "--what", "network").startswith("<svg")
    assert "a picture is of one thing" in refused("lattice", "draw", a, folder / "u.svg", "--utterance", "u1")
    assert "has no utterance 'u9'" in refused("lattice", "draw", a, folder / "u9.html", "--utterance", "u9")
    with monkeypatch.context() as small:
        small.setattr("hybrid.lattice.drawing.MAX_ARCS", 0)
        message = refused("lattice", "draw", a, folder / "u9.html", "--utterance", "u1")
    assert f"{a}: utterance 'u1' has " in message and "Give a smaller --beam" in message


def test_phrases(folder: Path) -> None:
    given = ("--words", folder / "words.txt", "--frame-shift", 0.5)
    found = must("lattice", "keyword", folder / "a.gz", "C", "D C", "B A", *given).splitlines()
    assert found == ["u1 0.50 1.00 0.6000 C", "u1 0.00 1.00 0.2500 D C"]
    raised = must("lattice", "keyword", folder / "a.gz", "D C", *given, "--boost", float(np.log(3)))
    assert raised == "u1 0.00 1.00 0.5000 D C\n"
    assert "'E' is not among the 5 symbols" in refused("lattice", "keyword", folder / "a.gz", "E", *given)


def test_a_pipe(folder: Path) -> None:
    """As Kaldi's: each reads standard input and writes standard output."""
    run = f"{sys.executable} -c 'from hybrid.cli.main import main; main()' lattice"
    line = (
        f"{run} push {folder}/a.gz - | {run} minimize - - | {run} union - {folder}/b.gz - | "
        f"{run} copy - - --json | {run} prune - - --beam 9 --text"
    )
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (folder / "out").write_bytes(done.stdout)
    assert sentences(folder / "out", folder / "words.txt") == ["u1 A C", "u1 A B", "u1 D C", "u2 A A", "u3 B B"]
