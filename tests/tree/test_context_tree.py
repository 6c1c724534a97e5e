import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.artifact import content_hash
from hybrid.base.errors import HybridError
from hybrid.tree import PDF_CLASS_KEY, ContextTree, read_tree
from hybrid.tree.draw import describe_tree, draw_svg
from hybrid.tree.kaldi_tree import parse_tree
from hybrid.tree.nodes import Leaf, Split, Table

PHONES, CLASSES, WIDTH = 6, 3, 3


@st.composite
def nodes(draw, depth=4):
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return Leaf(draw(st.integers(0, 20)))
    key = draw(st.integers(-1, WIDTH - 1))
    if draw(st.booleans()):
        values = draw(st.sets(st.integers(0, PHONES)))
        return Split(key, tuple(sorted(values)), draw(nodes(depth - 1)), draw(nodes(depth - 1)))
    size = draw(st.integers(0, 4))
    return Table(key, tuple(draw(st.one_of(st.none(), nodes(depth - 1))) for _ in range(size)))


def first_leaf(node):
    return Split(0, (1,), node, Leaf(0))  # a tree needs at least one leaf


trees = nodes().map(lambda node: ContextTree(WIDTH, 1, first_leaf(node)))


def test_monophones_share_pdfs_within_a_set():
    tree = ContextTree.monophone([(1, 2), (3,)], {1: 3, 2: 3, 3: 2})
    assert tree.num_pdfs == 5 and tree.context_width == 1 and tree.central_position == 0
    assert [tree.pdf_id((p,), c) for p, c in ((1, 0), (2, 0), (2, 2), (3, 0), (3, 1))] == [0, 0, 2, 3, 4]


def test_monophones_may_share_all_states_of_a_set():
    tree = ContextTree.monophone([(1,), (2,)], {1: 3, 2: 3}, shared_roots=[True, False])
    assert [tree.pdf_id((1,), c) for c in range(3)] == [0, 0, 0]
    assert [tree.pdf_id((2,), c) for c in range(3)] == [1, 2, 3]


def test_a_set_with_mixed_topologies_gets_the_larger_one():
    tree = ContextTree.monophone([(1, 2)], {1: 1, 2: 3})
    assert tree.num_pdfs == 3 and tree.pdf_id((1,), 0) == tree.pdf_id((2,), 0)


@pytest.mark.parametrize(
    "sets, message",
    [
        ([], "0 phone sets"),
        ([(1,), ()], "must be non-empty"),
        ([(1, 2), (2,)], r"phones \[2\] are in two phone sets"),
        ([(1,), (9,)], "phone 9 has no pdf-classes"),
    ],
)
def test_bad_phone_sets(sets, message):
    with pytest.raises(ValueError, match=message):
        ContextTree.monophone(sets, {1: 3, 2: 3})


def test_no_answer_is_a_clear_line():
    tree = ContextTree.monophone([(1,), (2,)], {1: 3, 2: 3})
    with pytest.raises(HybridError, match=r"no pdf for phone 7 in context \(7,\), pdf-class 0; wanted a phone"):
        tree.pdf_id((7,), 0)
    with pytest.raises(HybridError, match="pdf-class 3"):
        tree.pdf_id((1,), 3)
    with pytest.raises(ValueError, match="a context of 3 phones for a tree over 1"):
        tree.pdf_id((0, 1, 2), 0)


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(0, 1000))
def test_many_at_once_equal_one_by_one(tree, seed):
    random = np.random.default_rng(seed)
    contexts = random.integers(-1, PHONES + 3, (30, WIDTH))
    classes = random.integers(-1, CLASSES + 2, 30)
    for context, pdf_class, answer in zip(contexts.tolist(), classes.tolist(), tree.pdf_ids(contexts, classes)):
        try:
            wanted = tree.pdf_id(context, pdf_class)
        except HybridError:
            wanted = -1
        assert answer == wanted


