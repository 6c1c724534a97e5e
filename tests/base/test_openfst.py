"""OpenFst files: a file written byte by byte, save and load, hostile files."""

from __future__ import annotations

import struct

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.formats.openfst import (
    FstArrays,
    from_kaldifst,
    read_fst,
    read_fst_stream,
    to_kaldifst,
    vector_stats,
    write_fst,
)


@st.composite
def fsts(draw: st.DrawFn) -> FstArrays:
    states = draw(st.integers(1, 5))
    arc = st.tuples(
        st.integers(0, states - 1),
        st.integers(0, 9),
        st.integers(0, 2**31 - 1),
        st.integers(0, states - 1),
        st.floats(-9, 9, width=32),
    )
    arcs = draw(st.lists(arc, max_size=12))
    finals = draw(st.lists(st.sampled_from([0.0, 1.5, np.inf]), min_size=states, max_size=states))
    columns = list(zip(*arcs)) if arcs else [[]] * 5
    source, il, ol, to, cost = (np.array(c) for c in columns)
    return FstArrays.from_arcs(draw(st.integers(0, states - 1)), source, il, ol, to, cost, np.array(finals))


def small() -> FstArrays:
    """0 --1:2/0.5--> 1, both final, 1 has a self-loop."""
    return FstArrays(0, [0, 1, 2], [1, 3], [2, 0], [1, 1], [0.5, 0.25], [np.inf, 1.0])


def fields(fst: kaldifst.StdVectorFst) -> str:
    return " ".join(fst.to_str(show_weight_one=True).split())


def test_vector_file_as_openfst_lays_it_out(tmp_path):
    arcs = struct.pack("<fq", np.inf, 1) + struct.pack("<iifi", 1, 2, 0.5, 1)
    arcs += struct.pack("<fq", 1.0, 1) + struct.pack("<iifi", 3, 0, 0.25, 1)
    head = struct.pack("<ii6si8siiQqqq", 2125659606, 6, b"vector", 8, b"standard", 2, 0, 3, 0, 2, 2)
    write_fst(tmp_path / "a.fst", small())
    assert (tmp_path / "a.fst").read_bytes() == head + arcs


@settings(max_examples=40, deadline=None)
@given(fst=fsts(), kind=st.sampled_from(["vector", "const"]))
def test_save_and_load_is_identity(tmp_path_factory, fst, kind):
    file = tmp_path_factory.mktemp("fst") / "x.fst"
    write_fst(file, fst, kind)
    assert read_fst(file).equals(fst)


@settings(max_examples=40, deadline=None)
@given(fst=fsts())
def test_kaldifst_there_and_back(fst):
    copy = to_kaldifst(fst)
    assert copy.num_states == fst.num_states and copy.start == fst.start
    assert from_kaldifst(copy).equals(fst)
    states, arcs, low, high = vector_stats(copy)
    totals = [
        -np.logaddexp.reduce(np.append(-fst.costs[fst.row_splits[s] : fst.row_splits[s + 1]], -fst.final_costs[s]))
        for s in range(fst.num_states)
    ]
    assert (states, arcs) == (fst.num_states, fst.num_arcs)
    np.testing.assert_allclose([low, high], [min(totals), max(totals)], atol=1e-5)


def test_kaldifst_reads_what_we_write(tmp_path):
    write_fst(tmp_path / "a.fst", small())
    assert fields(kaldifst.StdVectorFst.read(str(tmp_path / "a.fst"))) == "0 1 1 2 0.5 1 1 3 0 0.25 1 1"
    write_fst(tmp_path / "c.fst", small(), "const")
    const = kaldifst.StdConstFst.read(str(tmp_path / "c.fst"))
    assert const.type == "const" and fields(const) == "0 1 1 2 0.5 1 1 3 0 0.25 1 1"


def test_aligned_const_files_and_symbol_tables_are_read(tmp_path):
    symbols = struct.pack("<ii4sqqi5sq", 2125658996, 4, b"name", 1, 1, 5, b"<eps>", 0)
    head = struct.pack("<ii5si8siiQqqq", 2125659606, 5, b"const", 8, b"standard", 2, 4 | 1, 1, 0, 1, 1) + symbols
    head += bytes(-len(head) % 16)
    states = struct.pack("<fIIII", 0.5, 0, 1, 0, 0)
    states += bytes(-(len(head) + len(states)) % 16)
    (tmp_path / "a.fst").write_bytes(head + states + struct.pack("<iifi", 7, 8, 1.5, 0))
    fst = read_fst(tmp_path / "a.fst")
    assert fst.equals(FstArrays(0, [0, 1], [7], [8], [0], [1.5], [0.5]))


