"""lexicon.symbols: symbol tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.symbols import SymbolTable, check_symbols, is_disambig

LAW = settings(deadline=None, max_examples=25)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=8)


def test_hand_worked_table() -> None:
    table = SymbolTable(("<eps>", "A", "B", "#0"))
    assert (table["B"], table.symbol(3), len(table), "C" in table, table.max_id) == (2, "#0", 4, False, 3)
    assert table.encode(["B", "A"]) == [2, 1]
    assert table.get("C", 7) == 7
    with pytest.raises(KeyError):
        table["C"]
    with pytest.raises(InputError, match="lat.gz: has id 4, which its symbol table lacks"):
        table.symbol(4, "lat.gz")
    with pytest.raises(InputError, match="words: 'C' is not among the 4 symbols"):
        table.encode(["A", "C"], "words")


@LAW
@given(st.lists(NAMES.filter(lambda s: s != "<eps>"), unique=True, max_size=20), st.data())
def test_save_and_load_is_identity(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(1, 3), min_size=len(names), max_size=len(names)))
    ids = [0]
    for step in steps:
        ids.append(ids[-1] + step)
    table = SymbolTable(("<eps>", *names), ids)
    file = tmp_path_factory.mktemp("t") / "words.txt"
    table.write(file)
    again = SymbolTable.read(file)
    assert again.symbols == table.symbols and list(again.ids) == list(table.ids)
    assert all(again.symbol(again[s]) == s for s in again.symbols)


def test_lines_may_stand_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("B\t2\n<eps> 0\nA 1\n")
    assert SymbolTable.read(tmp_path / "w.txt").symbols == ("<eps>", "A", "B")


@pytest.mark.parametrize(
    "text, message",
    [
        ("<eps> 0\nA\n", "w.txt:2: found 'A'; wanted 'symbol id' with an id from 0. Correct the line."),
        ("<eps> 0\nA x\n", "w.txt:2: found 'A x'; wanted"),
        ("<eps> 0\nA -1\n", "w.txt:2: found 'A -1'; wanted"),
        ("<eps> 0\nA 1\nB 1\n", "w.txt:3: id 1 of 'B' already belongs to 'A'; wanted an id of its own"),
        ("<eps> 0\nA 1\nA 2\n", "w.txt:3: symbol 'A' stands in line 2 already; wanted each symbol once."),
        ("A 0\nB 1\n", "w.txt: id 0 belongs to 'A'; wanted '<eps> 0'. Give id 0 to <eps>."),
        ("A 1\n", "w.txt: id 0 belongs to no symbol; wanted '<eps> 0'"),
    ],
)
def test_message_of_a_bad_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.txt").write_text(text)
    with pytest.raises(InputError) as caught:
        SymbolTable.read(tmp_path / "w.txt")
    assert message in str(caught.value)
    assert check_symbols(tmp_path / "w.txt")[0] is None


@pytest.mark.parametrize(
    "symbols, ids, message",
    [
        ((), (), "the first symbol must be <eps> with id 0"),
        (("A",), (), "the first symbol must be <eps> with id 0"),
        (("<eps>", "A", "A"), (), "a symbol stands twice in the table"),
        (("<eps>", "A"), (0, 0), "ids must rise"),
    ],
)
def test_a_table_checks_itself(symbols: tuple[str, ...], ids: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SymbolTable(symbols, ids)


def test_form_of_disambiguation_symbols() -> None:
    assert [is_disambig(s) for s in ("#0", "#x", "#", "A#", "#nonterm:a")] == [True, True, False, False, False]
