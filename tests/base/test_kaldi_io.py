"""Kaldi archives: there and back, against Kaldi's programs, and hostile bytes."""

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
from hybrid.formats.kaldi_io import (
    read_int_vectors,
    read_matrices,
    read_matrix,
    write_int_vectors,
    write_matrices,
    write_matrix,
)


def test_hand_made_text_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one  [\n  1 2 3\n  4 5 6 ]\ntwo  [ 7 8.5 ]\nnone  [ ]\n")
    found = dict(read_matrices(path))
    assert found["one"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found["two"].tolist() == [7, 8.5]
    assert found["none"].size == 0


def test_hand_made_binary_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.ark"
    path.write_bytes(
        b"k \0BFM \x04" + struct.pack("<i", 1) + b"\x04" + struct.pack("<i", 2) + struct.pack("<2f", 1, -2)
    )
    assert dict(read_matrices(path))["k"].tolist() == [[1, -2]]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 4),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from("ab"),
)
def test_there_and_back(tmp_path_factory, rows, cols, text, dtype, suffix) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("ark")
    path = folder / ("x.ark" if suffix == "a" else "x.ark.gz")
    random = np.random.default_rng(rows * 10 + cols)
    items = {f"utt-{i}": random.standard_normal((rows, cols)).astype(dtype) for i in range(3)}
    assert write_matrices(path, items, text=text) == 3
    read = dict(read_matrices(path))
    assert list(read) == list(items)
    for key, value in read.items():
        assert value.shape == items[key].shape or rows == 0
        if rows:
            np.testing.assert_allclose(value, items[key], rtol=1e-7)
            assert text or (value.dtype == dtype and (value == items[key]).all())


def test_scp_points_into_the_archive_and_cuts_rows(tmp_path: Path) -> None:
    items = {"a": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.ones((2, 2), np.float32)}
    write_matrices(tmp_path / "x.ark", items, scp=tmp_path / "x.scp")
    found = dict(read_matrices(tmp_path / "x.scp"))
    assert (found["a"] == items["a"]).all() and (found["b"] == items["b"]).all()
    line = (tmp_path / "x.scp").read_text().split("\n")[0]
    (tmp_path / "y.scp").write_text(f"{line}[1:2]\n")
    assert dict(read_matrices(tmp_path / "y.scp"))["a"].tolist() == [[2, 3], [4, 5]]


def test_integer_vectors_there_and_back(tmp_path: Path) -> None:
    items = {"a": np.array([3, -1, 2**31 - 1]), "empty": np.array([], np.int32), "c": np.array([0])}
    for text in (False, True):
        write_int_vectors(tmp_path / "i.gz", items, text=text)
        found = dict(read_int_vectors(tmp_path / "i.gz"))
        assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in items.items()}


def test_single_matrix(tmp_path: Path) -> None:
    matrix = np.array([[1.5, 2], [3, 4]], np.float32)
    for text in (False, True):
        write_matrix(tmp_path / "m.mat", matrix, text=text)
        assert (read_matrix(tmp_path / "m.mat") == matrix).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"key \0BFM \x04\x10\0\0\0\x04\x10\0\0\0abc", "is cut short"),
        (b"key \0BFM \x04\xff\xff\xff\x7f\x04\xff\xff\xff\x7f", "is cut short"),
        (b"key \0BFM \x04\xff\xff\xff\xff\x04\x01\0\0\0", "claims a matrix of shape"),
        (b"key \0BXX ", "holds 'XX' where a float matrix or vector was expected"),
        (b"key \0BFM \x08\x01\0\0\0", "an integer of 8 bytes where 4 were expected"),
        (b"key [\n 1 2\n 3 ]\n", "row 2 has 1 values, the first has 2"),
        (b"key [\n 1 2\n", "has no closing bracket"),
        (b"key [ 1 x ]\n", "is no number"),
        (b"key 5\n", "where a matrix was expected"),
        (b"\xff\xfe \0B", "a key is not UTF-8"),
        (b"k" * 5000, "a key of more than 4096 bytes"),
        (b"key \0BCM " + struct.pack("<ffii", 0, 1, 10**9, 10**9), "is cut short"),
    ],
)
def test_hostile_archives_get_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.ark"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_matrices(path))
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_other_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.ark: the file does not exist"):
        list(read_matrices(tmp_path / "absent.ark"))
    (tmp_path / "pipe.scp").write_text("utt cat secret |\n")
    with pytest.raises(InputError, match="has a command where FILE:OFFSET was expected"):
        list(read_matrices(tmp_path / "pipe.scp"))
    (tmp_path / "i.txt").write_text("utt 1 2 99999999999\n")
    with pytest.raises(InputError, match="is no 32-bit integer"):
        list(read_int_vectors(tmp_path / "i.txt"))
    whole = gzip.compress(b"utt [ 1 2 ]\n" * 1000)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.gz: is damaged or cut short"):
        list(read_matrices(tmp_path / "cut.gz"))
    with pytest.raises(InputError, match="cannot point into a compressed archive"):
        write_matrices(tmp_path / "x.gz", {}, scp=tmp_path / "x.scp")


