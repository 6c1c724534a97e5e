"""Text as streams of word ids, read in blocks so that a file of any size (gzip too) passes through."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import open_bytes, read_bytes, text_lines
from lexicon.word_sources import is_cuts, read_utterances
from lexicon.words.blanks import byte_blanks, cut_key
from lexicon.words.normaliser import Normaliser, refuse_symbols
from lm.word_table import INSERT, NUL_BYTE, SKIP_FIRST, SKIP_SPECIAL, SPECIAL_WORD, WordTable

__all__ = ["BLOCK_BYTES", "read_ids", "read_sentences", "read_word_list"]

_SYMBOL = re.compile(rb"(?<![^ \t\r\n])(?:<eps>|#0)(?![^ \t\r\n])")
BLOCK_BYTES = 1 << 20
LONGEST_WORD = 1 << 16
LINES_AT_ONCE = 10_000


def _blocks(path: str | os.PathLike, block_bytes: int) -> Iterator[bytes]:
    """The bytes of a text, or the transcripts of lhotse cuts (*.jsonl, *.jsonl.gz), one a line."""
    if is_cuts(path):
        for _, words in read_utterances(path):
            yield (" ".join(words) + "\n").encode()
        return
    first = True
    with open_bytes(path) as stream:
        while block := stream.read(max(block_bytes, 3)):
            yield _without_mark(block, path) if first else block
            first = False


def _normalised(path: str | os.PathLike, normaliser: Normaliser, with_ids: bool) -> Iterator[bytes]:
    """The lines of a text, or of cuts, as a normaliser has them; those of which nothing is left are dropped."""
    sentences = read_sentences(path, normaliser, with_ids)
    while some := list(islice(sentences, LINES_AT_ONCE)):
        yield "".join(" ".join(words) + "\n" for words in some).encode()


def read_sentences(path: str | os.PathLike, normaliser: Normaliser, with_ids: bool = False) -> Iterator[list[str]]:
    """Yields the words of each line of a text, or of each of lhotse's cuts; those of which nothing is left are dropped.

    Args:
      with_ids: the first word of each line of a text is an utterance id and is passed over.

    Raises:
      InputError: not readable, not UTF-8, or a symbol in the text that is no word.
    """
    if is_cuts(path):
        yield from (words for _, words in read_utterances(path, normaliser=normaliser))
        return
    for number, line in text_lines(path):
        text = line.removeprefix("\ufeff") if number == 1 else line
        words = normaliser.words(cut_key(text)[1] if with_ids else text, path, number)
        if words or not text.strip():
            yield words


def _one_form(blocks: Iterator[bytes], canonical: bool) -> Iterator[bytes]:
    """The same blocks with one kind of blank, in NFC if `canonical`; cut at blanks, so that no character is halved."""
    held = b""
    for block in blocks:
        data = held + block
        end = 1 + max(data.rfind(blank) for blank in (b"\n", b" ")) or (len(data) if len(data) > LONGEST_WORD else 0)
        held = data[end:]
        if end:
            yield _whole_form(data[:end], canonical)
    if held:
        yield _whole_form(held, canonical)


def _whole_form(data: bytes, canonical: bool) -> bytes:
    if canonical and not data.isascii():
        text = data.decode("utf-8", "surrogateescape")  # what is no UTF-8 is told later, with its line
        if not unicodedata.is_normalized("NFC", text):
            data = unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")
    return byte_blanks(data)


def read_ids(
    path: str | os.PathLike,
    table: WordTable,
    insert: bool = True,
    skip_special: bool = False,
    with_ids: bool = False,
    block_bytes: int = BLOCK_BYTES,
    normaliser: Normaliser | None = None,
    canonical: bool = False,
) -> Iterator[np.ndarray]:
    """Yields the word ids of a text file, one sentence a line, each line closed by the sentence end.

    Words are what stands between blanks (`lexicon.words.blanks`); an empty line is an empty
    sentence; a last line without LF counts; a byte-order mark is dropped.

    Args:
      path: UTF-8 text, gzip or not, or lhotse cuts, whose transcripts are read.
      table: gives the ids; takes new words if `insert`, else they become the unknown word.
      skip_special: pass over <s>, </s> (and <unk> when inserting) in the text instead of refusing them.
      with_ids: the first word of each line is an utterance id (Kaldi's `text`) and is passed over.
      block_bytes: how much text is held at once; a longer word than LONGEST_WORD is refused.
      normaliser: makes words of the lines; without one they are what stands between blanks.
      canonical: bring words to Unicode's NFC, where there is no normaliser.

    Yields:
      int32 arrays; sentences run on from one to the next.

    Raises:
      InputError: not readable, not UTF-8, a NUL byte, a special word; with the line number.
    """
    lines, carry = 1, b""
    skip_first = with_ids and not is_cuts(path) and normaliser is None
    flags = SKIP_SPECIAL * skip_special + SKIP_FIRST * skip_first + INSERT * insert
    table.at_line_start = True
    if normaliser is not None:
        blocks = _normalised(path, normaliser, with_ids)
    else:
        blocks = _one_form(_blocks(path, block_bytes), canonical)
    for block in _closed(blocks):
        data = carry + block
        if (b"<eps>" in data or b"#0" in data) and (found := _SYMBOL.search(data)):
            line = lines + data.count(b"\n", 0, found.start())
            refuse_symbols(found.group().decode(), path, line)
        text = np.frombuffer(data, np.uint8)
        ids = np.empty(len(text) + 1, np.int32)
        status, position, count = table.scan(text, len(text), ids, flags)
        if status != 0:
            raise _bad_word(path, data, position, status, lines)
        carry = data[position:]
        newlines = data.count(b"\n", 0, position)
        if len(carry) > LONGEST_WORD:
            message = f"has a word longer than {LONGEST_WORD} bytes"
            raise InputError.at(path, message, "Is this text, with spaces between words?", lines + newlines)
        _check_utf8(path, data, position, lines)
        lines += newlines
        yield ids[:count]


def _closed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks, with LF after the last line where it lacks one."""
    block = b"\n"
    for block in blocks:
        yield block
    if not block.endswith(b"\n"):
        yield b"\n"


def _without_mark(block: bytes, path: str | os.PathLike) -> bytes:
    """Drops UTF-8's byte-order mark and refuses UTF-16's."""
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError.at(path, "is UTF-16 text, wanted UTF-8", "Convert it, e.g. with iconv.", 1)
    return block.removeprefix(b"\xef\xbb\xbf")


def _check_utf8(path: str | os.PathLike, data: bytes, end: int, lines: int) -> None:
    if data.isascii():
        return
    try:
        data[:end].decode("utf-8")
    except UnicodeDecodeError as error:
        line = lines + data.count(b"\n", 0, error.start)
        found = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputError.at(path, found, "Convert the file to UTF-8, e.g. with iconv.", line) from error


def _bad_word(path: str | os.PathLike, data: bytes, position: int, status: int, lines: int) -> InputError:
    line = lines + data.count(b"\n", 0, position)
    if status == NUL_BYTE:
        return InputError.at(path, "has a NUL byte", "Is it binary, or UTF-16? Convert it to UTF-8 text.", line)
    assert status == SPECIAL_WORD
    word = data[position : position + 20].split(maxsplit=1)[0].decode("utf-8", "replace")
    return InputError.at(
        path,
        f"'{quote(word)}' stands in the text, where only words may stand",
        "Remove it, or skip special words.",
        line,
    )


def read_word_list(path: str | os.PathLike) -> list[str]:
    """Reads words separated by blanks (KenLM's vocabulary file); `words.txt` (word, id a line) works too.

    Symbols that no text holds (<eps>, <s>, </s>, #0 and the like) are left out.

    Raises:
      InputError: not readable, not UTF-8, or no word in it.
    """
    data = read_bytes(path)
    _check_utf8(path, data, len(data), 1)
    data = byte_blanks(data.removeprefix(b"\xef\xbb\xbf"))
    found = data.split()
    if found[:2] == [b"<eps>", b"0"]:
        found = [line.split()[0] for line in data.splitlines() if line.strip()]
    special = {"<eps>", "<s>", "</s>", "<unk>", "<UNK>"}
    words = [w for w in map(bytes.decode, found) if w not in special and not (w[0] == "#" and w[1:].isdigit())]
    if not words:
        raise InputError.at(path, "holds no word", "Give the words separated by white space.")
    return words
