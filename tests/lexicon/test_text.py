"""lexicon.text: strict and lenient reading of text."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from lexicon.text import Problem, check_lines, raise_first, read_lines, read_user_lines


def test_lines_are_read_without_their_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("A AH\nÉTÉ E T E\n".encode())
    assert read_lines(tmp_path / "a.txt") == ["A AH", "ÉTÉ E T E"]


def test_gzip_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"A AH\n"))
    assert read_lines(tmp_path / "a.gz") == ["A AH"]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"A AH\nCAF\xc9 K\n", "a.txt:2: byte 0xc9 is not UTF-8 text. Convert it, e.g. `iconv"),
        (b"", "a.txt: the file is empty; wanted at least one line. Fill it"),
        (b" \n\n", "a.txt: the file is empty"),
        (b"A AH\r\nB B\r\n", "a.txt:1: carriage return (Windows line ends, 2 in the file); wanted lines that end in"),
        (b"A AH\nB B", "a.txt:2: the last line does not end in a line feed"),
        ("A AH\nB\u00a0B\n".encode(), "a.txt:2: white space U+00A0; wanted fields separated by spaces or tabs."),
        (b"A AH\x00\n", "a.txt:1: control character U+0000; wanted fields separated by spaces or tabs. Replace it"),
        (b"\xef\xbb\xbfA AH\n", "a.txt:1: starts with a byte-order mark; wanted plain UTF-8 text. Remove it"),
        (b"\x1f\x8b\x08broken", "a.txt: is damaged or cut short"),
    ],
)
def test_message_of_bad_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_lines(tmp_path / "a.txt")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_message_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.txt: the file does not exist\. Make it"):
        read_lines(tmp_path / "x.txt")


def test_an_empty_file_may_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    assert check_lines(tmp_path / "a.txt", may_be_empty=True) == ([], [])


def test_every_odd_space_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("A\u3000AH\r\nB\u00a0B\n".encode())
    lines, problems = check_lines(tmp_path / "a.txt")
    assert [p.line for p in problems] == [1, 1, 2]
    assert lines == ["A AH ", "B B"]


def test_first_problem_is_raised_with_the_number_of_others() -> None:
    problems = [
        Problem(Path("f"), 1, "x", "y", "Do z.", "warning"),
        Problem(Path("f"), 2, "x", "y", "Do z."),
        Problem(Path("f"), 3, "x", "y", "Do z."),
    ]
    with pytest.raises(InputError) as caught:
        raise_first(problems, "`check` lists them")
    assert str(caught.value) == "f:2: x; wanted y. Do z. (1 more errors: `check` lists them)"
    raise_first(problems[:1])


def test_lenient_reading_takes_what_is_found_in_the_wild(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone two\r\n\r\n three")
    assert list(read_user_lines(tmp_path / "a.txt")) == [(1, "one two"), (3, "three")]
    (tmp_path / "b.txt").write_bytes(b"\xff\n")
    with pytest.raises(InputError, match=r"b\.txt:1: byte 0xff is not UTF-8"):
        list(read_user_lines(tmp_path / "b.txt"))
    (tmp_path / "c.txt").write_bytes(b"\n")
    with pytest.raises(InputError, match=r"c\.txt: the file is empty"):
        list(read_user_lines(tmp_path / "c.txt"))
