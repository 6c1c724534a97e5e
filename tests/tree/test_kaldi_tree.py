import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.tree import ContextTree, read_tree
from hybrid.tree.kaldi_tree import parse_tree
from hybrid.tree.nodes import Leaf, Split, Table

TEXT = """ContextDependency 3 1 ToPdf SE 1 [ 1 2 ]
{ TE -1 2 ( CE 0 NULL ) 
SE 0 [ 0 5 ]
{ CE 1 CE 2 } 
} 
EndContextDependency """  # noqa: W291
TREE = ContextTree(3, 1, Split(1, (1, 2), Table(-1, (Leaf(0), None)), Split(0, (0, 5), Leaf(1), Leaf(2))))


def integer(value):
    return b"\x04" + struct.pack("<i", value)


def vector(*values):
    return b"\x04" + struct.pack(f"<{len(values) + 1}i", len(values), *values)


BINARY = (
    b"\0BContextDependency " + integer(3) + integer(1) + b"ToPdf SE " + integer(1) + vector(1, 2) + b"{ "
    b"TE " + integer(-1) + b"\xfc" + struct.pack("<i", 2) + b"( CE " + integer(0) + b"NULL ) "
    b"SE " + integer(0) + vector(0, 5) + b"{ CE " + integer(1) + b"CE " + integer(2) + b"} } EndContextDependency "
)  # fmt: skip


def test_text_form():
    assert parse_tree(TEXT.encode()) == TREE
    assert TREE.to_text() == TEXT


def test_binary_form(tmp_path):
    assert parse_tree(BINARY) == TREE
    (tmp_path / "tree").write_bytes(BINARY)
    assert read_tree(tmp_path / "tree") == TREE


@pytest.mark.parametrize("data", [TEXT.encode(), BINARY])
def test_cut_anywhere_is_one_clear_line(data):
    for length in range(len(data) - len("EndContextDependency ")):
        with pytest.raises(InputError) as error:
            parse_tree(data[:length], "exp/tree")
        assert str(error.value).startswith("exp/tree") and "\n" not in str(error.value)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([TEXT.encode(), BINARY]), st.data())
def test_damaged_bytes_never_do_more_than_raise(data, choose):
    damaged = bytearray(data)
    for _ in range(choose.draw(st.integers(1, 4))):
        damaged[choose.draw(st.integers(0, len(data) - 1))] = choose.draw(st.integers(0, 255))
    try:
        parse_tree(bytes(damaged))
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "tree:1: the tree ends here"),
        ("hello world", "tree:1: found 'hello'; wanted 'ContextDependency'"),
        ("ContextDependency 3 5 ToPdf CE 0 EndContextDependency", "context width 3 with central position 5"),
        (
            "ContextDependency 3 1\nToPdf XX 0 EndContextDependency",
            "tree:2: found 'XX'; wanted one of CE, SE, TE, NULL",
        ),
        ("ContextDependency 3 1 ToPdf NULL EndContextDependency", "the tree has no node"),
        ("ContextDependency 3 1 ToPdf SE 4 [ 1 ] { CE 0 CE 1 } EndContextDependency", "asks about position 4"),
        ("ContextDependency 3 1 ToPdf SE 1 [ 2 1 ] { CE 0 CE 1 } EndContextDependency", "must be sorted"),
        ("ContextDependency 3 1 ToPdf SE 1 [ 1 ] { CE 0 NULL } EndContextDependency", "no node for one of its answers"),
        (
            "ContextDependency 3 1 ToPdf TE 1 999999999 ( CE 0 ) EndContextDependency",
            "impossible as a number of branches",
        ),
        ("ContextDependency 3 1 ToPdf CE -4 EndContextDependency", "pdf -4 is out of range"),
        ("ContextDependency 1 0 ToPdf " + "SE 0 [ 1 ] { CE 0 " * 5000, "more than 200 questions below one another"),
        ("ContextDependency 3 1 ToPdf CE x EndContextDependency", "found 'x'; wanted an integer"),
    ],
)
def test_text_of_errors(text, message):
    with pytest.raises(InputError) as error:
        parse_tree(text.encode())
    assert message in str(error.value) and "Copy the tree again" in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="none: the file does not exist"):
        read_tree(tmp_path / "none")
