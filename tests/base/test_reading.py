"""Files that anybody may have made: every failure is one InputError with the place."""

import contextlib
import gzip
import os
import pickle
from pathlib import Path
from threading import Thread

import pytest

from hybrid.base.errors import HybridError, InputError, one_line, quote
from hybrid.base.reading import (
    MAX_DEPTH,
    map_bytes,
    open_bytes,
    open_text,
    parse_json,
    parse_yaml,
    read_bytes,
    read_text,
    reading,
    text_lines,
)


def test_plain_and_gzip_give_the_same_bytes(tmp_path):
    data = bytes(range(256)) * 1000
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "zipped").write_bytes(gzip.compress(data))
    assert read_bytes(tmp_path / "plain") == read_bytes(tmp_path / "zipped") == data
    with open_bytes(tmp_path / "zipped") as stream:
        assert stream.seek(300) == 300 and stream.read(2) == data[300:302]


@pytest.mark.parametrize("cut", [1, 5, 12, 40])
def test_truncated_gzip(tmp_path, cut):
    (tmp_path / "a.gz").write_bytes(gzip.compress(os.urandom(100))[:-cut])
    with pytest.raises(InputError, match=r"a\.gz: is damaged or cut short \(.*\)\. Make or copy it again\."):
        read_bytes(tmp_path / "a.gz")


def test_flipped_gzip(tmp_path):
    data = bytearray(gzip.compress(b"some words " * 1000))
    data[20] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"a\.gz: is damaged or cut short"):
        read_text(tmp_path / "a.gz")


def test_a_bomb_is_refused_with_the_limit(tmp_path):
    with gzip.open(tmp_path / "bomb.gz", "wb") as stream:
        for _ in range(70):
            stream.write(bytes(1 << 20))
    with pytest.raises(InputError, match=r"unpacks to more than 64 MiB, more than 100 times its size\. Unpack it"):
        for _ in open_text(tmp_path / "bomb.gz"):
            pass


def test_missing_folder_and_odd_names(tmp_path):
    with pytest.raises(InputError, match=r"nothing: the file does not exist\. Make it or correct the path\."):
        open_bytes(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"cannot be read \(is a directory\)"):
        open_bytes(tmp_path)
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            open_bytes(tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="too many levels of symbolic links"):
        open_bytes(tmp_path / "loop")


def test_text_names_the_line_that_is_not_utf8(tmp_path):
    (tmp_path / "t").write_bytes(b"one\ntwo\nstra\xdfe\n")
    for read in (read_text, lambda path: list(text_lines(path))):
        with pytest.raises(InputError, match=r"t:3: byte 0xdf is not UTF-8 text\. Convert it, e\.g\. `iconv"):
            read(tmp_path / "t")


def test_json_depth_size_and_surrogates():
    deep = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    for text in (deep, "[" * 200_000):
        with pytest.raises(InputError, match="nested deeper than 100 levels"):
            parse_json(text, "m", 7)
    assert parse_json(deep[1:-1], "m") and parse_json('["' + "[" * 500 + '"]', "m") == ["[" * 500]
    with pytest.raises(InputError, match="m:7: is not JSON"):
        parse_json(b"{", "m", 7)
    with pytest.raises(InputError, match="half of a surrogate pair"):
        parse_json(r'{"a": "\ud800"}', "m")
    assert parse_json(r'"\ud83d\ude00"', "m") == "\U0001f600"


def test_yaml_depth_aliases_and_objects():
    assert parse_yaml("a: [1, {b: 2}]", "c") == {"a": [1, {"b": 2}]}
    for text in ("[" * 5000, "[" * 101 + "]" * 101):
        with pytest.raises(InputError, match="nested deeper than 100 levels"):
            parse_yaml(text, "c")
    for text in ("a: &x [1]\nb: *x", "a: !!python/object/apply:os.getcwd []", "a: 2001-99-99", "a: b: c", "\x00"):
        with pytest.raises(InputError, match="^c: "):
            parse_yaml(text, "c")


def test_what_is_quoted_is_short_and_visible():
    assert quote("straße क्‍ष") == "straße क्‍ष"
    assert quote("\x1b[31mred\x07\n\u202eabc\udcff") == r"\x1b[31mred\x07\x0a\u202eabc\udcff"
    assert quote("x" * 80) == "x" * 80 and quote("x" * 81) == "x" * 79 + "…" and len(quote("\x1b" * 300)) <= 80
    assert one_line("two\nlines") == "two lines"
    assert str(HybridError("a\x1b]0;title\x07b\nc")) == r"a\x1b]0;title\x07b c"


def test_the_last_resort_names_what_was_wanted():
    with pytest.raises(InputError, match=r"m: holds no usable GMM \(KeyError: 'means'\)\. Make or copy it again\."):
        with reading("m", "GMM"):
            {}["means"]


def test_messages_have_an_end():
    """Place and cure stay, whatever a file made a reader quote."""
    error = InputError.at("file", f"found '{'[' * 10**6}'", "Mend it.")
    assert len(str(error)) < 1300 and str(error).startswith("file: found '[[") and str(error).endswith("[['. Mend it.")


def test_pipes_are_unpacked_and_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hybrid.base.reading.FREE_BYTES", 1 << 16)
    for name, content in [("plain", b"A B\n"), ("packed", gzip.compress(b"A B\n"))]:
        assert list(text_lines(_pipe(tmp_path / name, content))) == [(1, "A B")]
    with pytest.raises(InputError, match="more than 100 times its size"):
        list(text_lines(_pipe(tmp_path / "bomb", gzip.compress(b"\n" * (1 << 24)))))


def _pipe(path: Path, content: bytes) -> Path:
    os.mkfifo(path)
    Thread(target=_feed, args=(path, content), daemon=True).start()
    return path


def _feed(path: Path, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(path, "wb") as stream:
        stream.write(content)


def test_what_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"abc")
    (tmp_path / "packed").write_bytes(gzip.compress(b"abc"))
    (tmp_path / "empty").write_bytes(b"")
    assert [bytes(map_bytes(tmp_path / name)) for name in ("plain", "packed", "empty")] == [b"abc", b"abc", b""]


def test_an_error_keeps_its_parts() -> None:
    error = InputError.at("f.txt", "is odd", "Mend it.", 3)
    assert (error.found, error.cure, error.line) == ("is odd", "Mend it.", 3)
    again = pickle.loads(pickle.dumps(error))  # as from a worker
    assert (str(again), again.found, again.line) == (str(error), "is odd", 3)
