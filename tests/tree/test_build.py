import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError
from hybrid.tree import (
    PDF_CLASS_KEY,
    Questions,
    Root,
    TreeConfig,
    TreeStats,
    accumulate_tree_stats,
    build_tree,
    pdf_moments,
    tree_objective,
)
from hybrid.tree.kernels import best_question, best_question_reference
from hybrid.tree.objective import gaussian_objective

PHONES = (1, 2, 3, 4, 5)
CLASSES = dict.fromkeys(PHONES, 3)
ROOTS = (Root(False, False, (1,)), Root(True, True, (2, 3)), Root(True, True, (4, 5)))


def corpus(seed, utterances=12, width=3, position=1, dim=2):
    random = np.random.default_rng(seed)
    sounds = 3 * random.normal(size=(len(PHONES) + 1, dim))
    parts = []
    for _ in range(utterances):
        phones = random.choice(PHONES, random.integers(2, 8))
        durations = random.integers(3, 7, len(phones))
        segment = np.repeat(np.arange(len(phones)), durations)
        starts = np.concatenate([[0], np.cumsum(durations)[:-1]])
        classes = np.minimum((3 * (np.arange(len(segment)) - starts[segment])) // durations[segment], 2)
        left = np.concatenate([[0], phones])[segment]
        x = (
            sounds[phones[segment]]
            + 0.5 * sounds[left] * (classes == 0)[:, None]
            + random.normal(size=(len(segment), dim))
        )
        parts.append(accumulate_tree_stats(x, phones, durations, classes, width, position, context_independent=(1,)))
    return TreeStats.merge(parts)


def questions(width=3):
    return Questions.compile([(1,), (2, 3), (4, 5), (2, 4), (3,), (1, 2, 3, 4, 5)], width, 3)


def build(stats, roots=ROOTS, **settings):
    defaults = {"threshold": 5.0, "max_leaves": 0, "cluster_threshold": 0.0, "leaf_multiple": 1}
    return build_tree(stats, roots, questions(stats.context_width), CLASSES, TreeConfig(**{**defaults, **settings}))


def gain_of(stats, entries, key, values):
    yes = np.isin(stats.events[entries, key], values)
    sides = np.stack([stats.moments[entries[yes]].sum(0), stats.moments[entries[~yes]].sum(0)])
    return gaussian_objective(sides).sum() - gaussian_objective(stats.moments[entries].sum(0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10000))
def test_the_first_split_is_the_best_of_all_by_brute_force(seed):
    stats = corpus(seed)
    tree, report = build(stats, max_leaves=6)
    best = max(
        gain_of(stats, np.flatnonzero(np.isin(stats.central_phones, root.phones)), key, values)
        for root in ROOTS[1:]
        for key, sets in questions().by_key.items()
        for values in sets
    )
    assert report.num_roots == 5 and report.num_splits == 1
    np.testing.assert_allclose(report.gain, best, rtol=1e-9)
    np.testing.assert_allclose(report.smallest_split, best, rtol=1e-9)


def leaves_of(stats, tree):
    """Entries of each leaf."""
    pdfs = tree.pdf_ids(stats.contexts, stats.pdf_classes)
    return [np.flatnonzero(pdfs == pdf) for pdf in range(tree.num_pdfs)]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10000))
def test_every_split_is_the_best_of_all_leaves_by_brute_force(seed):
    stats = corpus(seed, 6)
    smaller, before = build(stats, max_leaves=1)
    for leaves in range(6, 10):
        best = max(
            gain_of(stats, entries, key, values)
            for entries in leaves_of(stats, smaller)
            if len(entries) and stats.central_phones[entries[0]] != 1  # phone 1 has leaves for its states, not split
            for key, sets in questions().by_key.items()
            for values in sets
        )
        tree, report = build(stats, max_leaves=leaves)
        if best <= 5.0:  # the threshold
            assert report.num_splits == before.num_splits
            break
        np.testing.assert_allclose(report.gain - before.gain, best, rtol=1e-8)
        smaller, before = tree, report


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10000))
def test_reported_gain_is_the_gain_of_the_tree(seed):
    stats = corpus(seed)
    before, _ = build(stats, max_leaves=1)
    tree, report = build(stats)
    grown = tree_objective(stats, tree) - tree_objective(stats, before)
    np.testing.assert_allclose(grown, report.gain, rtol=1e-9)
    assert report.num_splits == tree.num_pdfs - before.num_pdfs > 0
    merged, report = build(stats, cluster_threshold=30.0)
    np.testing.assert_allclose(tree_objective(stats, merged) - tree_objective(stats, tree), report.cluster_change)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10000), st.floats(0, 20), st.sampled_from([0.01, 1.0, 3.0]))
def test_fast_search_equals_the_readable_one(seed, min_count, floor):
    stats = corpus(seed, 5)
    members = np.random.default_rng(seed).random((12, 8)) < 0.4
    values = np.ascontiguousarray(stats.contexts[:, 1])
    entries = np.flatnonzero(np.arange(len(values)) % 3 > 0)
    gain, row = best_question(values, entries, stats.moments, members, floor, min_count)
    wanted, wanted_row = best_question_reference(values, entries, stats.moments, members, floor, min_count)
    np.testing.assert_allclose(gain, wanted, rtol=1e-9, atol=1e-9)
    if row >= 0:
        same = members[row][values[entries]]
        theirs = members[wanted_row][values[entries]]
        assert np.array_equal(same, theirs) or np.array_equal(same, ~theirs)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10000), st.sampled_from([(1, 0), (2, 1), (3, 1), (5, 2)]))
