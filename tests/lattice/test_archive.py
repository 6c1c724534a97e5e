from __future__ import annotations

import gzip
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.lattice.archive import lattice_files, read_lattice_folder, read_lattices, write_lattices
from hybrid.lattice.compact import expand, factor
from hybrid.lattice.lattice import Lattice

FIELDS = ("row_splits", "next_states", "transition_ids", "word_ids", "graph_scores", "acoustic_scores",
          "final_graph_scores", "final_acoustic_scores")  # fmt: skip


def same(a: Lattice, b: Lattice) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in FIELDS)


def total(lattice: Lattice, brute: tuple) -> list[tuple]:
    all_paths, score = brute

    def visible(ids: np.ndarray) -> tuple:
        return tuple(ids[ids > 0])

    return sorted(
        (visible(lattice.transition_ids[p]), visible(lattice.word_ids[p]), score(lattice, p, 1.0))
        for p in all_paths(lattice)
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), text=st.booleans(), zipped=st.booleans())
def test_plain_archives_give_back_what_was_written(tmp_path_factory, random_lattice, seed, text, zipped) -> None:
    path = tmp_path_factory.mktemp("archive") / ("lat.1.gz" if zipped else "lat.ark")
    entries = [
        ("utt-1", random_lattice(seed)),
        ("empty", Lattice.empty()),
        ("ütt 2".replace(" ", "_"), random_lattice(seed + 1)),
    ]
    assert write_lattices(path, entries, text=text) == 3
    back = list(read_lattices(path))
    assert [key for key, _ in back] == [key for key, _ in entries]
    assert all(same(a, b) for (_, a), (_, b) in zip(entries, back))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), text=st.booleans())
def test_compact_archives_keep_every_path(tmp_path_factory, random_lattice, brute, seed, text) -> None:
    path = tmp_path_factory.mktemp("archive") / "clat.ark"
    lattice = random_lattice(seed)
    write_lattices(path, [("u", lattice)], compact=True, text=text)
    ((_, back),) = read_lattices(path)
    assert total(back, brute) == total(lattice, brute)
    assert same(expand(factor(back)), back)


def test_compact_text_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("u \n0\t1\t7\t1.5,2.25,3_4\n1\t2\t0\t0,1,\n1\t2\t8\n2\t0.5,0,9_9\n\n")
    ((key, lattice),) = read_lattices(tmp_path / "a.txt")
    assert key == "u" and lattice.transition_ids.tolist() == [3, 4, 0, 0, 9, 9]
    assert lattice.word_ids.tolist() == [7, 0, 0, 8, 0, 0]
    assert lattice.graph_scores.tolist() == [-1.5, 0, 0, 0, -0.5, 0] and lattice.num_frames == 4
    assert lattice.acoustic_scores.tolist() == [-2.25, 0, -1, 0, 0, 0]


@pytest.fixture
def valid(random_lattice, tmp_path: Path) -> bytes:
    write_lattices(tmp_path / "ok.ark", [("utt-1", random_lattice(3))])
    return (tmp_path / "ok.ark").read_bytes()


HEAD = struct.pack("<ii6s", 2125659606, 6, b"vector")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"utt-1 " + HEAD, "utterance 'utt-1': is cut short"),
        (b"utt-1 " + HEAD + struct.pack("<i8s", 8, b"standard"), "holds an FST 'vector' of 'standard' arcs, wanted"),
        (b"utt-1 \xd6\0\0\0\0", "utterance 'utt-1': is no binary FST"),
        (b"utt-1 \0BFM \4", "another kind of Kaldi archive was found, wanted lattices"),
        (b"utt-1 " + HEAD + struct.pack("<i8siiQqqq", 8, b"lattice4", 2, 0, 3, 5, 2, 0),
         "promises 2 states and start 5"),
        (b"utt-1 " + HEAD + struct.pack("<i8siiQqqq", 8, b"lattice4", 2, 0, 3, 0, 10**9, 0) + bytes(64),
         "utterance 'utt-1': is cut short"),
        (b"utt-1 " + HEAD + struct.pack("<i8siiQqqqffq", 8, b"lattice4", 2, 0, 3, 0, 1, 0, 0, 0, -5),
         "negative number of arcs"),
        (b"utt-1 " + HEAD + struct.pack("<i8siiQqqqffqiiffi", 8, b"lattice4", 2, 0, 3, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 9),
         "a state is out of range (there are 1)"),
        (b"utt-1 " + HEAD + struct.pack("<i8siiQqqqffqiiffi", 8, b"lattice4", 2, 0, 3, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0),
         "the lattice has a cycle"),
        (b"utt-1 " + HEAD + struct.pack("<i", 1 << 30), "has a name of 1073741824 characters in its header"),
        (b"\x80\x81\x82", "is no archive of lattices (an utterance id was wanted)"),
        (b"utt-1 0\t1\t2\n", "a lattice in text form starts on the line after the utterance id"),
        (b"utt-1 \n0\t1\tx\t1\n\n", "line 2: '0 1 x 1' is no arc or final state of a lattice"),
        (b"utt-1 \n0\t1\t1\t1\tnan,0\n\n", "(a cost is NaN)"),
        (b"utt-1 \n0\t999999999\t1\t1\n\n", "names state 999999999 but has only 1 arcs"),
        (b"utt-1 \n0\t1\t1\t1\t0,0\n1\t2\t3\t0,0,4\n\n", "arcs of a lattice and of a compact lattice are mixed"),
        (b"utt-1 \n0\t1\t1\t1\n1\t0\t1\t1\n\n", "the lattice has a cycle"),
        (b"utt-1 \n0\t1\t1\t1\t2,3,4,5\n\n", "wanted 'graph,acoustic'"),
    ],
)  # fmt: skip
def test_hostile_archives_end_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.ark"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_lattices(path))
    assert message in str(caught.value) and "\n" not in str(caught.value).replace("\t", "")
    assert str(caught.value).startswith(str(path)) and "Make the lattices again" in str(caught.value)


