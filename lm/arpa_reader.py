"""Reading of ARPA files; see `lm.arpa`."""

from __future__ import annotations

import mmap
import os
import re

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.reading import map_bytes
from lm.arpa_kernels import POWERS, ParseStatus, parse_rows
from lm.arpa_model import Section, build_model
from lm.ngram import NgramModel
from lm.word_table import SENTENCE_END, SENTENCE_START, WordTable

__all__ = ["read_arpa"]

_DATA = re.compile(rb"(?m)^(?:\xef\xbb\xbf)?[ \t]*\\data\\[ \t\r]*$")
_COUNT = re.compile(rb"ngram[ \t]+(\d+)[ \t]*=[ \t]*(\d+)$")
_SECTION = re.compile(rb"\\(\d+)-grams:$")
# log10 probabilities up to here are rounding errors of 1.
_SLACK = 1e-3
_MESSAGES = {
    ParseStatus.BAD_PROBABILITY: "does not begin with a log10 probability",
    ParseStatus.BAD_BACKOFF: "has a back-off weight that is no number",
    ParseStatus.FEW_WORDS: "has fewer words than its section's order",
    ParseStatus.EXTRA_FIELD: "has more fields than probability, words and back-off",
    ParseStatus.UNKNOWN_WORD: "has a word that is no unigram of this file",
}


def read_arpa(path: str | os.PathLike) -> NgramModel:
    """Reads an ARPA file, gzip or not.

    Raises:
      InputError: not readable, cut short, not UTF-8, counts that differ from those declared, a row
        that cannot be understood, an n-gram twice or without its context; with the line number.
      MismatchError: the file is not the one that its record (`NAME.meta.json`) tells of; looked at once a state.
    """
    check(path, cached=True)
    reader = _Reader(path, _load(path))
    sections = reader.read()
    if not len(sections[0]):
        raise reader.error("the model has no unigram", len(reader.raw))
    return build_model(sections, reader.table.word_bytes(), reader.error)


def _load(path: str | os.PathLike) -> bytes | mmap.mmap:
    raw = map_bytes(path)
    if not raw:
        raise InputError.at(path, "is empty, wanted an ARPA language model", "Make it again.")
    return raw


class _Reader:
    """One pass over the bytes of a file."""

    def __init__(self, path: str | os.PathLike, raw: bytes | mmap.mmap) -> None:
        self.path, self.raw = path, raw
        self.text = np.frombuffer(raw, np.uint8)
        self.table = WordTable([b"\0", SENTENCE_START.encode(), SENTENCE_END.encode()])

    def error(self, message: str, position: int, cure: str = "Mend the line, or make the file again.") -> InputError:
        """An error at the line of a position."""
        line = 1 + int(np.count_nonzero(self.text[:position] == 10))
        return InputError.at(self.path, message, cure, line)

    def line(self, position: int) -> str:
        """The line that begins at a position, for messages."""
        return self.raw[position : min(self._line_end(position), position + 80)].strip().decode("utf-8", "replace")

    def _line_end(self, position: int) -> int:
        found = self.raw.find(b"\n", position)
        return found if found >= 0 else len(self.raw)

    def read(self) -> list[Section]:
        """Reads header, sections and end.

        Returns:
          The sections from unigrams up to the highest order that has n-grams.
        """
        position, declared = self._header()
        sections: dict[int, Section] = {}
        while True:
            line, start, position = self._next_line(position)
            if line == b"\\end\\":
                break
            match = _SECTION.match(line)
            order = int(match[1]) if match else 0
            if order not in declared:
                raise self.error(
                    f"'{quote(self.line(start))}' stands where a declared section or \\end\\ should stand", start
                )
            if order in sections or (order > 1 and 1 not in sections):
                raise self.error(f"section \\{order}-grams: is there twice, or before \\1-grams:", start)
            sections[order], position = self._section(order, declared[order], position)
        for order, count in declared.items():
            if count and order not in sections:
                raise self.error(f"\\end\\ stands before the section \\{order}-grams:", start)
            sections.setdefault(order, Section.empty(order))
        highest = max((n for n, section in sections.items() if len(section)), default=1)
        return [sections[n] for n in range(1, highest + 1)]

    def _next_line(self, position: int) -> tuple[bytes, int, int]:
        """The next line that is not empty, stripped; its position; the position after it."""
        while position < len(self.raw):
            end = self._line_end(position)
            line = self.raw[position : min(end, position + 200)].strip()
            if line:
                return line, position, end + 1
            position = end + 1
        raise self.error("the file ends before \\end\\: it was cut short", len(self.raw), "Copy or make it again.")

    def _header(self) -> tuple[int, dict[int, int]]:
        match = _DATA.search(self.raw)
        if not match:
            raise InputError.at(self.path, "has no line \\data\\: this is no ARPA language model", "", 1)
        position, declared = match.end() + 1, {}
        while True:
            line, start, following = self._next_line(position)
            if line.startswith(b"\\"):
                break
            count = _COUNT.match(line)
            if not count or int(count[1]) in declared:
                raise self.error(f"'{quote(self.line(start))}' stands where 'ngram ORDER=COUNT' should stand", start)
            declared[int(count[1])] = int(count[2])
            if declared[int(count[1])] > len(self.raw) // (2 * int(count[1]) + 1):
                raise self.error(f"'{quote(self.line(start))}' declares more n-grams than the file can hold", start)
            position = following
        if not declared or sorted(declared) != list(range(1, len(declared) + 1)):
            raise self.error("the header must declare each order from 1 on", start)
        return position, declared

    def _section(self, order: int, count: int, position: int) -> tuple[Section, int]:
        section = Section.empty(order, count)
        table = self.table
        state = np.array([position, 0, table.count], np.int64)
        while True:
            status = parse_rows(
                self.text, state, order, order == 1, table.slots, table.hashes, table.blob, table.offsets,
                POWERS, section.columns, section.log_probs, section.backoffs, section.starts,
            )  # fmt: skip
            table.count = int(state[2])
            if status != ParseStatus.GROW:
                break
            table.make_room(self._line_end(int(state[0])) - int(state[0]))
        at, rows = int(state[0]), int(state[1])
        if status == ParseStatus.END_OF_FILE or (status in _MESSAGES and self._line_end(at) == len(self.raw)):
            raise self.error(f"the file ends in \\{order}-grams: it was cut short", at, "Copy or make it again.")
        if status in _MESSAGES:
            raise self.error(f"'{quote(self.line(at))}' {_MESSAGES[status]}", at)
        if status == ParseStatus.FULL or rows != count:
            found = "more" if status == ParseStatus.FULL else f"{rows}"
            raise self.error(f"the header declares {count} {order}-grams, their section has {found}", at)
        wrong = np.flatnonzero(~(section.log_probs <= _SLACK))
        if wrong.size:
            place = int(section.starts[wrong[0]])
            raise self.error(f"log10 probability {section.log_probs[wrong[0]]:g} is above 0", place)
        np.minimum(section.log_probs, 0, out=section.log_probs)
        return section, at
