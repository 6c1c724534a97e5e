"""LangDir: the lang folder that training, graphs and scoring share, in Kaldi's layout.

words.txt phones.txt            symbol tables
oov.txt oov.int                 the word that stands for words outside the lexicon
topo                            HMM topology
L.fst L_disambig.fst            the lexicon as a transducer
phones/silence.int …            groups of phones; .txt holds names, .int ids, .csl ids with colons
text.yaml                       how texts become words (not in Kaldi's folders)
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check, recorded_files
from hybrid.base.names import is_id
from hybrid.base.reading import require_followed
from hybrid.formats.openfst import FstArrays, read_fst, to_kaldifst
from lexicon.disambig import Clash, find_clashes
from lexicon.lexicon_fst import word_pronunciations
from lexicon.symbols import SymbolTable
from lexicon.text import read_lines
from lexicon.words.config import TextConfig
from lexicon.words.spelling import Spelling

if TYPE_CHECKING:
    import kaldifst

__all__ = ["LangDir", "RootSet"]

BOUNDARY_KINDS = ("begin", "end", "internal", "singleton", "nonword")
REMAKE = "Make the folder again with `hybrid lang prepare`."


class RootSet(NamedTuple):
    """One line of `roots.int`: phones that start from one tree root.

    Attributes:
      shared: all HMM states share the root (else each state has its own).
      split: the tree may split it.
    """

    shared: bool
    split: bool
    phones: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LangDir:
    """A lang folder, loaded without its FSTs (those are read when asked for).

    Attributes:
      words, phones: symbol tables.
      oov_word, oov_id: what a word outside the lexicon becomes.
      silence_phones, nonsilence_phones, context_indep_phones, disambig_phones: ids.
      optional_silence: id of the phone that may stand between words.
      word_disambig, word_disambig_phones: ids of G's disambiguation symbols as words and as phones.
      word_boundary: phone id → "begin", "end", "internal", "singleton" or "nonword"; None without marks.
      sets: groups of phones that share automatic questions.
      roots: tree roots.
      extra_questions: sets of phone ids.
    """

    path: Path
    words: SymbolTable
    phones: SymbolTable
    oov_word: str
    oov_id: int
    silence_phones: list[int]
    nonsilence_phones: list[int]
    context_indep_phones: list[int]
    disambig_phones: list[int]
    optional_silence: int
    word_disambig: list[int]
    word_disambig_phones: list[int]
    word_boundary: dict[int, str] | None
    sets: list[tuple[int, ...]]
    roots: list[RootSet]
    extra_questions: list[tuple[int, ...]]

    @classmethod
    def load(cls, path: str | os.PathLike) -> LangDir:
        """Loads a lang folder, this toolkit's or Kaldi's.

        Raises:
          InputError: a file is missing or does not fit; file, line, what was wanted and the cure are named.
          MismatchError: a file is not the one that the folder was made with.
        """
        path = Path(path)
        require_followed(path)
        if not path.is_dir():
            raise InputError.at(path, "is no folder; wanted a lang folder", "Make it with `hybrid lang prepare`.")
        if (path / "HCLG.fst").exists():
            cure = "Give the lang folder that it was compiled with (its meta.json names it)."
            raise InputError.at(path, "is a decoding graph; wanted a lang folder", cure)
        if not os.path.lexists(path / "oov.txt"):
            raise InputError.at(path, "is no lang folder (it has no oov.txt)", "Make one with `hybrid lang prepare`.")
        for name in recorded_files(path / "meta.json"):
            if not name.endswith(".fst"):  # those are looked at when they are read
                check(path / name)
        words, phones = SymbolTable.read(path / "words.txt"), SymbolTable.read(path / "phones.txt")
        known = set(phones.ids)
        folder = path / "phones"

        def rows(name: str, may_be_empty: bool = False) -> list[tuple[int, ...]]:
            return _read_ids(folder / f"{name}.int", known, may_be_empty)

        def column(name: str, may_be_empty: bool = False) -> list[int]:
            return [i for row in rows(name, may_be_empty) for i in row]

        oov_word = " ".join(read_lines(path / "oov.txt")).strip()
        if oov_word not in words:
            raise InputError.at(path / "oov.txt", f"'{quote(oov_word)}' is not in words.txt", REMAKE, 1)
        optional = column("optional_silence")
        if len(optional) != 1:
            raise InputError.at(folder / "optional_silence.int", f"holds {len(optional)} phones; wanted one", REMAKE)
        return cls(
            path=path,
            words=words,
            phones=phones,
            oov_word=oov_word,
            oov_id=words[oov_word],
            silence_phones=column("silence"),
            nonsilence_phones=column("nonsilence"),
            context_indep_phones=column("context_indep", may_be_empty=True),
            disambig_phones=column("disambig", may_be_empty=True),
            optional_silence=optional[0],
            word_disambig=_word_disambig(folder, words),
            word_disambig_phones=_phone_disambig(folder, phones, known),
            word_boundary=_read_boundaries(folder / "word_boundary.int", known),
            sets=rows("sets"),
            roots=_read_roots(folder / "roots.int", known),
            extra_questions=rows("extra_questions", may_be_empty=True),
        )

    @property
    def topo_path(self) -> Path:
        """The topology of the phones, in Kaldi's text form."""
        return self.path / "topo"

    @cached_property
    def align_lexicon(self) -> list[tuple[int, ...]]:
        """(word id, word id, phone ids …) of every pronunciation, and (0, 0, silence phone)."""
        rows = []
        for number, line in enumerate(read_lines(self.path / "phones" / "align_lexicon.int"), 1):
            try:
                row = tuple(map(int, line.split()))
            except ValueError:
                row = ()
            if len(row) < 3:
                message = f"found '{quote(line.strip(), 60)}'; wanted 'word-id word-id phone-id …'"
                raise InputError.at(self.path / "phones" / "align_lexicon.int", message, REMAKE, number)
            rows.append(row)
        return rows

    def L_arrays(self, disambig: bool = False) -> FstArrays:
        """Reads L.fst or L_disambig.fst as arrays."""
        file = self.path / ("L_disambig.fst" if disambig else "L.fst")
        check(file)
        return read_fst(file)

    def L(self) -> kaldifst.StdVectorFst:
        """Reads L.fst: phones in, words out, for training graphs."""
        return to_kaldifst(self.L_arrays())

    def L_disambig(self) -> kaldifst.StdVectorFst:
        """Reads L_disambig.fst: L with disambiguation symbols, for decoding graphs."""
        return to_kaldifst(self.L_arrays(disambig=True))

    def text_to_ids(self, words: Sequence[str]) -> list[int]:
        """Returns the ids of words; a word outside the lexicon becomes `oov_id`, and so do `<s>` and the like.

        A word that the lexicon spells in another case, Unicode form or with other marks is not outside (see
        `lexicon.words.spelling`), unless the folder's `text.yaml` says not to normalise.
        """
        table, oov = self.words, self.oov_id
        ids = [table.get(w, -1) for w in words]
        if -1 in ids:
            ids = [self._other_spelling(w) if i < 0 else i for w, i in zip(words, ids)]
        return [oov if i in self._not_words else i for i in ids]

    def _other_spelling(self, word: str) -> int:
        found = self.spelt(word)
        return self.oov_id if found is None else self.words[found]

    def spelt(self, word: str) -> str | None:
        """Returns the lexicon's spelling of a word; None for a word outside the lexicon."""
        if not self.text_config.normalise:
            return word if word in self.spelling else None
        found = self.spelling.find(word)
        return found[0] if found else None

    @cached_property
    def text_config(self) -> TextConfig:
        """How texts become words of this lexicon."""
        return TextConfig.of_folder(self.path)

    @cached_property
    def spelling(self) -> Spelling:
        """Its words, found by other spellings too."""
        return Spelling(self.words.symbols, [self.words.symbol(i) for i in self._not_words])

    @cached_property
    def _not_words(self) -> frozenset[int]:
        return frozenset({0, *self.word_disambig, *(self.words.get(w, 0) or 0 for w in ("<s>", "</s>"))})

    def pronunciations(self, disambig: bool = False) -> list[tuple[str, tuple[str, ...]]]:
        """Reads (word, phones) pairs back from L.fst or L_disambig.fst, disambiguation symbols included."""
        pairs = word_pronunciations(self.L_arrays(disambig), self.optional_silence, self.word_disambig)
        place = self.path / ("L_disambig.fst" if disambig else "L.fst")
        words, phones = self.words, self.phones
        return [(words.symbol(w, place), tuple(phones.symbol(p, place) for p in row)) for w, row in pairs]

    def find_clashes(self, limit: int | None = None, words: Container[str] | None = None) -> list[Clash]:
        """Finds words whose pronunciations in L_disambig.fst are not distinguishable.

        They are why an L∘G cannot be determinised: homophones, or one word that begins another, without
        disambiguation symbols. A folder that `prepare_lang` made has none.

        Args:
          limit: stop after so many; None for all.
          words: look at these only (the words of a grammar); None for all.
        """
        pairs = self.pronunciations(disambig=True)
        return find_clashes((pair for pair in pairs if words is None or pair[0] in words), limit)


