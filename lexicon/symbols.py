"""Symbol tables: names of phones and words, and the ids that stand for them in every FST and file.

Id 0 is `<eps>` and means "no label"; real symbols follow; disambiguation symbols (`#0`, `#1`, …) come last.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.names import is_id
from lexicon.text import Problem, check_lines, raise_first
from lexicon.words.spelling import Spelling

__all__ = ["EPSILON", "RESERVED_WORDS", "SymbolTable", "check_symbols", "is_disambig"]

EPSILON = "<eps>"
RESERVED_WORDS = frozenset({EPSILON, "<s>", "</s>", "#0"})  # which no text may mean


def is_disambig(symbol: str) -> bool:
    """Tells whether a symbol is a disambiguation symbol by its form (`#0`, `#12`, `#x`; not `#nonterm…`)."""
    return len(symbol) > 1 and symbol[0] == "#" and not symbol.startswith("#nonterm")


@dataclass(frozen=True)
class SymbolTable:
    """A one-to-one map between symbols and ids, as Kaldi's `words.txt` and `phones.txt` hold it.

    Attributes:
      symbols: in the order of their ids; the first is `<eps>`.
      ids: rising, the first is 0. Left out, they are 0, 1, 2, … as in nearly every table.
    """

    symbols: tuple[str, ...]
    ids: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        ids = self.ids if len(self.ids) else range(len(self.symbols))
        if len(ids) != len(self.symbols):
            raise ValueError(f"{len(self.symbols)} symbols and {len(ids)} ids")
        if not self.symbols or self.symbols[0] != EPSILON or ids[0] != 0:
            raise ValueError(f"the first symbol must be {EPSILON} with id 0")
        ids = ids if isinstance(ids, range) else tuple(ids)
        if not isinstance(ids, range) and any(b <= a for a, b in zip(ids, ids[1:])):
            raise ValueError("ids must rise")
        object.__setattr__(self, "ids", ids)
        if len(self._index) != len(self.symbols):
            raise ValueError("a symbol stands twice in the table")

    @cached_property
    def _index(self) -> dict[str, int]:
        return dict(zip(self.symbols, self.ids))

    @cached_property
    def _by_id(self) -> dict[int, str]:
        return dict(zip(self.ids, self.symbols))

    @cached_property
    def spelling(self) -> Spelling:
        """The symbols that a text may mean, found by other spellings too."""
        extends: SymbolTable | None = self.__dict__.get("_extends")
        if extends is None:
            return Spelling(self.symbols, RESERVED_WORDS)
        return Spelling(self.symbols[len(extends) :], RESERVED_WORDS, extends.spelling)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._index

    def __getitem__(self, symbol: str) -> int:
        """Returns the id of a symbol; KeyError if it is not in the table."""
        return self._index[symbol]

    @overload
    def get(self, symbol: str, default: int) -> int: ...
    @overload
    def get(self, symbol: str, default: int | None = None) -> int | None: ...
    def get(self, symbol: str, default: int | None = None) -> int | None:
        """Returns the id of a symbol, or `default`."""
        return self._index.get(symbol, default)

    def symbol(self, symbol_id: int, place: object = "symbol table") -> str:
        """Returns the symbol of an id.

        Args:
          place: what holds the id, for the error.

        Raises:
          InputError: no symbol has it.
        """
        try:
            return self._by_id[symbol_id]
        except KeyError:
            found = f"has id {symbol_id}, which its symbol table lacks ({len(self)} symbols)"
            raise InputError.at(place, found, "Use the words.txt or phones.txt that belongs to it.") from None

    @property
    def max_id(self) -> int:
        """The largest id."""
        return self.ids[-1]

    def extended(self, more: Sequence[str]) -> SymbolTable:
        """Returns a table with more symbols, none of which this one has, after the last; its maps are shared."""
        made, ids = object.__new__(SymbolTable), range(self.max_id + 1, self.max_id + 1 + len(more))
        every = range(ids.stop) if isinstance(self.ids, range) else (*self.ids, *ids)
        index, by_id = ChainMap(dict(zip(more, ids)), self._index), ChainMap(dict(zip(ids, more)), self._by_id)
        made.__dict__.update(symbols=(*self.symbols, *more), ids=every, _index=index, _by_id=by_id, _extends=self)
        return made

    def encode(self, symbols: Iterable[str], place: object = "symbol table") -> list[int]:
        """Returns the ids of symbols.

        Raises:
          InputError: names the first symbol that the table does not have.
        """
        symbols = list(symbols)
        try:
            return [self._index[s] for s in symbols]
        except KeyError as error:
            raise InputError.at(place, f"'{quote(error.args[0])}' is not among the {len(self)} symbols") from error

    @classmethod
    def read(cls, path: str | os.PathLike) -> SymbolTable:
        """Reads `symbol id` lines, in any order.

        Raises:
          InputError: a line that is no pair, an id or a symbol twice, no `<eps> 0`; file and line are named.
        """
        table, problems = check_symbols(path)
        raise_first(problems)
        assert table is not None
        return table

    def write(self, path: str | os.PathLike) -> None:
        """Writes `symbol id` lines in the order of the ids, as Kaldi does."""
        with atomic_path(path) as temporary:
            temporary.write_text("".join(map("%s %d\n".__mod__, zip(self.symbols, self.ids))), "utf-8", newline="\n")


def check_symbols(path: str | os.PathLike) -> tuple[SymbolTable | None, list[Problem]]:
    """Reads a symbol table and collects everything that is wrong with it.

    Returns:
      The table, or None and the problems.
    """
    path = Path(path)
    lines, problems = check_lines(path)
    if problems:
        return None, problems
    text = "\n".join(lines)
    symbols = text.split()[::2]
    plain = "\n".join(map("%s %d".__mod__, zip(symbols, range(len(lines))))) == text
    if plain and symbols[0] == EPSILON and len(set(symbols)) == len(symbols):
        return SymbolTable(tuple(symbols)), []
    by_id: dict[int, str] = {}
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        wrong = _wrong_line(line.split(), by_id, line_of, number)
        if wrong:
            problems.append(Problem(path, number, *wrong))
    if by_id.get(0) != EPSILON and not problems:
        found = f"id 0 belongs to {repr(by_id[0]) if 0 in by_id else 'no symbol'}"
        problems.append(Problem(path, None, found, f"'{EPSILON} 0'", f"Give id 0 to {EPSILON}."))
    if problems:
        return None, problems
    in_order = sorted(by_id)
    return SymbolTable(tuple(by_id[i] for i in in_order), in_order), []


def _wrong_line(
    fields: list[str], by_id: dict[int, str], line_of: dict[str, int], number: int
) -> tuple[str, str, str] | None:
    """Returns (found, wanted, cure) of a line, or None after entering it into the two maps."""
    if len(fields) != 2 or not is_id(fields[1]):
        return f"found '{quote(' '.join(fields), 60)}'", "'symbol id' with an id from 0", "Correct the line."
    symbol, symbol_id = fields[0], int(fields[1])
    if symbol_id in by_id:
        found = f"id {symbol_id} of '{quote(symbol)}' already belongs to '{quote(by_id[symbol_id])}'"
        return found, "an id of its own for each symbol", "Change one of the two."
    if symbol in line_of:
        found = f"symbol '{quote(symbol)}' stands in line {line_of[symbol]} already"
        return found, "each symbol once", "Remove one of the lines."
    by_id[symbol_id], line_of[symbol] = symbol, number
    return None
