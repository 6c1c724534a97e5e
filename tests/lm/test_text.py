"""Text to word ids: what ends a word, special words, vocabularies, and bad text with the line number."""

import gzip
import json
import os
import threading

import numpy as np
import pytest

from hybrid.base.errors import InputError
from lm.word_stream import read_ids, read_word_list
from lm.word_table import Vocabulary, WordTable, word_hash


def read(path, **options) -> list[list[str]]:
    """The sentences of a text as the reader sees them."""
    table = WordTable.for_training()
    ids = [int(i) for block in read_ids(path, table, **options) for i in block]
    words = [w.decode() for w in table.word_bytes()]
    sentences: list[list[str]] = [[]]
    for i in ids:
        if i == 2:
            sentences.append([])
        else:
            sentences[-1].append(words[i])
    assert sentences.pop() == []
    return sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (b"a b\nc\n", [["a", "b"], ["c"]]),
        (b"a b\nc", [["a", "b"], ["c"]]),
        (b"a \nb ", [["a"], ["b"]]),
        (b" a\tb  c\r\n\r\n\nd\n", [["a", "b", "c"], [], [], ["d"]]),
        (b"\xef\xbb\xbfa\n", [["a"]]),
        ("ç\u00a0d e\u3000f\n".encode(), [["ç", "d", "e", "f"]]),
        (b"a\x0bb \x01\n", [["a", "b"]]),  # every space and control character is a blank
        ("a\u200bb\x85c\u2028d\x1f\n".encode(), [["a", "b", "c", "d"]]),
        (b"", []),
        (b"\n", [[]]),
        (b"<UNK> <S>\n", [["<UNK>", "<S>"]]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 2, 3, 1 << 20])
def test_words(tmp_path, text, sentences, block_bytes):
    (tmp_path / "text").write_bytes(text)
    assert read(tmp_path / "text", block_bytes=block_bytes) == sentences


def test_gzip_ids_and_cuts(tmp_path):
    (tmp_path / "text").write_bytes(gzip.compress(b"utt1 a b\nutt2\nutt3 c a\n"))
    assert read(tmp_path / "text", with_ids=True) == [["a", "b"], [], ["c", "a"]]
    cut = {"id": "u", "supervisions": [{"id": "u", "text": "A B"}]}
    (tmp_path / "cuts.jsonl").write_text(json.dumps(cut) + "\n" + json.dumps(cut) + "\n")
    assert read(tmp_path / "cuts.jsonl", with_ids=True) == [["A", "B"], ["A", "B"]]


def test_pipes(tmp_path):
    for name, data in (("plain", b"a b\nc\n"), ("packed", gzip.compress(b"a b\nc\n"))):
        os.mkfifo(tmp_path / name)
        writer = threading.Thread(target=(tmp_path / name).write_bytes, args=(data,))
        writer.start()
        assert read(tmp_path / name) == [["a", "b"], ["c"]]
        writer.join()
        with pytest.raises(InputError) as caught:  # where it would wait for another writer
            read(tmp_path / name)
        assert str(caught.value) == (
            f"{tmp_path / name}: is a pipe that was read, and it is wanted again. Write it into a file first."
        )


def test_very_long_lines(tmp_path):
    words = ["w" * (i % 50 + 1) for i in range(60_000)]
    (tmp_path / "text").write_text(" ".join(words))
    assert read(tmp_path / "text", block_bytes=1000) == [words]


