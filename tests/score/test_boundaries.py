"""Boundary errors by hand, and laws of the matching."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.score.boundaries import PhoneStart, common, compare_starts, report


def phones(text: str, *starts: float | None) -> list[PhoneStart]:
    labels = text.split()
    return [PhoneStart(x.lstrip("#"), s, x.startswith("#")) for x, s in zip(labels, starts)]


def test_starts_by_hand():
    reference = phones("K AE T S", 0.1, 0.2, 0.3, 0.4)
    found = compare_starts("u", reference, phones("#K AE T S", 0.11, 0.181, 0.33, 0.4))
    assert [b.error for b in found] == pytest.approx([0.01, -0.019, 0.03, 0.0])
    assert [(b.left, b.label, b.opens) for b in found] == [
        ("", "K", True), ("K", "AE", False), ("AE", "T", False), ("T", "S", False),
    ]  # fmt: skip
    assert [b.kind for b in found] == ["stop", "vowel", "stop", "other"]
    summary = report(found)
    assert (summary.count, summary.within_20) == (4, 75.0)
    assert (summary.mean, summary.median, summary.bias) == pytest.approx((14.75, 14.5, 5.25))


def test_only_boundaries_that_both_sides_have_count():
    reference = phones("K AE T S", 0.1, 0.2, 0.3, 0.4)
    found = compare_starts("u", reference, phones("#K AE S", 0.1, 0.2, 0.4))
    assert [b.label for b in found] == ["K", "AE"]  # T is missing, so S has another left neighbour
    found = compare_starts("u", reference, phones("#K AH T S", 0.1, 0.2, 0.3, 0.4))
    assert [b.label for b in found] == ["K", "AE", "T", "S"]  # another vowel bounds the same
    unknown = phones("AA R T", 0.1, None, 0.3)
    assert [b.label for b in compare_starts("u", unknown, phones("#AA R T", 0.1, 0.2, 0.3))] == ["AA", "T"]


def test_a_shift_moves_all_but_the_start_of_the_audio():
    reference = phones("K AE", 0.0, 0.2)
    found = compare_starts("u", reference, phones("#K AE", 0.0, 0.2), 0.01)
    assert [b.error for b in found] == pytest.approx([0.0, 0.01])


def test_common_boundaries():
    reference = phones("K AE T", 0.1, 0.2, 0.3)
    whole = compare_starts("u", reference, phones("#K AE T", 0.1, 0.2, 0.3))
    part = compare_starts("u", reference, phones("#K AE", 0.1, 0.25))
    first, second = common(whole, part)
    assert [b.label for b in first] == [b.label for b in second] == ["K", "AE"]
    assert math.isnan(report([]).mean) and report([]).count == 0


labels = st.lists(st.sampled_from(["K", "T", "S", "AE", "IY", "M"]), max_size=12)


@given(labels, labels)
def test_every_boundary_is_counted_once_and_equal_sides_agree(first, second):
    a = [PhoneStart(x, 0.1 * i) for i, x in enumerate(first)]
    b = [PhoneStart(x, 0.1 * i) for i, x in enumerate(second)]
    found = compare_starts("u", a, b)
    assert len({x.place for x in found}) == len(found) <= min(len(a), len(b))
    same = compare_starts("u", a, a)
    assert len(same) == len(a) and all(x.error == 0 for x in same)
