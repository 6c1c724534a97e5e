"""lexicon.phones: phone sets and what a lang folder makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.phones import PhoneSet, position_forms

LAW = settings(deadline=None, max_examples=25)
NAMES = st.text("abcXYZ019:'é", min_size=1, max_size=4)


@pytest.fixture
def stressed() -> PhoneSet:
    return PhoneSet((("SIL",), ("SPN",)), (("AA0", "AA1"), ("B",)), "SIL", (("AA0",),))


def test_position_dependent_inventory_by_hand(stressed: PhoneSet) -> None:
    phones = stressed.inventory()
    assert phones.silence == ("SIL", "SIL_B", "SIL_E", "SIL_I", "SIL_S", "SPN", "SPN_B", "SPN_E", "SPN_I", "SPN_S")
    assert phones.nonsilence[:5] == ("AA0_B", "AA0_E", "AA0_I", "AA0_S", "AA1_B")
    assert phones.sets[2] == phones.nonsilence[:8]
    assert phones.roots[2] == ("shared", "split", phones.nonsilence[:8])
    assert phones.extra_questions[0] == ("AA0_B", "AA0_E", "AA0_I", "AA0_S")
    assert phones.extra_questions[1] == ("AA0_B", "AA1_B", "B_B")
    assert phones.extra_questions[5:7] == (("SIL", "SPN"), ("SIL_B", "SPN_B"))
    assert phones.word_boundary is not None
    assert [phones.word_boundary[p] for p in ("SIL", "SPN_S", "B_B", "B_E", "B_I")] == [
        "nonword", "singleton", "begin", "end", "internal",
    ]  # fmt: skip


def test_inventory_without_positions_and_with_shared_silence(stressed: PhoneSet) -> None:
    phones = stressed.inventory(position_dependent=False, share_silence=True)
    assert phones.sets == (("SIL", "SPN"), ("AA0", "AA1"), ("B",))
    assert phones.roots[0] == ("not-shared", "not-split", ("SIL", "SPN"))
    assert phones.roots[1][:2] == ("shared", "split")
    assert phones.word_boundary is None
    assert phones.extra_questions == (("AA0",),)


@LAW
@given(st.lists(NAMES, min_size=3, max_size=9, unique=True), st.booleans(), st.booleans())
def test_every_phone_has_one_set_and_one_root(names: list[str], marked: bool, shared: bool) -> None:
    phones = PhoneSet.from_phones(names[:2], names[2:]).inventory(marked, shared)
    everyone = sorted(phones.silence + phones.nonsilence)
    assert sorted(p for group in phones.sets for p in group) == everyone
    assert sorted(p for root in phones.roots for p in root[2]) == everyone
    assert len(everyone) == (5 * 2 + 4 * (len(names) - 2) if marked else len(names))


@LAW
@given(st.lists(NAMES, min_size=4, max_size=9, unique=True))
def test_save_and_load_is_identity(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    phones = PhoneSet(
        (tuple(names[:1]), tuple(names[1:2])), (tuple(names[2:4]), *((n,) for n in names[4:])), names[1], ((names[3],),)
    )
    folder = tmp_path_factory.mktemp("d")
    phones.write(folder)
    assert PhoneSet.read(folder) == phones


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((), (("A",),), "SIL"), "at least one silence phone"),
        (((("SIL",),), (("A",), ("A",)), "SIL"), "phone 'A' stands twice"),
        (((("SIL",),), (("SIL",),), "SIL"), "phone 'SIL' stands twice"),
        (((("SIL",),), (("A_B",),), "SIL"), "phone 'A_B' ends in _B"),
        (((("SIL",),), (("#1",),), "SIL"), "phone '#1' starts with '#'"),
        (((("SIL",),), (("<eps>",),), "SIL"), "is the name of epsilon"),
        (((("SIL",),), (("A",),), "A"), "optional silence 'A' is no silence phone"),
        (((("SIL",),), (("A",),), "SIL", (("B",),)), "asks about 'B'"),
    ],
)
def test_a_set_checks_itself(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhoneSet(*arguments)


def test_reading_names_the_folder(tmp_path: Path) -> None:
    PhoneSet.from_phones(["SIL"], ["A"]).write(tmp_path)
    (tmp_path / "optional_silence.txt").write_text("A\n")
    with pytest.raises(InputError, match=r"optional silence 'A' is no silence phone\. `hybrid lang validate"):
        PhoneSet.read(tmp_path)


def test_forms() -> None:
    assert position_forms("A", False) == ("A_B", "A_E", "A_I", "A_S")
    assert position_forms("SIL", True) == ("SIL", "SIL_B", "SIL_E", "SIL_I", "SIL_S")