def test_many_words_grow_the_table(tmp_path):
    words = [f"{i * 7919:x}" for i in range(30_000)]
    (tmp_path / "text").write_text("\n".join(words) + "\n")
    assert read(tmp_path / "text") == [[w] for w in words]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a\nb \xff c\n", "text:2: byte 0xff is not UTF-8. Convert the file"),
        (b"a\n\nb\0c\n", "text:3: has a NUL byte"),
        ("a\nb\n".encode("utf-16"), "text:1: is UTF-16 text, wanted UTF-8"),
        (b"a\nb </s>\n", "text:2: '</s>' stands in the text, where only words may stand. Remove it"),
        (b"a\nb <s> c\n", "text:2: '<s>' stands in the text"),
        (b"<unk>", "text:1: '<unk>' stands in the text"),
        (b"a\n" + b"x" * 70_000, "text:2: has a word longer than 65536 bytes. Is this text"),
    ],
)
@pytest.mark.parametrize("block_bytes", [40, 1 << 20])
def test_bad_text_is_refused_with_the_line(tmp_path, text, message, block_bytes):
    (tmp_path / "text").write_bytes(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "text", block_bytes=block_bytes)


def test_special_words_skipped(tmp_path):
    (tmp_path / "text").write_bytes(b"<s> a <unk> b </s>\n")
    assert read(tmp_path / "text", skip_special=True) == [["a", "b"]]


def test_gzip_cut_short(tmp_path):
    (tmp_path / "text").write_bytes(gzip.compress(b"a b c\n" * 1000)[:-12])
    with pytest.raises(InputError, match="text: is damaged or cut short"):
        read(tmp_path / "text")


def test_missing(tmp_path):
    with pytest.raises(InputError, match="nothing: the file does not exist"):
        read(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot be read .is a directory."):
        read(tmp_path)


def test_word_lists(tmp_path):
    (tmp_path / "vocab").write_text("a\u00a0b\x01\nc\n<s> </s> <unk>\n")
    assert read_word_list(tmp_path / "vocab") == ["a", "b", "c"]
    (tmp_path / "words.txt").write_text("<eps> 0\na 1\n7 2\n#0 3\n<s> 4\n</s> 5\n")
    assert read_word_list(tmp_path / "words.txt") == ["a", "7"]
    (tmp_path / "none").write_text("<s>\n")
    with pytest.raises(InputError, match="none: holds no word"):
        read_word_list(tmp_path / "none")


def test_vocabulary():
    vocabulary = Vocabulary.build(["b", "a", "<s>", "ç"], "<UNK>")
    assert vocabulary.symbols == ["<UNK>", "<s>", "</s>", "a", "b", "ç"]
    assert vocabulary.id("b") == 4 and vocabulary.id("zebra") == 0 and "ç" in vocabulary and len(vocabulary) == 6
    blob, offsets = vocabulary.blob
    assert [bytes(blob[a:b]).decode() for a, b in zip(offsets, offsets[1:])] == vocabulary.symbols
    table = vocabulary.table()
    assert table.word_bytes() == list(vocabulary.words)
    assert int(table.hashes[5]) == word_hash("ç".encode())
    with pytest.raises(ValueError, match="begins with <unk>"):
        Vocabulary((b"a", b"b", b"c"))
    with pytest.raises(ValueError, match="byte order"):
        Vocabulary((b"<unk>", b"<s>", b"</s>", b"b", b"a"))


def test_lookup_leaves_the_table_alone(tmp_path):
    (tmp_path / "text").write_bytes(b"a z <unk>\nb\n")
    table = Vocabulary.build(["a", "b"]).table()
    ids = np.concatenate(list(read_ids(tmp_path / "text", table, insert=False)))
    assert ids.tolist() == [3, 0, 0, 2, 4, 2] and table.count == 5


@pytest.mark.parametrize("text", ["a b\nb\n", "a b\nb", "a b \nb \n", "a\u00a0b\nb\n", "\ufeffa b\r\nb\r\n"])
@pytest.mark.parametrize("block_bytes", [3, 5, 1 << 20])
def test_the_end_of_a_text_is_no_sentence(tmp_path, text, block_bytes):
    (tmp_path / "t").write_text(text, encoding="utf-8", newline="")
    ids = np.concatenate(list(read_ids(tmp_path / "t", WordTable.for_training(), block_bytes=block_bytes)))
    assert ids.tolist() == [3, 4, 2, 4, 2]
