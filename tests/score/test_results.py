"""The table of results: rows replaced by key, Markdown, errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from hybrid.score.results import Result, add_result, format_table, insert_table, read_results, write_results

ROW = Result("mono", "dev-clean", "tg", 65.46, 63.1, 67.8, 100, 200, 300, 7707, 1810.04, 1.255)


def test_columns_and_numbers(tmp_path: Path) -> None:
    write_results(tmp_path / "r.tsv", [ROW])
    assert (tmp_path / "r.tsv").read_text() == (
        "system\tset\tlm\twer\tlow\thigh\tins\tdel\tsub\twords\tcpu_s\tmax_gb\n"
        "mono\tdev-clean\ttg\t65.46\t63.10\t67.80\t100\t200\t300\t7707\t1810.0\t1.25\n"
    )


def test_save_load_identity(tmp_path: Path) -> None:
    rows = [replace(ROW, cpu_s=1810.0, max_gb=1.25), replace(ROW, system="tri1", cpu_s=0.0, max_gb=0.0)]
    write_results(tmp_path / "r.tsv", rows)
    assert read_results(tmp_path / "r.tsv") == rows
    assert read_results(tmp_path / "none.tsv") == []


def test_a_row_is_replaced_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "r.tsv"
    for row in (ROW, replace(ROW, lm="fg"), replace(ROW, wer=60.0)):
        add_result(file, row)
    assert [(r.lm, r.wer) for r in read_results(file)] == [("tg", 60.0), ("fg", 65.46)]


def test_adding_side_by_side_loses_nothing(tmp_path: Path) -> None:
    rows = [replace(ROW, lm=f"lm{i}") for i in range(12)]
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda row: add_result(tmp_path / "r.tsv", row), rows))
    assert {r.lm for r in read_results(tmp_path / "r.tsv")} == {r.lm for r in rows}


def test_markdown() -> None:
    table = format_table([ROW]).splitlines()
    assert table[0].startswith("| system | set | lm | WER % | 95 % interval |")
    assert table[2] == "| mono | dev-clean | tg | 65.46 | 63.10 – 67.80 | 100 | 200 | 300 | 7707 | 1810.0 | 1.25 |"
    document = "# Results\n<!-- results -->\nold\n<!-- end of results -->\nafter\n"
    assert insert_table(document, "new\n", "R.md") == document.replace("old", "new")
    with pytest.raises(InputError, match="R.md: has no place for the table"):
        insert_table("# Results\n", "new\n", "R.md")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\n", ":1: columns are"),
        ("HEAD\nmono\tx\n", ":2: is no row of 12 cells .2 cells."),
        ("HEAD\nm\ts\tl\tx\t1\t1\t1\t1\t1\t1\t1\t1\n", ":2: is no row of 12 cells .could not convert"),
    ],
)
def test_bad_table(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "r.tsv"
    write_results(file, [])
    file.write_text(content.replace("HEAD", file.read_text().strip()))
    with pytest.raises(InputError, match=message):
        read_results(file)


def test_names_without_tabs() -> None:
    with pytest.raises(ValueError, match="system is 'a b'"):
        replace(ROW, system="a\tb")
