"""Text as streams of word ids, read in blocks so that a file of any size (gzip too) passes through."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import open_bytes, read_bytes
from lexicon.word_sources import is_cuts, read_utterances
from lm.word_table import INSERT, NUL_BYTE, SKIP_FIRST, SKIP_SPECIAL, SPECIAL_WORD, WordTable

__all__ = ["BLOCK_BYTES", "read_ids", "read_word_list"]

BLOCK_BYTES = 1 << 20
LONGEST_WORD = 1 << 16


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


def read_ids(
    path: str | os.PathLike,
    table: WordTable,
    insert: bool = True,
    skip_special: bool = False,
    with_ids: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[np.ndarray]:
    """Yields the word ids of a text file, one sentence a line, each line closed by the sentence end.

    Words are what stands between spaces, tabs, CR and LF (as in KenLM); an empty line is an empty
    sentence; a last line without LF counts; a byte-order mark is dropped.

    Args:
      path: UTF-8 text, gzip or not, or lhotse cuts, whose transcripts are read.
      table: gives the ids; takes new words if `insert`, else they become the unknown word.
      skip_special: pass over <s>, </s> (and <unk> when inserting) in the text instead of refusing them.
      with_ids: the first word of each line is an utterance id (Kaldi's `text`) and is passed over.
      block_bytes: how much text is held at once; a longer word than LONGEST_WORD is refused.

    Yields:
      int32 arrays; sentences run on from one to the next.

    Raises:
      InputError: not readable, not UTF-8, a NUL byte, a special word; with the line number.
    """
    lines, carry = 1, b""
    flags = SKIP_SPECIAL * skip_special + SKIP_FIRST * (with_ids and not is_cuts(path)) + INSERT * insert
    table.at_line_start = True
    for block in _closed(_blocks(path, block_bytes)):
        data = carry + block
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
    """Reads words separated by white space (KenLM's vocabulary file); `words.txt` (word, id a line) works too.

    Symbols that no text holds (<eps>, <s>, </s>, #0 and the like) are left out.

    Raises:
      InputError: not readable, not UTF-8, or no word in it.
    """
    data = read_bytes(path)
    _check_utf8(path, data, len(data), 1)
    data = data.removeprefix(b"\xef\xbb\xbf")
    found = data.split()
    if found[:2] == [b"<eps>", b"0"]:
        found = [line.split()[0] for line in data.splitlines() if line.strip()]
    special = {"<eps>", "<s>", "</s>", "<unk>", "<UNK>"}
    words = [w for w in map(bytes.decode, found) if w not in special and not (w[0] == "#" and w[1:].isdigit())]
    if not words:
        raise InputError.at(path, "holds no word", "Give the words separated by white space.")
    return words
