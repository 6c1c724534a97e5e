"""Lines of JSON, HTK's SLF and scp files: by hand, there and back, and what is wrong in them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.lattice.archive import (
    ArchiveForm,
    read_compact_folder,
    read_lattices,
    read_slf,
    read_stored_folder,
    write_lattices,
    write_slf,
)
from hybrid.lattice.compact import CompactLattice, expand, no_paths
from hybrid.lattice.files.json_lines import lattice_of_json, lattice_to_json
from hybrid.lattice.trim import from_rows
from lexicon.symbols import SymbolTable

from .twins import some

WORDS = SymbolTable(("<eps>", "A", "'EM", 'B"\\', "D"))


def one() -> CompactLattice:
    rows = [(0, 1, 1, -1.5, -20.25, (7, 7, 8)), (0, 1, 2, -2.0, -1e-7, (9, 9, 9)), (1, 2, 3, 0.0, -1 / 3, ())]
    return from_rows(rows, {1: (-0.5, 0.0, (3,)), 2: (-1.0, -2.0, (4, 5))}, 3)


def test_json_by_hand(tmp_path: Path) -> None:
    write_lattices(tmp_path / "a.jsonl", [("u1", one())], form=ArchiveForm(json_lines=True, spell=WORDS.symbol))
    record = json.loads((tmp_path / "a.jsonl").read_text())
    assert record["arcs"][0] == [0, 1, 1, -1.5, -20.25, [7, 7, 8], "A"]
    assert record["finals"] == [[1, -0.5, 0.0, [3]], [2, -1.0, -2.0, [4, 5]]]
    assert (record["utterance"], record["states"]) == ("u1", 3)
    assert list(read_compact_folder(tmp_path / "a.jsonl")) == [("u1", one())]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_there_and_back(tmp_path: Path, name: str) -> None:
    entries = [(f"u{seed}", some(seed)) for seed in range(50)] + [("none", no_paths()), ("ü", some(3))]
    write_lattices(tmp_path / name, entries, form=ArchiveForm(json_lines=True))
    assert list(read_stored_folder(tmp_path / name)) == entries
    assert [key for key, _ in read_lattices(tmp_path / name)] == [key for key, _ in entries]


def test_what_cannot_be_is_null() -> None:
    lattice = from_rows([(0, 1, 1, -np.inf, 0.0, (7,))], {1: (0.0, 0.0, ())}, 2)
    assert lattice_to_json("u", lattice)["arcs"] == [[0, 1, 1, None, 0.0, [7]]]
    assert lattice_of_json(lattice_to_json("u", lattice)) == ("u", lattice)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"x"', "1: is not JSON"),
        ('{"x": 1}', "utterance '?': is a line of JSON without 'utterance'"),
        ('{"utterance": "u"}', "without lists 'arcs' and 'finals' and a number of 'states'"),
        ('{"utterance": "a b", "states": 0, "arcs": [], "finals": []}', "utterance id 'a b' has white space"),
        ('{"utterance": "u", "states": 9, "arcs": [], "finals": []}', "promises 9 states but has only 0 arcs"),
        ('{"utterance": "u", "states": 1, "arcs": [7], "finals": []}', "has arc that is no list of 6 values"),
        ('{"utterance": "u", "states": 2, "arcs": [[0, 2, 1, 0, 0, []]], "finals": []}', "(states are below 2)"),
        ('{"utterance": "u", "states": 2, "arcs": [[0, 1, true, 0, 0, []]], "finals": []}', "are no ids"),
        ('{"utterance": "u", "states": 2, "arcs": [[0, 1, 1, NaN, 0, []]], "finals": []}', "scores are no numbers"),
        ('{"utterance": "u", "states": 2, "arcs": [[0, 1, 1, 0, 0, [0]]], "finals": []}', "are no list of ids"),
        ('{"utterance": "u", "states": 2, "arcs": [[0,1,1,0,0,[]],[1,0,1,0,0,[]]], "finals": [[1,0,0,[]]]}', "a cycle"),
    ],
)
def test_wrong_json(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(InputError) as caught:
        list(read_compact_folder(tmp_path / "a.jsonl"))
    assert message in str(caught.value) and str(caught.value).startswith(f"{tmp_path}/a.jsonl:1: ")


def test_slf_by_hand(tmp_path: Path) -> None:
    write_slf(tmp_path / "a.slf", [("u1", one())], WORDS, 0.01)
    assert (tmp_path / "a.slf").read_text().splitlines() == [
        "VERSION=1.0", "UTTERANCE=u1", "N=4\tL=5", "I=0\tt=0", "I=1\tt=0.03", "I=2\tt=0.03", "I=3\tt=0.05",
        "J=0\tS=0\tE=1\tW=A\ta=-20.25\tl=-1.5\td=:7,0.02:8,0.01:",
        "J=1\tS=0\tE=1\tW=\\'EM\ta=-1.00000001e-07\tl=-2\td=:9,0.03:",
        'J=2\tS=1\tE=2\tW=B"\\\\\ta=-0.333333343\tl=0',
        "J=3\tS=1\tE=3\tW=!NULL\ta=0\tl=-0.5\td=:3,0.01:",
        "J=4\tS=2\tE=3\tW=!NULL\ta=-2\tl=-1\td=:4,0.01:5,0.01:",
    ]  # fmt: skip
    assert list(read_slf(tmp_path / "a.slf", WORDS, 0.01)) == [("u1", one())]


def test_slf_there_and_back(tmp_path: Path) -> None:
    entries = [(f"u{seed}", some(seed)) for seed in range(50)] + [("none", no_paths())]
    for shift in (0.01, 0.03):
        write_slf(tmp_path / "a.slf.gz", entries, WORDS, shift)
        assert list(read_slf(tmp_path / "a.slf.gz", WORDS, shift)) == entries


HTK = """# what another program wrote: words on nodes, log10, no UTTERANCE, times that begin later
VERSION=1.0 base=10
lmscale=12.0  acscale=1.0
N=4 L=4
I=0 t=0.00 W=!NULL
I=2 t=0.03 W="A"
I=1 t=0.03 W=D v=2
I=3 t=0.05 W=!SENT_END
J=0 S=0 E=2 a=-10.0 l=-0.3 r=-0.1
J=1 S=0 E=1 a=-11.0 l=-0.4
J=2 S=2 E=3 a=-5
J=3 S=1 E=3 a=-6 d=:sil,0.02:
"""


def test_slf_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "rec-7.lat").write_text(HTK)
    ((utterance, lattice),) = read_slf(tmp_path / "rec-7.lat", WORDS, 0.01)
    assert utterance == "rec-7" and lattice.num_states == 3
    found = {int(w): (float(g), float(a), len(lattice.string(i))) for i, (w, g, a) in enumerate(
        zip(lattice.word_ids, lattice.graph_scores, lattice.acoustic_scores))}  # fmt: skip
    ten = float(np.log(10))
    assert found == {1: (pytest.approx(-0.4 * ten), pytest.approx(-10 * ten), 3),
                     4: (pytest.approx(-0.4 * ten), pytest.approx(-11 * ten), 3)}  # fmt: skip
    assert expand(lattice).num_frames == 5
    assert sorted(lattice.final_acoustic_scores[1:].tolist()) == pytest.approx([-6 * ten, -5 * ten])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("W=D", "W=C"), "utterance 'rec': has the word 'C', which is not among the 5 symbols of the table"),
        (("N=4", "N=5"), "has 4 nodes and 4 links, its header promises 5 and 4"),
        (("N=4 L=4", "N=4"), "has no line N=… L=… of its nodes and links"),
        (("S=0 E=1", "S=0 E=9"), "has a link to node 9, which is not there"),
        (("I=1 t=0.03", "I=1 t=0.09"), "has a link from node 1 to 3 that goes back in time, or endlessly far"),
        (("I=3 t=0.05", "I=3 t=1e9"), "has node 3 at 1e+09 s, wanted at most"),
        (("I=3 t=0.05", "I=3 t=1e308"), "has node 3 at 1e+308 s, wanted at most"),
        (("I=3 t=0.05", "I=3 t=nan"), "rec.lat:8: 'I=3 t=nan W=!SENT_END' is no line of an SLF lattice"),
        (("a=-5", "a=x"), "rec.lat:11: 'J=2 S=2 E=3 a=x' is no line of an SLF lattice"),
        (("a=-5", "a=inf"), "'inf' is no finite number"),
        (("S=2 E=3", "S=2 E=0"), "has 0 nodes without links to them and 1 without links from them"),
        (("S=2 E=3", "S=2 E=-3"), "E is '-3', wanted a number"),
        (("N=4 L=4", "hello"), "no NAME=VALUE"),
        (("S=0 E=1", "S=1 E=1"), "has a cycle, among or before 2 of its 4 nodes"),  # once read as fewer paths
        ((HTK, ""), "rec.lat: holds no SLF lattice"),  # once an archive of no lattices
    ],
)
def test_wrong_slf(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "rec.lat").write_text(HTK.replace(*change))
    with pytest.raises(InputError) as caught:
        list(read_slf(tmp_path / "rec.lat", WORDS, 0.01))
    assert message in str(caught.value) and "Make the lattices again" in str(caught.value)


def test_slf_ids_are_checked_where_they_enter(tmp_path: Path) -> None:
    (tmp_path / "two.lat").write_text(HTK + HTK)
    with pytest.raises(InputError, match="has a lattice above"):
        list(read_slf(tmp_path / "two.lat", WORDS, 0.01))
    (tmp_path / "escape.lat").write_text(HTK.replace("VERSION=1.0", "VERSION=1.0\nUTTERANCE=a\x1b[31mb"))
    with pytest.raises(InputError, match=r"utterance 'a.x1b\[31mb' has"):
        list(read_slf(tmp_path / "escape.lat", WORDS, 0.01))


@pytest.mark.parametrize("text", [False, True])
def test_scp(tmp_path: Path, text: bool) -> None:
    entries = [(f"u{seed}", some(seed)) for seed in range(5)]
    write_lattices(tmp_path / "a.ark", entries, compact=True, text=text, scp=tmp_path / "a.scp")
    assert list(read_stored_folder(tmp_path / "a.scp")) == list(read_stored_folder(tmp_path / "a.ark"))
    lines = (tmp_path / "a.scp").read_text().splitlines()
    assert lines[0] == f"u0 {tmp_path}/a.ark:3"
    (tmp_path / "b.scp").write_text("\n".join([lines[3], lines[1]]) + "\n")
    assert [key for key, _ in read_compact_folder(tmp_path / "b.scp")] == ["u3", "u1"]


def test_wrong_scp(tmp_path: Path) -> None:
    write_lattices(tmp_path / "a.ark", [("u", some(1))], compact=True)
    for line, message in (
        ("u cat a.ark |", "'u' has a command where FILE:OFFSET was expected"),
        ("u none.ark:3", "'u' points at 'none.ark', which is no file"),
        ("u a.ark:2[0:3]", "'u' has a range, which lattices have not"),
        ("u a.ark:9", "a.ark: utterance 'u': "),
        ("u a.ark:99999999", "a.ark: utterance 'u': "),
    ):
        (tmp_path / "a.scp").write_text(line + "\n")
        with pytest.raises(InputError) as caught:
            list(read_lattices(tmp_path / "a.scp"))
        assert message in str(caught.value)
    for name in ("a.gz", "-"):
        with pytest.raises(InputError, match="an scp file can only point into a plain file of Kaldi's"):
            write_lattices(name, [], scp=tmp_path / "b.scp")
    with pytest.raises(InputError, match="c.scp: is the name of an index, as which it would be read"):
        write_lattices(tmp_path / "c.scp", [], compact=True)
    assert not (tmp_path / "c.scp").exists()


@pytest.mark.peer
def test_kaldi_reads_our_scp(tmp_path: Path, kaldi_bin: Path) -> None:
    write_lattices(tmp_path / "a.ark", [("u1", some(1)), ("u2", some(2))], compact=True, scp=tmp_path / "a.scp")
    command = [str(kaldi_bin / "lattice-copy"), f"scp:{tmp_path}/a.scp", f"ark,scp:{tmp_path}/b.ark,{tmp_path}/b.scp"]
    subprocess.run(command, check=True, capture_output=True)
    assert list(read_compact_folder(tmp_path / "b.scp")) == list(read_compact_folder(tmp_path / "a.ark"))
