"""Checks a lang folder: whatever Kaldi's validate_lang.pl checks, and that every word can be reached.

Each problem names file, line, what was found, what was wanted, and the cure.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hybrid.base.errors import quote
from hybrid.base.reading import require_followed
from lexicon.symbols import SymbolTable, check_symbols
from lexicon.text import Problem, check_lines
from lexicon.validate_fst import check_fsts

__all__ = ["check_lang_dir"]

LISTS = ("silence", "nonsilence", "context_indep", "optional_silence", "disambig")
KINDS = ("begin", "end", "internal", "singleton", "nonword")
AGAIN = "Make the folder again with `hybrid lang prepare`."


def check_lang_dir(path: str | os.PathLike) -> list[Problem]:
    """Collects everything that is wrong with a lang folder.

    Returns:
      Problems in the order of the checks; with any of severity "error" the folder should not be used.
    """
    folder = Path(path)
    require_followed(folder)
    if not folder.is_dir():
        return [Problem(folder, None, "is no folder", "a lang folder", "Make it with `hybrid lang prepare`.")]
    words, problems = check_symbols(folder / "words.txt")
    phones, more = check_symbols(folder / "phones.txt")
    problems += more
    if words is None or phones is None:
        return problems
    check = _LangCheck(folder, words, phones)
    check.symbols()
    for name in LISTS:
        check.column(name)
    check.phone_classes()
    check.groups()
    check.word_boundary()
    check.word_disambig()
    check.oov()
    check.topology()
    check.align_lexicon()
    problems += check.problems
    if not any(p.severity == "error" for p in problems):
        problems += check_fsts(folder, words, phones)
    return problems


class _LangCheck:
    """Collects the problems of the text files of one lang folder."""

    def __init__(self, folder: Path, words: SymbolTable, phones: SymbolTable) -> None:
        self.folder, self.words, self.phones = folder, words, phones
        self.problems: list[Problem] = []
        self.lists: dict[str, list[str]] = {}

    def add(
        self, name: str, line: int | None, found: str, wanted: str, cure: str = AGAIN, severity: str = "error"
    ) -> None:
        self.problems.append(Problem(self.folder / name, line, found, wanted, cure, severity))

    def lines(self, name: str, may_be_empty: bool = False) -> list[str] | None:
        """Returns the lines of a file, or None if it cannot be used (a problem is noted)."""
        lines, problems = check_lines(self.folder / name, may_be_empty)
        self.problems += problems
        return None if problems else lines

    def symbols(self) -> None:
        """Checks that the symbols every lang folder needs are there."""
        for symbol in ("<s>", "</s>", "#0"):
            if symbol not in self.words:
                why = "a back-off language model" if symbol == "#0" else "sentence ends in language-model rescoring"
                self.add("words.txt", None, f"lacks '{quote(symbol)}'", f"it, for {why}", AGAIN, "warning")
        for symbol in ("#0", "#1"):
            if symbol not in self.phones:
                self.add("phones.txt", None, f"lacks '{quote(symbol)}'", "it, to tell words apart", AGAIN, "warning")

    def pair(
        self, name: str, table: SymbolTable, skip: int = 0, last: int | None = None, empty: bool = False
    ) -> list[list[str]]:
        """Checks that NAME.int is NAME.txt with ids for symbols; returns the fields of NAME.txt.

        Args:
          skip: leading fields that are the same in both.
          last: end of the fields that are symbols; None for all.
        """
        text, numbers = self.lines(f"{name}.txt", empty), self.lines(f"{name}.int", empty)
        if text is None or numbers is None:
            return []
        rows = [line.split() for line in text]
        if len(text) != len(numbers):
            found = f"has {len(numbers)} lines"
            self.add(f"{name}.int", None, found, f"{len(text)} as in {Path(name).name}.txt")
            return rows
        for number, (row, line) in enumerate(zip(rows, numbers), 1):
            unknown = next((s for s in row[skip:last] if s not in table), None)
            if unknown is not None:
                kind = "phones.txt" if table is self.phones else "words.txt"
                self.add(f"{name}.txt", number, f"'{quote(unknown)}' is absent from {kind} ({len(table)} symbols)", "")
                continue
            wanted = [*row[:skip], *(str(table[s]) for s in row[skip:last]), *(row[last:] if last else [])]
            if line.split() != wanted:
                found, right = f"found '{quote(line.strip(), 60)}'", f"'{quote(' '.join(wanted), 60)}'"
                self.add(f"{name}.int", number, found, f"{right}, the ids of line {number} of {Path(name).name}.txt")
        return rows

    def column(self, name: str) -> None:
        """Checks a list of phones in its three forms."""
        rows = self.pair(f"phones/{name}", self.phones, empty=name in ("disambig", "context_indep"))
        for number, row in enumerate(rows, 1):
            if len(row) != 1:
                self.add(f"phones/{name}.txt", number, f"found {len(row)} fields", "one phone a line")
        symbols = [s for row in rows for s in row]
        self.lists[name] = symbols
        repeated = _first_repeated(symbols)
        if repeated:
            self.add(f"phones/{name}.txt", repeated[0], f"phone '{quote(repeated[1])}' stands twice", "each phone once")
        line = self.lines(f"phones/{name}.csl", may_be_empty=True)
        wanted = ":".join(str(self.phones.get(s)) for s in symbols)
        if line is not None and rows and "".join(line).strip() != wanted:
            found = f"found '{quote(''.join(line).strip(), 40)}'"
            self.add(
                f"phones/{name}.csl", 1, found, f"'{quote(wanted, 40)}', the ids of {name}.int with colons between"
            )

    def phone_classes(self) -> None:
        """Checks that each symbol of phones.txt is of one class."""
        class_of: dict[str, str] = {}
        for name in ("silence", "nonsilence", "disambig"):
            for number, symbol in enumerate(self.lists[name], 1):
                other = class_of.setdefault(symbol, name)
                if other != name:
                    found = f"phone '{quote(symbol)}' stands in {other}.txt too"
                    self.add(f"phones/{name}.txt", number, found, "each phone in one class")
        for number, symbol in enumerate(self.phones.symbols[1:], 2):
            if symbol not in class_of and not symbol.startswith("#nonterm"):
                found = f"phone '{quote(symbol)}' is in none of silence.txt, nonsilence.txt, disambig.txt"
                self.add("phones.txt", number, found, "each phone in one class")
        optional = self.lists["optional_silence"]
        if len(optional) != 1 or optional[0] not in self.lists["silence"]:
            found = f"found '{quote(' '.join(optional), 60)}'"
            self.add("phones/optional_silence.txt", None, found, "one of the phones of silence.txt")
        for number, symbol in enumerate(self.lists["disambig"], 1):
            if not symbol.startswith("#"):
                self.add("phones/disambig.txt", number, f"found '{quote(symbol)}'", "a symbol that starts with '#'")

    @property
    def real_phones(self) -> list[str]:
        return self.lists["silence"] + self.lists["nonsilence"]

    def groups(self) -> None:
        """Checks tree roots, sets and extra questions."""
        for name, skip in (("roots", 2), ("sets", 0)):
            rows = self.pair(f"phones/{name}", self.phones, skip)
            for number, row in enumerate(rows, 1):
                right = row[:1] in (["shared"], ["not-shared"]) and row[1:2] in (["split"], ["not-split"])
                if skip and not (right and len(row) > 2):
                    wanted = "'shared|not-shared split|not-split phone …'"
                    self.add(f"phones/{name}.txt", number, f"found '{quote(' '.join(row), 60)}'", wanted)
            self.covers(f"phones/{name}.txt", [row[skip:] for row in rows])
        self.pair("phones/extra_questions", self.phones, empty=True)

    def covers(self, name: str, rows: Sequence[Iterable[str]]) -> None:
        """Checks that rows hold every phone exactly once; a phone that stands there a thousand times is told once."""
        line_of: dict[str, int] = {}
        told: set[str] = set()
        real = dict.fromkeys(self.real_phones)
        for number, row in enumerate(rows, 1):
            for phone in row:
                if phone in told:
                    continue
                if phone in line_of:
                    told.add(phone)
                    found = f"phone '{quote(phone)}' stands in line {line_of[phone]} too"
                    self.add(name, number, found, "each phone once")
                elif phone not in real:
                    self.add(
                        name, number, f"'{quote(phone)}' is neither a silence nor a non-silence phone", "phones only"
                    )
                line_of.setdefault(phone, number)
        for phone in real:
            if rows and phone not in line_of:
                self.add(name, None, f"lacks phone '{quote(phone)}'", "every silence and non-silence phone")

    def word_boundary(self) -> None:
        """Checks word_boundary, which folders without marked phones do not have."""
        if not (self.folder / "phones/word_boundary.txt").exists():
            return
        rows = self.pair("phones/word_boundary", self.phones, 0, 1)
        for number, row in enumerate(rows, 1):
            if len(row) != 2 or row[1] not in KINDS:
                wanted = f"a phone and one of {', '.join(KINDS)}"
                self.add("phones/word_boundary.txt", number, f"found '{quote(' '.join(row), 60)}'", wanted)
        self.covers("phones/word_boundary.txt", [row[:1] for row in rows])

    def word_disambig(self) -> None:
        """Checks G's disambiguation symbols among words and phones; older folders have no such files."""
        if not (self.folder / "phones/wdisambig.txt").exists():
            return
        text = self.lines("phones/wdisambig.txt", may_be_empty=True) or []
        for kind, table in (("words", self.words), ("phones", self.phones)):
            name = f"phones/wdisambig_{kind}.int"
            numbers = self.lines(name, may_be_empty=True)
            if numbers is None:
                continue
            if len(numbers) != len(text):
                self.add(name, None, f"has {len(numbers)} lines", f"{len(text)} as in wdisambig.txt")
            for number, (symbol, line) in enumerate(zip(map(str.strip, text), numbers), 1):
                if line.strip() != str(table.get(symbol)):
                    wanted = f"'{quote(table.get(symbol))}', the id of '{quote(symbol)}' in {kind}.txt"
                    self.add(name, number, f"found '{quote(line.strip(), 60)}'", wanted)

    def oov(self) -> None:
        rows = self.pair("oov", self.words)
        if rows and (len(rows) != 1 or len(rows[0]) != 1):
            self.add("oov.txt", 1, f"found {sum(map(len, rows))} words", "one word")

    def topology(self) -> None:
        """Checks that the topology covers every phone exactly once."""
        lines = self.lines("topo") or []
        rows: list[list[str]] = []
        inside = False
        for line in lines:
            row = []
            for field in line.split():
                if field in ("<ForPhones>", "</ForPhones>"):
                    inside = field == "<ForPhones>"
                elif inside:
                    row.append(field)
            rows.append(row)
        known = {str(i): s for s, i in zip(self.phones.symbols, self.phones.ids)}
        for number, row in enumerate(rows, 1):
            unknown = next((field for field in row if field not in known), None)
            if unknown is not None:
                self.add("topo", number, f"phone id '{quote(unknown)}' is absent from phones.txt", "ids of phones")
                return
        self.covers("topo", [[known[field] for field in row] for row in rows])

    def align_lexicon(self) -> None:
        """Checks the align lexicon, `word word phone …`."""
        text, numbers = self.lines("phones/align_lexicon.txt"), self.lines("phones/align_lexicon.int")
        if text is None or numbers is None:
            return
        if len(text) != len(numbers):
            found = f"has {len(numbers)} lines"
            self.add("phones/align_lexicon.int", None, found, f"{len(text)} as in align_lexicon.txt")
        words, phones = (dict(zip(t.symbols, map(str, t.ids))) for t in (self.words, self.phones))
        for number, (line, ids) in enumerate(zip(text, numbers), 1):
            fields = line.split()
            one, two, *row = fields if len(fields) > 1 else ["", ""]
            wanted = [words.get(one), words.get(two), *map(phones.get, row)]
            if None in wanted:
                symbol = [one, two, *row][wanted.index(None)]
                kind = "words.txt" if wanted.index(None) < 2 else "phones.txt"
                self.add("phones/align_lexicon.txt", number, f"'{quote(symbol)}' is absent from {kind}", "")
            elif ids.split() != wanted:
                right = f"'{quote(' '.join(map(str, wanted)), 60)}', the ids of line {number} of align_lexicon.txt"
                self.add("phones/align_lexicon.int", number, f"found '{quote(ids.strip(), 60)}'", right)


def _first_repeated(symbols: Sequence[str]) -> tuple[int, str] | None:
    seen: set[str] = set()
    for number, symbol in enumerate(symbols, 1):
        if symbol in seen:
            return number, symbol
        seen.add(symbol)
    return None
