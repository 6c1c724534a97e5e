"""`hybrid combine`: two systems of the same speech, as lattices, networks and votes; streams; refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.trim import from_rows

ROOT = Path(__file__).resolve().parents[2]


def run(*words: object):
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One system hears A B (0.6) or C B; the other, of a third of the frames, C B (0.9) or C D; only it has u2."""
    folder = tmp_path_factory.mktemp("systems")
    rows = [
        (0, 1, 1, np.log(0.6), 0.0, (7, 7, 7)),
        (0, 1, 3, np.log(0.4), 0.0, (7, 7, 7)),
        (1, 2, 2, 0.0, 0.0, (8,) * 3),
    ]
    first = from_rows(rows, {2: (0.0, 0.0, ())}, 3)
    rows = [(0, 1, 3, 0.0, 0.0, (5,)), (1, 2, 2, np.log(0.9), 0.0, (6,)), (1, 2, 4, np.log(0.1), 0.0, (6,))]
    second = from_rows(rows, {2: (0.0, 0.0, ())}, 3)
    write_lattices(folder / "one.gz", [("u1", first)], compact=True)
    write_lattices(folder / "two.gz", [("u1", second), ("u2", second)], compact=True)
    (folder / "words.txt").write_text("<eps> 0\nA 1\nB 2\nC 3\nD 4\n")
    (folder / "one.txt").write_text("u1 A B\n")
    (folder / "two.txt").write_text("u1 C B\nu2 C B\n")
    (folder / "text").write_text("u1 C B\nu2 C B\n")
    return folder


def test_lattices_as_streams(speech: Path, tmp_path: Path) -> None:
    code, scales = "from hybrid.cli.main import main; main()", ["--acoustic-scales", "1,0.5"]
    line = [sys.executable, "-c", code, "combine", "lattices", "-", str(speech / "two.gz"), "-", *scales]
    done = subprocess.run(line, input=(speech / "one.gz").read_bytes(), capture_output=True, check=True, cwd=ROOT)
    (tmp_path / "both").write_bytes(done.stdout)
    both = dict(read_compact_folder(tmp_path / "both"))
    assert list(both) == ["u1", "u2"] and both["u1"].num_arcs == 6
    found = run("lattice", "mbr", tmp_path / "both", "--acoustic-scale", 1, "--words", speech / "words.txt")
    assert found.output == "u1 C B\nu2 C B\n"  # C 0.5 · 0.4 + 0.5
    given = ("combine", "lattices", speech / "one.gz", speech / "two.gz", tmp_path / "out.gz", "--weights", "9,1")
    assert run(*given).stdout.endswith("out.gz: 2 lattices\n")
    found = run("lattice", "mbr", tmp_path / "out.gz", "--acoustic-scale", 1, "--words", speech / "words.txt")
    assert found.output == "u1 A B\nu2 C B\n"


def test_networks_and_votes(speech: Path, tmp_path: Path) -> None:
    systems, words = (speech / "one.gz", speech / "two.gz"), ("--words", speech / "words.txt")
    assert run("combine", "networks", *systems, *words).stdout == "u1 C B\nu2 C B\n"
    assert run("combine", "networks", *systems, *words, "--weights", "9,1").stdout == "u1 A B\nu2 C B\n"
    sure = run("combine", "networks", *systems, *words, "--form", "confidences").stdout.splitlines()
    assert sure[:2] == ["u1 1 C 0.7000", "u1 2 B 0.9500"]
    texts = (speech / "one.txt", speech / "two.txt")
    assert run("combine", "rover", *texts, "--weights", "1,2").stdout == "u1 C B\nu2 C B\n"
    (tmp_path / "one").write_text("u1 1 A 0.3\nu1 2 B 0.9\n")
    (tmp_path / "two").write_text("u1 1 C 0.8\nu1 2 B 0.9\n")
    done = run("combine", "rover", tmp_path / "one", tmp_path / "two", "--confidences", "--form", "confidences")
    assert done.stdout == "u1 1 C 0.5900\nu1 2 B 0.9700\n"  # 0.7 / 2 + 0.3 · 0.8


@pytest.mark.parametrize("by, best", [("lattices", "0.5,0.5"), ("networks", "0.5,0.5"), ("rover", "0.25,0.75")])
def test_tuned_weights(speech: Path, by: str, best: str) -> None:
    ending = "txt" if by == "rover" else "gz"
    systems = [speech / f"{name}.{ending}" for name in ("one", "two")]
    done = run(
        "combine", "tune", *systems, "--by", by, "--ref", speech / "text", "--words", speech / "words.txt", "--steps", 4
    )
    assert done.exit_code == 0, done.exception
    lines = done.stdout.splitlines()
    assert lines[0] == f"{best}\t0.00 % [ 0 / 4, 0 ins, 0 del, 0 sub ]" and len(lines) == 3
    assert "in no system" not in done.stderr and "deleted" not in done.stderr
    assert lines[-1].startswith("0.75,0.25\t25.00 %" if by == "rover" else "0.75,0.25\t0.00 %")


def test_utterances_that_no_system_has_do_not_count(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("u1 C B\nu2 C B\nu3 A\n")
    systems = [speech / f"{name}.txt" for name in ("one", "two")]
    done = run("combine", "tune", *systems, "--by", "rover", "--ref", tmp_path / "ref", "--steps", 2)
    assert "/ 4," in done.stdout
    assert "ref: 1 of 3 utterances are in no system; they do not count" in done.stderr and "deleted" not in done.stderr
    (tmp_path / "ref").write_text("u7 C B\n")
    none = run("combine", "tune", *systems, "--by", "rover", "--ref", tmp_path / "ref", "--steps", 2)
    assert "shares no utterance with" in str(none.exception)


def test_refusals(speech: Path, tmp_path: Path) -> None:
    systems = (speech / "one.gz", speech / "two.gz")
    assert (
        "--weights wants 2 numbers above 0"
        in run("combine", "networks", *systems, "--words", "w", "--weights", "1").output
    )
    assert (
        "--acoustic-scales wants 2"
        in run("combine", "lattices", *systems, tmp_path / "o", "--acoustic-scales", "1,x").output
    )
    assert "--words is needed" in run("combine", "tune", *systems, "--ref", speech / "text").output
    assert (
        "--steps wants 2 or more"
        in run("combine", "tune", *systems, "--by", "rover", "--ref", "r", "--steps", 1).output
    )
    (tmp_path / "bad").write_text("u1 1 A 0.5\nu1 2 B 1.5\n")
    error = str(run("combine", "rover", tmp_path / "bad", "--confidences").exception)
    assert f"{tmp_path / 'bad'}:2: 'u1 2 B 1.5', wanted `utterance number word confidence`" in error