def _read_ids(file: Path, known: set[int], may_be_empty: bool) -> list[tuple[int, ...]]:
    rows = []
    for number, line in enumerate(read_lines(file, may_be_empty), 1):
        try:
            row = tuple(map(int, line.split()))
        except ValueError:
            message = f"found '{quote(line.strip(), 60)}'; wanted phone ids"
            raise InputError.at(file, message, REMAKE, number) from None
        if not known.issuperset(row):
            missing = next(i for i in row if i not in known)
            raise InputError.at(file, f"phone id {missing} is absent from phones.txt", REMAKE, number)
        rows.append(row)
    return rows


def _read_roots(file: Path, known: set[int]) -> list[RootSet]:
    roots = []
    for number, line in enumerate(read_lines(file), 1):
        shared, split, *ids = (line.split() + ["", ""])[: max(2, len(line.split()))]
        if shared not in ("shared", "not-shared") or split not in ("split", "not-split") or not ids:
            message = f"found '{quote(line.strip(), 60)}'; wanted 'shared|not-shared split|not-split phone-id …'"
            raise InputError.at(file, message, REMAKE, number)
        if not all(is_id(i) and int(i) in known for i in ids):
            raise InputError.at(file, "a phone id is absent from phones.txt", REMAKE, number)
        roots.append(RootSet(shared == "shared", split == "split", tuple(map(int, ids))))
    return roots


