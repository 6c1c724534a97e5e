"""`hybrid lattice …` in pipes: words, confidences, networks and errors of archives that come as streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.lattice.archive import read_compact_folder, read_lattice_folder, write_lattices
from hybrid.lattice.lattice_set import LatticeSet, SharedFacts, shared_facts
from hybrid.lattice.trim import from_rows

ROOT = Path(__file__).resolve().parents[2]


def stream(*words: object, given: bytes = b"") -> subprocess.CompletedProcess:
    """Runs `hybrid …` as a process, in a pipe."""
    code = "from hybrid.cli.main import main; main()"
    line = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(line, input=given, capture_output=True, check=False, cwd=ROOT)


def must(*words: object) -> str:
    """Runs `hybrid …` in this process and returns what it printed."""
    done = CliRunner().invoke(command, [str(word) for word in words])
    assert done.exit_code == 0, done.exception
    return done.stdout


def refused(*words: object) -> str:
    return str(CliRunner().invoke(command, [str(word) for word in words]).exception)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A B (0.4), A C (0.35), D C (0.25), one frame a word; and an empty lattice; words.txt and a text."""
    folder = tmp_path_factory.mktemp("lattices")
    shares = np.log([0.4, 0.35, 0.25]).tolist()
    rows = [(0, 1, 1, 0.0, 0.0, (7,)), (0, 2, 4, 0.0, 0.0, (7,))]
    rows += [(1, 3, 2, shares[0], 0.0, (8,)), (1, 3, 3, shares[1], 0.0, (8,)), (2, 3, 3, shares[2], 0.0, (8,))]
    compact = from_rows(rows, {3: (0.0, 0.0, ())}, 4)
    write_lattices(folder / "lat.gz", [("u1", compact), ("u2", from_rows([], {}, 0))], compact=True)
    (folder / "words.txt").write_text("<eps> 0\nA 1\nB 2\nC 3\nD 4\n<UNK> 5\n")
    (folder / "text").write_text("u1 D E\nu2 A\n")
    return folder


def test_streams(archive: Path) -> None:
    copied = stream("lattice", "copy", archive / "lat.gz", "-", "--compact", "--text").stdout
    assert copied.startswith(b"u1 \n0\t1\t1\t0,0,7\n")
    pruned = stream("lattice", "prune", "-", "-", "--beam", 0.2, "--compact", given=copied).stdout
    done = stream("lattice", "nbest", "-", "--words", archive / "words.txt", given=pruned)
    assert done.stdout.decode() == "u1 1 -0.916291 0 A B\nu1 2 -1.04982 0 A C\n"
    # from a stream into a file: the record names no source, which nobody could read again
    done = stream("lattice", "copy", "-", archive / "from_stream.gz", given=pruned)
    assert done.returncode == 0, done.stderr
    assert "lattices" not in json.loads((archive / "from_stream.gz.meta.json").read_text())["inputs"]
    done = stream("lattice", "mbr", "-", given=pruned[:100])
    assert done.returncode == 1
    assert done.stderr.decode().startswith("hybrid: standard input: utterance 'u1': is cut short. Make the lattices")


def test_scale_and_seconds_per_frame_follow_archives(archive: Path, tmp_path: Path) -> None:
    """What the folder of a decoding tells reaches the commands behind an archive made of it."""
    shared = SharedFacts(acoustic_scale=1.0, frame_shift=0.03, subsampling_factor=3)
    LatticeSet(dict(read_lattice_folder(archive / "lat.gz")), shared).save(tmp_path / "decode", compact=True)
    must("lattice", "copy", tmp_path / "decode", tmp_path / "first.gz")
    must("lattice", "prune", tmp_path / "first.gz", tmp_path / "second.gz", "--beam", 9)
    assert shared_facts(tmp_path / "second.gz") == shared_facts(tmp_path / "first.gz")
    assert shared_facts(tmp_path / "second.gz").acoustic_scale == 1.0
    assert must("lattice", "to-ctm", tmp_path / "second.gz").splitlines()[0] == "u1 1 0.00 0.03 1 0.75"
    must("combine", "lattices", tmp_path / "first.gz", tmp_path / "second.gz", tmp_path / "both.gz")
    assert shared_facts(tmp_path / "both.gz").acoustic_scale == 1.0
    assert shared_facts(tmp_path / "both.gz").frame_shift is None  # systems may differ in it