def test_number_of_states_unknown_to_the_writer(tmp_path):
    write_fst(tmp_path / "a.fst", small())
    data = bytearray((tmp_path / "a.fst").read_bytes())
    data[50:58] = struct.pack("<q", -1)  # OpenFst writes -1 into a pipe
    (tmp_path / "a.fst").write_bytes(data)
    assert read_fst(tmp_path / "a.fst").equals(small())


def test_archives_hold_many(tmp_path):
    write_fst(tmp_path / "a.fst", small())
    (tmp_path / "b.ark").write_bytes(2 * (tmp_path / "a.fst").read_bytes())
    with open(tmp_path / "b.ark", "rb") as stream:
        assert all(read_fst_stream(stream).equals(small()) for _ in range(2))
        assert stream.read() == b""


def test_empty_fst(tmp_path):
    for kind in ("vector", "const"):
        write_fst(tmp_path / "e.fst", FstArrays.empty(), kind)
        assert read_fst(tmp_path / "e.fst").equals(FstArrays.empty())
    assert from_kaldifst(to_kaldifst(FstArrays.empty())).equals(FstArrays.empty())


def test_large_fst_goes_through_a_file_on_disk(monkeypatch):
    import hybrid.formats.openfst as module

    monkeypatch.setattr(module, "SMALL_STATES", 0)
    assert from_kaldifst(to_kaldifst(small())).equals(small())
    assert vector_stats(to_kaldifst(small()))[:2] == (2, 2)


@pytest.mark.parametrize("kind", ["vector", "const"])
def test_a_cut_file_never_passes(tmp_path, kind):
    write_fst(tmp_path / "a.fst", small(), kind)
    data = (tmp_path / "a.fst").read_bytes()
    for size in range(len(data)):
        (tmp_path / "b.fst").write_bytes(data[:size])
        with pytest.raises(InputError, match="b.fst: "):
            read_fst(tmp_path / "b.fst")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.__setitem__(slice(0, 4), b"#!/b"), "is no OpenFst binary file"),
        (lambda d: d.__setitem__(slice(8, 14), b"ngram1"), "FST of type 'ngram1', wanted vector or const"),
        (lambda d: d.__setitem__(slice(18, 26), b"log_____"), "arcs of type 'log_____', wanted standard"),
        (lambda d: d.__setitem__(slice(70, 78), struct.pack("<q", 1 << 60)), "is cut short: state 0 of 2"),
        (lambda d: d.__setitem__(slice(90, 94), struct.pack("<i", 99)), "arc 0 of state 0 leads to no state"),
        (lambda d: d.__setitem__(slice(78, 82), struct.pack("<i", -5)), "arc 0 of state 0 has a negative label"),
        (lambda d: d.__setitem__(slice(86, 90), struct.pack("<f", np.nan)), "has a weight that is NaN or -inf"),
        (lambda d: d.__setitem__(slice(66, 70), struct.pack("<f", np.nan)), "state 0 has a final weight that is NaN"),
        (lambda d: d.extend(b"more"), "has bytes after the end"),
    ],
)
def test_hostile_files(tmp_path, change, message):
    write_fst(tmp_path / "a.fst", small())
    data = bytearray((tmp_path / "a.fst").read_bytes())
    change(data)
    (tmp_path / "a.fst").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_fst(tmp_path / "a.fst")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="none.fst: the file does not exist. Make it or correct"):
        read_fst(tmp_path / "none.fst")


def test_arrays_check_themselves():
    with pytest.raises(ValueError, match="start state 3 is not one of 2 states"):
        FstArrays(3, [0, 1, 2], [1, 3], [2, 0], [1, 1], [0.5, 0.25], [np.inf, 1.0])
    with pytest.raises(ValueError, match="row_splits"):
        FstArrays(0, [0, 1], [1, 3], [2, 0], [1, 1], [0.5, 0.25], [np.inf, 1.0])
    with pytest.raises(ValueError, match="differ in length"):
        FstArrays(0, [0, 1, 2], [1, 3], [2], [1, 1], [0.5, 0.25], [np.inf, 1.0])


@pytest.mark.peer
def test_kaldis_lexicon_there_and_back(peers, tmp_path):
    file = peers / "lang_small" / "lang" / "L_disambig.fst"
    fst = read_fst(file)
    printed = (peers / "lang_small" / "lang" / "L_disambig.fst.txt").read_text().splitlines()
    assert len([line for line in printed if len(line.split()) >= 4]) == fst.num_arcs
    write_fst(tmp_path / "c.fst", fst, "const")
    assert read_fst(tmp_path / "c.fst").equals(fst)
