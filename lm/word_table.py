"""Words and their ids: the fixed vocabulary of a model, and the growing table that a text is read with.

Ids 0, 1, 2 are the unknown word, the sentence start and the sentence end in every vocabulary; the
other words follow in byte order. Words are kept as UTF-8 bytes in one array, so that compiled code
reads and writes text without Python strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import InputError, quote

__all__ = ["BOS", "EOS", "SENTENCE_END", "SENTENCE_START", "UNK", "UNKNOWN_WORDS", "Vocabulary", "WordTable"]

UNK, BOS, EOS = 0, 1, 2
SENTENCE_START, SENTENCE_END = "<s>", "</s>"
UNKNOWN_WORDS = ("<unk>", "<UNK>")

# What `scan_words` ended with, and what it is told (a sum of flags).
DONE, GROW, NUL_BYTE, SPECIAL_WORD = 0, 1, 2, 3
INSERT, SKIP_SPECIAL, SKIP_FIRST = 1, 2, 4


@kernel
def scan_words(text, end, slots, hashes, blob, offsets, state, out, flags):
    """Cuts UTF-8 bytes into words and looks each up in (or adds it to) a hash table.

    Words end at space, tab, CR or LF; LF puts the sentence end into `out`. A word that reaches
    `end` without a delimiter stays unread.

    Args:
      text: uint8; `end`: how much of it counts.
      slots: int32 [power of two], ids or -1. hashes: uint64 [id]. blob: uint8, offsets: int64 [id + 1].
      state: int64 [4]: position in text, number of words in the table, number of ids in `out`, 1 at the
        start of a line; updated.
      out: int32, as long as `text` at least.
      flags: INSERT: new words enter the table; otherwise they become UNK. SKIP_SPECIAL: <s>, </s> (and
        <unk>, when inserting) in the text are passed over; otherwise reported. SKIP_FIRST: the first word
        of each line is passed over.

    Returns:
      DONE, GROW (the table is full; call again with a larger one), NUL_BYTE or SPECIAL_WORD (at the position).
    """
    mask = np.uint64(len(slots) - 1)
    insert, skip_special, skip_first = flags & INSERT != 0, flags & SKIP_SPECIAL != 0, flags & SKIP_FIRST != 0
    position, words, filled = state[0], state[1], state[2]
    line_start = state[3] != 0
    status = DONE
    while position < end:
        byte = text[position]
        if byte == 10:
            out[filled] = EOS
            filled += 1
            line_start = True
            position += 1
            continue
        if byte == 32 or byte == 9 or byte == 13:
            position += 1
            continue
        start = position
        value = np.uint64(14695981039346656037)
        while position < end:
            byte = text[position]
            if byte <= 32 and (byte == 32 or byte == 10 or byte == 9 or byte == 13 or byte == 0):
                break
            value = (value ^ np.uint64(byte)) * np.uint64(1099511628211)
            position += 1
        if position == end:
            position = start
            break
        if byte == 0:
            status = NUL_BYTE
            break
        if line_start:
            line_start = False
            if skip_first:
                continue
        length = position - start
        slot = (value ^ (value >> np.uint64(29))) & mask
        found = -1
        while slots[slot] >= 0:
            candidate = slots[slot]
            if hashes[candidate] == value:
                begin = offsets[candidate]
                if offsets[candidate + 1] - begin == length:
                    equal = True
                    for i in range(length):
                        if blob[begin + i] != text[start + i]:
                            equal = False
                            break
                    if equal:
                        found = candidate
                        break
            slot = (slot + np.uint64(1)) & mask
        if found < 0:
            if insert:
                full = 2 * (words + 1) > len(slots) or words + 1 >= len(offsets) or words >= len(hashes)
                if full or offsets[words] + length > len(blob):
                    position = start
                    line_start = False
                    status = GROW
                    break
                begin = offsets[words]
                for i in range(length):
                    blob[begin + i] = text[start + i]
                offsets[words + 1] = begin + length
                hashes[words] = value
                slots[slot] = words
                found = words
                words += 1
            else:
                found = UNK
        elif found <= EOS and (insert or found != UNK):
            if skip_special:
                continue
            position = start
            status = SPECIAL_WORD
            break
        out[filled] = found
        filled += 1
    state[0], state[1], state[2], state[3] = position, words, filled, line_start
    return status


@kernel
def fill_slots(slots, hashes, words):
    """Puts the ids 0 … words-1 into an empty table."""
    mask = np.uint64(len(slots) - 1)
    for i in range(words):
        slot = (hashes[i] ^ (hashes[i] >> np.uint64(29))) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = i


def word_hash(word: bytes) -> int:
    """FNV-1a, as `scan_words` computes it."""
    value = 14695981039346656037
    for byte in word:
        value = ((value ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return value


class WordTable:
    """A hash table from byte strings to ids that grows while a text is read."""

    def __init__(self, words: Sequence[bytes], hashes: np.ndarray | None = None) -> None:
        """Starts with `words` as ids 0, 1, …; the first three are unknown word, sentence start and end."""
        count = len(words)
        self.count = count
        self.at_line_start = True
        raw = b"".join(words)
        capacity = max(1024, 2 * count)
        self.blob = np.zeros(max(1 << 14, 2 * len(raw)), np.uint8)
        self.blob[: len(raw)] = np.frombuffer(raw, np.uint8)
        self.offsets = np.zeros(capacity + 1, np.int64)
        self.offsets[1 : count + 1] = np.cumsum([len(w) for w in words])
        self.hashes = np.zeros(capacity, np.uint64)
        self.hashes[:count] = [word_hash(w) for w in words] if hashes is None else hashes[:count]
        self.slots = np.empty(0, np.int32)
        self._rebuild()

    @classmethod
    def for_training(cls) -> "WordTable":
        """A table that holds nothing but the three special words."""
        return cls([UNKNOWN_WORDS[0].encode(), SENTENCE_START.encode(), SENTENCE_END.encode()])

    def _rebuild(self) -> None:
        size = 1 << (4 * len(self.hashes) - 1).bit_length()
        self.slots = np.full(size, -1, np.int32)
        fill_slots(self.slots, self.hashes, self.count)

    def make_room(self, length: int) -> None:
        """Doubles the table, and its bytes until `length` more of them fit."""
        while len(self.blob) - self.offsets[self.count] < length:
            self.blob = np.concatenate([self.blob, np.zeros_like(self.blob)])
        self.blob = np.concatenate([self.blob, np.zeros_like(self.blob)])
        self.offsets = np.concatenate([self.offsets, np.zeros_like(self.offsets)])
        self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)])
        self._rebuild()

    def scan(self, text: np.ndarray, end: int, out: np.ndarray, flags: int) -> tuple[int, int, int]:
        """Turns text[:end] into ids; see `scan_words`.

        Returns:
          (status, position reached, number of ids written).
        """
        state = np.array([0, self.count, 0, self.at_line_start], np.int64)
        while True:
            status = scan_words(text, end, self.slots, self.hashes, self.blob, self.offsets, state, out, flags)
            self.count, self.at_line_start = int(state[1]), bool(state[3])
            if status != GROW:
                return int(status), int(state[0]), int(state[2])
            self.make_room(1 << 16)

    def word_bytes(self) -> list[bytes]:
        """All words, in the order of their ids."""
        raw = self.blob[: self.offsets[self.count]].tobytes()
        ends = self.offsets[: self.count + 1].tolist()
        return [raw[a:b] for a, b in zip(ends, ends[1:])]


@dataclass(frozen=True)
class Vocabulary:
    """The words of a model: unknown word, <s>, </s>, then the rest in byte order, each once.

    Attributes:
      words: UTF-8 bytes of each word, by id.
    """

    words: tuple[bytes, ...]

    def __post_init__(self) -> None:
        special = [w.decode() for w in self.words[:3]]
        if len(special) < 3 or special[0] not in UNKNOWN_WORDS or special[1:] != [SENTENCE_START, SENTENCE_END]:
            raise ValueError("a vocabulary begins with <unk> (or <UNK>), <s>, </s>")
        rest = list(self.words[3:])
        if rest != sorted(set(rest)):
            raise ValueError("the words of a vocabulary stand in byte order, each once")

    @classmethod
    def build(cls, words: Iterable[str | bytes], unknown: str = UNKNOWN_WORDS[0]) -> "Vocabulary":
        """Makes a vocabulary of any words; the special ones may be among them."""
        special = (unknown.encode(), SENTENCE_START.encode(), SENTENCE_END.encode())
        found = {w.encode() if isinstance(w, str) else w for w in words}
        return cls(special + tuple(sorted(found - set(special))))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def symbols(self) -> list[str]:
        """The words as strings, by id."""
        return [w.decode() for w in self.words]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {w: i for i, w in enumerate(self.symbols)}

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def id(self, word: str) -> int:
        """The id of a word; UNK for words that are not here."""
        return self._ids.get(word, UNK)

    @property
    def unknown(self) -> str:
        """How the unknown word is spelt."""
        return self.words[UNK].decode()

    @cached_property
    def blob(self) -> tuple[np.ndarray, np.ndarray]:
        """All words as one uint8 array, and int64 [words + 1] offsets into it."""
        offsets = np.zeros(len(self.words) + 1, np.int64)
        offsets[1:] = np.cumsum([len(w) for w in self.words])
        return np.frombuffer(b"".join(self.words), np.uint8), offsets

    def table(self) -> WordTable:
        """A hash table with these ids, to read text with."""
        return WordTable(self.words)


def check_words(words: Iterable[str], place: object) -> list[str]:
    """Returns the words as a list; refuses spaces, empty words and <eps> or #0, which no model may hold.

    Raises:
      InputError: names the first bad word.
    """
    checked = list(words)
    encoded = [word.encode() for word in checked]
    if b" ".join(encoded).split() == encoded and not {"<eps>", "#0"}.intersection(checked):
        return checked
    for word in checked:
        if not word or any(c in word for c in " \t\r\n\0") or word in ("<eps>", "#0"):
            raise InputError.at(
                place, f"'{quote(word)}' cannot be a word of a language model", "Take it out of the list."
            )
    return checked