def test_every_cut_of_an_archive_is_noticed(tmp_path: Path, valid: bytes) -> None:
    path = tmp_path / "cut.ark"
    for length in range(1, len(valid), 7):
        path.write_bytes(valid[:length])
        with pytest.raises(InputError, match="cut.ark"):
            list(read_lattices(path))


@pytest.mark.parametrize("line", ["0\t1\t5\t1,2,3_4\n", "0\t1\t3\t5\t1,2\n"])
def test_a_text_archive_that_ends_at_a_line_is_noticed(tmp_path: Path, caplog, line: str) -> None:
    """An empty line ends each lattice: without it and without a final state it is cut short, else it may be."""
    path = tmp_path / "cut.txt"
    for text in ("u1 \n", f"u1 \n{line}"):
        path.write_text(f"u0 \n{line}1\n\n{text}")
        with pytest.raises(
            InputError, match="utterance 'u1': is cut short: the file ends before a final state and the"
        ):
            list(read_lattices(path))
    path.write_text(f"u0 \n{line}1\n")
    assert [u for u, _ in read_lattices(path)] == ["u0"]
    assert "cut.txt ends without the empty line that ends a lattice; it may be cut short" in caplog.text
    caplog.clear()
    path.write_text(f"u0 \n{line}1\n\nu1 \n\n")
    assert [u for u, _ in read_lattices(path)] == ["u0", "u1"] and not caplog.text


def test_damaged_gzip_and_missing_files(tmp_path: Path, valid: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(valid)[:-20])
    with pytest.raises(InputError, match="is damaged or cut short"):
        list(read_lattices(tmp_path / "x.gz"))
    with pytest.raises(InputError, match="none.ark: the file does not exist"):
        list(read_lattices(tmp_path / "none.ark"))
    with pytest.raises(InputError, match="holds no lattices"):
        lattice_files(tmp_path)


def test_folders_are_read_in_the_order_of_their_numbers(tmp_path: Path, random_lattice) -> None:
    for number in (2, 10, 1):
        write_lattices(tmp_path / f"lat.{number}.gz", [(f"u{number}", random_lattice(number))])
    assert [key for key, _ in read_lattice_folder(tmp_path)] == ["u1", "u2", "u10"]


def test_utterance_ids_without_white_space(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty or has white space"):
        write_lattices(tmp_path / "a.ark", [("a b", Lattice.empty())])
    assert not (tmp_path / "a.ark").exists()


@pytest.mark.peer
@pytest.mark.parametrize("compact", [False, True])
def test_kaldi_reads_what_we_write(tmp_path: Path, peers: Path, kaldi_bin: Path, compact: bool) -> None:
    ours, theirs = tmp_path / "ours.ark", tmp_path / "theirs.txt"
    write_lattices(ours, read_lattices(peers / "lattices" / "clat.ark.gz"), compact=compact)
    command = [str(kaldi_bin / "lattice-copy"), f"ark:{ours}", f"ark,t:{theirs}"]
    subprocess.run(command, check=True, capture_output=True)
    assert theirs.read_text() == gzip.decompress((peers / "lattices" / "clat.txt.gz").read_bytes()).decode()


def test_contradicting_times_are_told_when_read(tmp_path):
    (tmp_path / "lat").write_text("u \n0 1 3 0 1,1\n0 2 3 0 1,1\n1 2 3 0 1,1\n2 0,0\n\n")
    with pytest.raises(InputError, match="lat: utterance 'u': paths of different lengths meet in state 2"):
        list(read_lattices(tmp_path / "lat"))