def test_every_context_finds_a_leaf_seen_or_not(seed, context):
    width, position = context
    tree, _ = build(corpus(seed, width=width, position=position), cluster_threshold=-1.0)
    contexts = np.random.default_rng(seed).integers(0, 9, (200, width))
    contexts[:, position] = np.random.default_rng(seed).choice(PHONES, 200)
    pdfs = tree.pdf_ids(contexts, np.arange(200) % 3)
    assert pdfs.min() >= 0 and pdfs.max() < tree.num_pdfs


def test_leaves_are_numbered_without_gaps_and_rounded():
    stats = corpus(1, 60)
    tree, report = build(stats, cluster_threshold=-1.0, leaf_multiple=4)
    assert tree.num_pdfs % 4 == 0 and report.num_leaves == tree.num_pdfs
    leaves = {pdf for phone in PHONES for c in range(3) for pdf in tree.possible_pdf_ids(phone, c)}
    assert leaves == set(range(tree.num_pdfs))
    assert report.num_merged == report.num_roots + report.num_splits - report.num_leaves


def test_a_tree_with_fewer_leaves_than_roots_after_rounding_is_not_rounded():
    stats = corpus(1, 60)
    for leaves in (7, 6):  # of five roots; a multiple of 8 would be 0, which merged whatever could be merged
        tree, report = build(stats, max_leaves=leaves, cluster_threshold=1e-6, leaf_multiple=8)
        assert tree.num_pdfs == leaves and report.num_merged == 0
    assert build(stats, max_leaves=7, cluster_threshold=1e-6, leaf_multiple=6)[0].num_pdfs == 6


def test_merging_stays_inside_a_root():
    tree, _ = build(corpus(2, 60), cluster_threshold=1e9)
    pdfs = [set(tree.possible_pdf_ids(p, 0)) for p in PHONES]
    assert not (pdfs[1] | pdfs[2]) & (pdfs[3] | pdfs[4]) and not pdfs[0] & pdfs[1]
    assert tree.num_pdfs == 5  # three states of phone 1, and one leaf for each shared root


def test_limits():
    stats = corpus(3, 60)
    free, _ = build(stats)
    capped, report = build(stats, max_leaves=9)
    assert capped.num_pdfs == 9 < free.num_pdfs and report.num_splits == 4
    fed, _ = build(stats, min_leaf_frames=40)
    assert pdf_moments(stats, fed)[5:, 0].min() >= 40
    assert build(stats, threshold=1e9)[0].num_pdfs == 5


def test_unseen_phone_is_reported_and_has_a_leaf(caplog):
    stats = corpus(4)
    roots = (*ROOTS, Root(True, True, (6,)))
    classes = {**CLASSES, 6: 3}
    tree, report = build_tree(stats, roots, questions(), classes, TreeConfig(threshold=5, leaf_multiple=1))
    assert report.unseen_phones == (6,) and len(report.empty_pdfs) == 1
    assert tree.pdf_id((0, 6, 0), 1) == report.empty_pdfs[0]
    assert "no frames of 1 phones (6)" in caplog.text
    build_tree(stats, roots, questions(), classes, TreeConfig(threshold=5, leaf_multiple=1), {6: "ZH_B"}.__getitem__)
    assert "no frames of 1 phones (ZH_B)" in caplog.text


def test_context_independent_phones_are_never_asked_for_their_neighbours():
    stats = corpus(5, 40)
    roots = (Root(True, True, (1, 2, 3, 4, 5)),)  # phone 1 has no neighbours in the statistics
    tree, _ = build(stats, roots=roots, threshold=1.0)
    from hybrid.tree.nodes import Split, iterate_nodes

    def keys_above_phone_1(node, inside=True):
        if not isinstance(node, Split):
            return set()
        if node.key == 1:
            return keys_above_phone_1(node.yes if 1 in node.values else node.no)
        return {node.key} | keys_above_phone_1(node.yes) | keys_above_phone_1(node.no)

    assert keys_above_phone_1(tree.root) <= {PDF_CLASS_KEY}
    assert any(isinstance(n, Split) and n.key in (0, 2) for n in iterate_nodes(tree.root))


def test_errors():
    stats = corpus(6)
    with pytest.raises(HybridError, match="no statistics at all; wanted aligned frames"):
        build(TreeStats.empty(3, 1, 2))
    with pytest.raises(HybridError, match=r"phones \[5\] have frames but stand in no root"):
        build(stats, roots=(*ROOTS[:2], Root(True, True, (4,))))
    with pytest.raises(ValueError, match="a root that is split must be shared"):
        build(stats, roots=(Root(False, True, PHONES),))
    with pytest.raises(HybridError, match="which its topology does not have"):
        build_tree(stats, ROOTS, questions(), {**CLASSES, 1: 2}, TreeConfig())
    with pytest.raises(ValueError, match="tree never ends"):
        TreeConfig(threshold=0, max_leaves=0)
    with pytest.raises(ValueError, match="about position 3"):
        build_tree(stats, ROOTS, questions(5), CLASSES, TreeConfig())
