"""lexicon.disambig: disambiguation symbols, homophones, clashes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lexicon.disambig import assign_disambig, find_clashes, homophones

LAW = settings(deadline=None, max_examples=60)
PHONES = st.lists(st.sampled_from(["a", "aa", "b"]), min_size=1, max_size=4).map(tuple)
PRONUNCIATIONS = st.lists(PHONES, min_size=1, max_size=12)


def plain_assign(pronunciations: list[tuple[str, ...]], first: int = 1) -> list[int]:
    """The readable reference: looks at every pair of pronunciations."""
    numbers = []
    for i, mine in enumerate(pronunciations):
        others = pronunciations[:i] + pronunciations[i + 1 :]
        if any(other[: len(mine)] == mine for other in others):
            numbers.append(first + sum(other == mine for other in pronunciations[:i]))
        else:
            numbers.append(0)
    return numbers


def test_by_hand() -> None:
    # SEA and SEE are homophones and begin SEED, which begins SEEDS.
    assert assign_disambig(["S IY", "S IY", "S IY D", "S IY D S", "S"]) == [1, 2, 1, 0, 1]
    assert assign_disambig(["S IY", "S IY D"], first=4) == [4, 0]
    assert assign_disambig(["A", "AA"]) == [0, 0]


@LAW
@given(PRONUNCIATIONS, st.integers(1, 4))
def test_equals_the_readable_reference(pronunciations: list[tuple[str, ...]], first: int) -> None:
    texts = [" ".join(p) for p in pronunciations]
    assert assign_disambig(texts, first) == plain_assign(pronunciations, first)


@LAW
@given(PRONUNCIATIONS)
def test_nothing_clashes_afterwards(pronunciations: list[tuple[str, ...]]) -> None:
    numbers = assign_disambig([" ".join(p) for p in pronunciations])
    entries = [(f"w{i}", (*p, f"#{n}") if n else p) for i, (p, n) in enumerate(zip(pronunciations, numbers))]
    assert find_clashes(entries) == []


@LAW
@given(PRONUNCIATIONS)
def test_clashes_are_found_exactly_where_there_are_some(pronunciations: list[tuple[str, ...]]) -> None:
    entries = [(f"w{i}", p) for i, p in enumerate(pronunciations)]
    clashes = find_clashes(entries)
    pairs = [(a, b) for i, a in enumerate(pronunciations) for j, b in enumerate(pronunciations) if i != j]
    assert bool(clashes) == any(b[: len(a)] == a for a, b in pairs)
    said = dict(entries)
    for clash in clashes:
        assert said[clash.second][: len(clash.phones)] == clash.phones == said[clash.first]
        assert (clash.kind == "same") == (said[clash.second] == clash.phones)


def test_clashes_are_told_in_words() -> None:
    entries = [("SEA", ("S", "IY")), ("SEE", ("S", "IY")), ("SEED", ("S", "IY", "D"))]
    assert [str(c) for c in find_clashes(entries)] == [
        "'SEA' and 'SEE' are both pronounced 'S IY'",
        "the pronunciation 'S IY' of 'SEE' begins that of 'SEED'",
    ]
    assert len(find_clashes(entries, limit=1)) == 1


def test_homophones() -> None:
    entries = [("SEA", ["S", "IY"]), ("SEED", ["S", "IY", "D"]), ("SEE", ["S", "IY"]), ("SEE", ["S", "IY"])]
    assert homophones(entries) == {("S", "IY"): ("SEA", "SEE")}