@settings(max_examples=40, deadline=None)
@given(trees)
def test_possible_pdfs_are_those_of_all_contexts(tree):
    grid = np.stack(np.meshgrid(*[np.arange(PHONES + 2)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    for phone in range(PHONES + 1):
        for pdf_class in range(CLASSES):
            contexts = np.stack([grid[:, 0], np.full(len(grid), phone), grid[:, 1]], axis=1)
            found = set(tree.pdf_ids(contexts, np.full(len(grid), pdf_class)).tolist()) - {-1}
            assert found <= set(tree.possible_pdf_ids(phone, pdf_class))
    everything = {1: 3, PDF_CLASS_KEY: 1, 0: 2, 2: 4}
    exact = tree.pdf_ids(np.array([[2, 3, 4]]), np.array([1]))[0]
    assert tree.possible_pdf_ids_given(everything) == (() if exact < 0 else (exact,))


@settings(max_examples=40, deadline=None)
@given(trees)
def test_text_there_and_back(tree):
    again = parse_tree(tree.to_text().encode())
    assert again == tree and again.content_hash() == tree.content_hash()


def test_file_there_and_back(tmp_path):
    tree = ContextTree.monophone([(1, 2), (3,)], {1: 3, 2: 3, 3: 2})
    tree.write(tmp_path / "tree")
    assert read_tree(tmp_path / "tree") == tree
    assert content_hash(tmp_path / "tree") == tree.content_hash()


def test_windows():
    tree = ContextTree(3, 1, Leaf(0))
    np.testing.assert_array_equal(tree.pad([4, 5]), [[0, 4, 5], [4, 5, 0]])
    assert tree.pad([]).shape == (0, 3)
    np.testing.assert_array_equal(ContextTree(2, 1, Leaf(0)).pad([4, 5]), [[0, 4], [4, 5]])
    np.testing.assert_array_equal(ContextTree(1, 0, Leaf(0)).pad([4]), [[4]])


def test_it_checks_itself():
    with pytest.raises(ValueError, match="central position 3 lies outside"):
        ContextTree(3, 3, Leaf(0))
    with pytest.raises(ValueError, match="asks about position 5"):
        ContextTree(3, 1, Split(5, (1,), Leaf(0), Leaf(1)))
    with pytest.raises(ValueError, match="sorted and distinct"):
        Split(0, (2, 1), Leaf(0), Leaf(1))


def test_description_and_drawing():
    from xml.dom.minidom import parseString

    tree = ContextTree(3, 1, Split(1, (1,), Leaf(0), Split(0, (0, 2), Leaf(1), Table(PDF_CLASS_KEY, (Leaf(2), None)))))
    text = describe_tree(tree, {1: "SIL", 2: "A<B"})
    assert text.splitlines() == [
        "context of 3, central position 1, 3 pdfs, at most 3 questions",
        "phone in {SIL}?",
        "  yes: pdf 0",
        "  no: phone-1 in {(none) A<B}?",
        "    yes: pdf 1",
        "    no: pdf-class:",
        "      0: pdf 2",
    ]
    drawing = parseString(draw_svg(tree, {1: "SIL", 2: "A<B"}))
    assert len(drawing.getElementsByTagName("rect")) == 6 and len(drawing.getElementsByTagName("path")) == 5
    titles = [t.firstChild.data for t in drawing.getElementsByTagName("title")]
    assert "phone-1 in {(none) A<B}?" in titles


def test_the_drawing_of_a_large_tree_fits_a_screen() -> None:
    from xml.dom.minidom import parseString

    node: object = Table(1, tuple(Split(0, tuple(range(1, 60)), Leaf(2 * n), Leaf(2 * n + 1)) for n in range(1000)))
    drawing = parseString(draw_svg(ContextTree(3, 1, node))).documentElement  # type: ignore[arg-type]
    assert float(drawing.getAttribute("width")) < 800
    assert len(drawing.getElementsByTagName("rect")) == 3001