@pytest.mark.peer
def test_kaldi_reads_and_writes_the_same(kaldi_bin: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    items = {f"u{i}": (random.standard_normal((20 + i, 5)) * 10).astype(np.float32) for i in range(3)}
    write_matrices(tmp_path / "a.ark", items)
    write_matrices(tmp_path / "a.txt", items, text=True)
    for name in ("a.ark", "a.txt"):
        _run(kaldi_bin, "copy-feats", f"ark:{tmp_path / name}", f"ark:{tmp_path / 'k.ark'}")
        assert (tmp_path / "k.ark").read_bytes() == (tmp_path / "a.ark").read_bytes()
    vectors = {"x": np.array([1, 2, 3]), "y": np.array([], np.int32)}
    write_int_vectors(tmp_path / "i.ark", vectors)
    _run(kaldi_bin, "copy-int-vector", f"ark:{tmp_path / 'i.ark'}", f"ark:{tmp_path / 'k.int'}")
    assert (tmp_path / "k.int").read_bytes() == (tmp_path / "i.ark").read_bytes()


@pytest.mark.peer
@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_forms_are_read_as_kaldi_does(kaldi_bin: Path, tmp_path: Path, method: int) -> None:
    random = np.random.default_rng(method)
    items = {f"u{i}": (random.standard_normal((50, 13)) * 20).astype(np.float32) for i in range(2)}
    write_matrices(tmp_path / "a.ark", items)
    option = f"--compression-method={method}"
    _run(kaldi_bin, "copy-feats", "--compress=true", option, f"ark:{tmp_path / 'a.ark'}", f"ark:{tmp_path / 'c.ark'}")
    _run(kaldi_bin, "copy-feats", f"ark:{tmp_path / 'c.ark'}", f"ark:{tmp_path / 'k.ark'}")
    ours, theirs = dict(read_matrices(tmp_path / "c.ark")), dict(read_matrices(tmp_path / "k.ark"))
    for key in items:
        np.testing.assert_allclose(ours[key], theirs[key], atol=2e-5)


@pytest.mark.peer
def test_reads_an_alignment_archive_of_kaldi(peers: Path) -> None:
    found = dict(read_int_vectors(peers / "lattices" / "best_path.ali.gz"))
    assert len(found) == 10 and all(len(v) > 100 and v.min() >= 1 for v in found.values())


def _run(folder: Path, program: str, *arguments: str) -> None:
    subprocess.run([str(folder / program), *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("target", ["/dev/zero:0", "nothing.ark:3", "x" * 300, "a\0b:1", ".", "[" + "9" * 5000 + ":1]"])
def test_scp_points_at_files_only(tmp_path: Path, target: str) -> None:
    """/dev/zero never ends; the others are names that no file can have."""
    (tmp_path / "x.scp").write_text(f"utt {target}\n")
    with pytest.raises(InputError, match=r"x\.scp:1: 'utt' points at '.{1,90}', which is no file"):
        list(read_matrices(tmp_path / "x.scp"))