def test_words_networks_and_errors(archive: Path) -> None:
    lattices, words = archive / "lat.gz", ("--words", archive / "words.txt")
    assert must("lattice", "mbr", lattices, *words, "--form", "risk") == "u1 0.650000 A C\nu2 0.000000\n"
    sausage = must("lattice", "mbr", lattices, *words, "--form", "sausage").splitlines()
    assert sausage == ["u1 [ <eps> 1 ] [ A 0.75 D 0.25 ] [ <eps> 1 ] [ C 0.6 B 0.4 ] [ <eps> 1 ]", "u2"]
    first, second = map(json.loads, must("lattice", "mbr", lattices, *words, "--form", "json").splitlines())
    assert first["words"][1] == {"word": "C", "confidence": 0.6, "begin": 1.0, "end": 2.0}
    assert [bin["words"] for bin in first["bins"][1::2]] == [[["A", 0.75], ["D", 0.25]], [["C", 0.6], ["B", 0.4]]]
    assert second == {"utterance": "u2", "risk": 0.0, "words": [], "bins": []}
    assert must("lattice", "confidence", lattices, *words) == "u1 1 A 0.7500\nu1 2 B 0.4000\n"
    assert must("lattice", "confidence", lattices, *words, "--mbr") == "u1 1 A 0.7500\nu1 2 C 0.6000\n"
    assert must("lattice", "to-ctm", lattices, *words) == "u1 1 0.00 0.01 A 0.75\nu1 1 0.01 0.01 C 0.60\n"
    fixed = must("lattice", "to-ctm", lattices, *words, "--no-mbr", "--frame-shift", 0.03)
    assert fixed == "u1 1 0.00 0.03 A 0.75\nu1 1 0.03 0.03 B 0.40\n"
    errors = must("lattice", "oracle", lattices, archive / "text", *words).splitlines()
    assert errors == ["u1 1 / 2 D C", "u2 1 / 1", "oracle WER 66.67 % (2 errors, 3 words, 2 lattices)"]


def test_wrong_ones(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("u1 A\n")
    found = refused("lattice", "oracle", archive / "lat.gz", tmp_path / "text", "--words", archive / "words.txt")
    assert found.endswith("text: has no line for utterance 'u2'. Give the text of all lattices.")
    (tmp_path / "words.txt").write_text("<eps> 0\nA 1\n")
    found = refused("lattice", "mbr", archive / "lat.gz", "--words", tmp_path / "words.txt")
    assert "has id 3, which its symbol table lacks (2 symbols)" in found


def test_the_same_output_again(archive: Path, tmp_path: Path) -> None:
    for _ in range(2):
        must("lattice", "prune", archive / "lat.gz", tmp_path / "out.gz", "--beam", 4, "--compact")
    (tmp_path / "text").write_text("mine")
    assert "text: is a file of another kind; wanted a new file" in refused(
        "lattice", "copy", archive / "lat.gz", tmp_path / "text"
    )


@pytest.mark.peer
def test_kaldi_reads_and_writes_the_streams(archive: Path, kaldi_bin: Path, tmp_path: Path) -> None:
    ours = stream("lattice", "copy", archive / "lat.gz", "-", "--compact").stdout
    copied = subprocess.run([kaldi_bin / "lattice-copy", "ark:-", "ark:-"], input=ours, capture_output=True, check=True)
    (tmp_path / "a.ark").write_bytes(copied.stdout)
    assert dict(read_compact_folder(tmp_path / "a.ark")) == dict(read_compact_folder(archive / "lat.gz"))
