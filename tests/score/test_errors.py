"""Error counts: worked examples, a plain dynamic programme as reference, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.score.edits import ErrorCounts, align, characters, confusions, score_utterances

WORDS = st.lists(st.sampled_from(["a", "b", "c", "ä"]), max_size=7)


def distance(reference: list[str], hypothesis: list[str]) -> int:
    """Levenshtein's recurrence, plainly."""
    row = list(range(len(hypothesis) + 1))
    for i, said in enumerate(reference, 1):
        above, row = row, [i]
        for j, heard in enumerate(hypothesis, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (said != heard)))
    return row[-1]


def test_worked_example() -> None:
    pairs = {"u1": (["a", "b", "c"], ["a", "x", "c", "d"]), "u2": (["d", "e"], ["d"]), "u3": ([], [])}
    found = score_utterances(pairs)
    assert found.words.tolist() == [3, 2, 0]
    assert found.insertions.tolist() == [1, 0, 0]
    assert found.deletions.tolist() == [0, 1, 0]
    assert found.substitutions.tolist() == [1, 0, 0]
    assert found.total() == ErrorCounts(5, 1, 1, 1)
    assert str(found.total()) == "60.00 % [ 3 / 5, 1 ins, 1 del, 1 sub ]"
    assert found.by_speaker({"u1": "bob", "u2": "anna"}) == {
        "anna": ErrorCounts(2, 0, 1, 0),
        "bob": ErrorCounts(3, 1, 0, 1),
    }


def test_characters_keep_spaces_and_marked_words() -> None:
    assert characters(["AB", "<UNK>", "C"]) == ["A", "B", " ", "<UNK>", " ", "C"]
    found = score_utterances({"u": (["AB", "C"], ["ABC"])}, "character")
    assert found.total() == ErrorCounts(4, 0, 1, 0)


@given(WORDS, WORDS)
def test_counts_equal_the_plain_recurrence(reference: list[str], hypothesis: list[str]) -> None:
    total = score_utterances({"u": (reference, hypothesis)}).total()
    assert total.errors == distance(reference, hypothesis)
    assert len(hypothesis) == total.words + total.insertions - total.deletions


@given(WORDS, WORDS)
def test_alignment_holds_both_sequences(reference: list[str], hypothesis: list[str]) -> None:
    aligned = align(reference, hypothesis)
    assert [a for a, _ in aligned if a] == reference
    assert [b for _, b in aligned if b] == hypothesis
    assert sum(a != b for a, b in aligned) == distance(reference, hypothesis)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
def test_batch_equals_single_and_confusions_add_up(items: list[tuple[list[str], list[str]]]) -> None:
    pairs = {str(i): item for i, item in enumerate(items)}
    together = score_utterances(pairs)
    alone = sum((score_utterances({u: p}).total() for u, p in pairs.items()), ErrorCounts(0, 0, 0, 0))
    assert together.total() == alone
    found = confusions(pairs)
    counted = sum(found.substitutions.values()) + sum(found.insertions.values()) + sum(found.deletions.values())
    assert counted == alone.errors == int(np.sum(together.errors))


def test_rates_without_words() -> None:
    assert ErrorCounts(0, 0, 0, 0).rate == 0.0
    assert ErrorCounts(0, 1, 0, 0).rate == float("inf")


def test_impossible_counts() -> None:
    with pytest.raises(ValueError, match="negative"):
        ErrorCounts(1, -1, 0, 0)
    with pytest.raises(ValueError, match="more words wrong"):
        ErrorCounts(1, 0, 1, 1)
    with pytest.raises(ValueError, match="unit is 'phone'"):
        score_utterances({}, "phone")