def _read_boundaries(file: Path, known: set[int]) -> dict[int, str] | None:
    if not file.exists():
        return None
    kinds = {}
    for number, line in enumerate(read_lines(file), 1):
        fields = line.split()
        if len(fields) != 2 or not is_id(fields[0]) or fields[1] not in BOUNDARY_KINDS:
            message = f"found '{quote(line.strip(), 60)}'; wanted a phone id and one of {', '.join(BOUNDARY_KINDS)}"
            raise InputError.at(file, message, REMAKE, number)
        if int(fields[0]) not in known:
            raise InputError.at(file, f"phone id {int(fields[0])} is absent from phones.txt", REMAKE, number)
        kinds[int(fields[0])] = fields[1]
    return kinds


def _word_disambig(folder: Path, words: SymbolTable) -> list[int]:
    """Ids of G's disambiguation symbols among the words; older folders have only `#0` in words.txt."""
    file = folder / "wdisambig_words.int"
    if file.exists():
        return [i for row in _read_ids(file, set(words.ids), True) for i in row]
    return [words["#0"]] if "#0" in words else []


def _phone_disambig(folder: Path, phones: SymbolTable, known: set[int]) -> list[int]:
    file = folder / "wdisambig_phones.int"
    if file.exists():
        return [i for row in _read_ids(file, known, True) for i in row]
    return [phones["#0"]] if "#0" in phones else []
