"""Which phones of a best path make which word: by the lexicon, or by the position marks of the phones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hybrid.base.errors import InputError, quote
from hybrid.base.names import is_id
from hybrid.base.reading import read_text, text_lines
from hybrid.hmm import TransitionModel
from hybrid.lattice.paths import Path as LatticePath
from hybrid.timing.segments import Segment, phone_segments
from lexicon.phones import POSITIONS

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir
    from lexicon.symbols import SymbolTable
    from lexicon.vocabulary import TextLexicon

__all__ = ["LexiconWordAlignment", "MarkWordAlignment", "WordAlignment", "find_word_alignment", "path_segments",
           "pause_phones", "position_marks", "silence_phones", "silent_words"]  # fmt: skip


class WordAlignment(Protocol):
    """Groups phones into words."""

    def words(self, phones: Sequence[Segment], word_ids: Sequence[int]) -> list[Segment]:
        """Returns words and pauses (label 0) that tile the phones; ValueError if they do not fit."""


class LexiconWordAlignment:
    """Finds which phones of an alignment belong to which word, by the pronunciations of a lang folder."""

    def __init__(self, pronunciations: Sequence[tuple[int, ...]], word_boundary: dict[int, str] | None = None) -> None:
        """Takes rows (word id, word id, phone ids …); rows of word 0 are the phones that may stand between words."""
        self._pauses = {row[2:] for row in pronunciations if row[0] == 0}
        self._of_word: dict[int, list[tuple[int, ...]]] = {}
        self._more: dict[int, list[tuple[int, ...]]] = {}  # in place of, and beside, these
        for row in pronunciations:
            if row[0] != 0 and row[2:] not in self._of_word.setdefault(row[0], []):
                self._of_word[row[0]].append(row[2:])
        self._boundary = word_boundary

    def with_words(self, rows: Iterable[tuple[int, ...]]) -> LexiconWordAlignment:
        """Returns one that knows more words, of rows (word id, word id, phone ids …), or knows them otherwise."""
        more = LexiconWordAlignment(list(rows), self._boundary)
        more._pauses, more._of_word, more._more = self._pauses, self._of_word, {**self._more, **more._of_word}
        return more

    @classmethod
    def from_text(cls, lexicon: TextLexicon) -> LexiconWordAlignment:
        """Of the words of some texts."""
        return cls(lexicon.rows(), lexicon.lang.word_boundary)

    @classmethod
    def from_lang(cls, lang: LangDir) -> LexiconWordAlignment:
        """Of all words of a lang folder."""
        return cls(lang.align_lexicon, lang.word_boundary)

    def words(self, phones: Sequence[Segment], word_ids: Sequence[int]) -> list[Segment]:
        """Returns words and pauses (label 0), which tile the frames of the phones.

        Raises:
          ValueError: the phones do not spell these words.
        """
        labels = tuple(p.label for p in phones)
        # position in the phones → (position before, word) of some way to get there, one dict per number of words
        ways: list[dict[int, tuple[int, int]]] = [self._skip_pauses(labels, {0: (-1, 0)})]
        for word in word_ids:
            found: dict[int, tuple[int, int]] = {}
            for position in ways[-1]:
                for row in self._more.get(word) or self._of_word.get(word) or ():
                    if labels[position : position + len(row)] == row:
                        found.setdefault(position + len(row), (position, word))
            ways.append(self._skip_pauses(labels, found))
        if len(labels) not in ways[-1]:
            raise ValueError(f"phones {labels} do not spell the words {tuple(word_ids)}; another lang folder's graph?")
        return self._trace(phones, ways)

    def _skip_pauses(self, labels: tuple[int, ...], ways: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        queue = list(ways)
        while queue:
            position = queue.pop()
            for row in self._pauses:
                after = position + len(row)
                if labels[position:after] == row and after not in ways:
                    ways[after] = (position, 0)
                    queue.append(after)
        return ways

    @staticmethod
    def _trace(phones: Sequence[Segment], ways: list[dict[int, tuple[int, int]]]) -> list[Segment]:
        position, layer, segments = len(phones), len(ways) - 1, []
        while position > 0 or layer > 0:
            before, word = ways[layer][position]
            inside = tuple(phones[before:position])
            segments.append(Segment(word, inside[0].start, sum(p.length for p in inside), inside))
            position, layer = before, layer - (word != 0)
        return segments[::-1]


class MarkWordAlignment:
    """Groups phones by their position marks, as Kaldi's word_boundary.int tells them."""

    def __init__(self, boundary: Mapping[int, str]) -> None:
        self._boundary = dict(boundary)

    @classmethod
    def from_symbols(cls, phones: SymbolTable) -> "MarkWordAlignment | None":
        """Reads the marks off the names (AH_B, AH_E, …); None where no phone has one."""
        kinds = position_marks(phones)
        return None if kinds is None else cls(kinds)

    def words(self, phones: Sequence[Segment], word_ids: Sequence[int]) -> list[Segment]:
        """Returns words and pauses (label 0), which tile the frames of the phones.

        A word that the end of the utterance cuts off (a partial result) reaches to the end.

        Raises:
          ValueError: there are not as many words as the marks tell, or a mark out of place.
        """
        segments: list[Segment] = []
        inside: list[Segment] = []
        words = iter(word_ids)
        for phone in phones:
            kind = self._boundary.get(phone.label, "nonword")
            if (kind in ("internal", "end")) != bool(inside):
                raise ValueError(f"phone {phone.label} ({kind}) stands in the wrong place of a word")
            inside.append(phone)
            if kind in ("singleton", "end", "nonword"):
                segments.append(_joined(0 if kind == "nonword" else _next(words), inside))
                inside = []
        if inside:
            segments.append(_joined(next(words, 0), inside))
        left = list(words)
        if left:
            raise ValueError(f"{len(left)} words have no phones")
        return segments


def position_marks(phones: SymbolTable) -> dict[int, str] | None:
    """Reads the marks off the names of phones (AH_B, AH_E, …), as word_boundary.int; None where no phone has one."""
    kinds = {i: POSITIONS.get(s[-2:], "nonword") for s, i in zip(phones.symbols, phones.ids)}
    return kinds if set(kinds.values()) - {"nonword"} else None


def _next(words: object) -> int:
    word = next(words, None)  # type: ignore[call-overload]
    if word is None:
        raise ValueError("there are more words among the phones than on the path")
    return word


def _joined(label: int, phones: Sequence[Segment]) -> Segment:
    return Segment(label, phones[0].start, sum(p.length for p in phones), tuple(phones))


def find_word_alignment(graph_dir: Path, lang_dir: Path | None, phones: SymbolTable) -> WordAlignment | None:
    """Finds out how words are told from phones: from a lang folder, the graph folder, or the names of the phones.

    Returns:
      None where nothing tells it (no position marks and no lexicon at hand).
    """
    for folder in (lang_dir, graph_dir):
        if folder is not None and (folder / "phones" / "align_lexicon.int").exists():
            return LexiconWordAlignment(_align_lexicon(folder / "phones" / "align_lexicon.int"))
    if lang_dir is not None:
        raise InputError.at(
            lang_dir, "has no phones/align_lexicon.int", "Give the lang folder that the graph was compiled from."
        )
    return MarkWordAlignment.from_symbols(phones)


def pause_phones(graph_dir: Path, lang_dir: Path | None) -> tuple[int, ...]:
    """Returns the phone ids of the pauses between words; none where neither folder tells them."""
    for folder in (lang_dir, graph_dir):
        file = None if folder is None else folder / "phones" / "optional_silence.int"
        if file is not None and file.exists():
            return tuple(int(line) for _, line in text_lines(file) if is_id(line.strip()))
    return ()


def silence_phones(graph_dir: Path, lang_dir: Path | None) -> tuple[int, ...]:
    """Returns the ids of all phones that are no speech (silence.csl); none where neither folder tells them."""
    for folder in (lang_dir, graph_dir):
        file = None if folder is None else folder / "phones" / "silence.csl"
        if file is not None and file.exists():
            return tuple(int(part) for part in read_text(file).strip().split(":") if is_id(part))
    return ()


def silent_words(graph_dir: Path, lang_dir: Path | None, phones: SymbolTable) -> frozenset[int]:
    """Returns the ids of words (!SIL) that are spoken as pauses and never else; none where neither folder tells."""
    pauses = set(pause_phones(graph_dir, lang_dir))
    names = {s for s, i in zip(phones.symbols, phones.ids) if i in pauses}
    pauses |= {i for s, i in zip(phones.symbols, phones.ids) if s[-2:] in POSITIONS and s[:-2] in names}
    for folder in (lang_dir, graph_dir):
        file = None if folder is None else folder / "phones" / "align_lexicon.int"
        if file is not None and file.exists():
            rows = _align_lexicon(file)
            spoken = {row[0] for row in rows if not pauses.issuperset(row[2:])}
            return frozenset({row[0] for row in rows} - spoken - {0})
    return frozenset()


def _align_lexicon(path: Path) -> list[tuple[int, ...]]:
    rows = []
    for number, line in text_lines(path):
        try:
            rows.append(tuple(int(x) for x in line.split()))
        except ValueError as error:
            raise InputError.at(
                path, f"'{quote(line, 40)}' is no row of ids", "Compile the graph again.", number
            ) from error
    return [row for row in rows if len(row) > 2]


def path_segments(
    path: LatticePath, model: TransitionModel, word_alignment: WordAlignment | None
) -> tuple[list[Segment], list[Segment]]:
    """Returns the phones and the words (pauses have label 0) of a best path; both tile its frames.

    Where the phones do not spell the words (a path cut off in a word), or nothing tells how they are spelt, a word
    begins with the phone in which the graph put it out, and ends where the next one begins.
    """
    phones = phone_segments(path.transition_ids, model)
    if word_alignment is not None:
        try:
            return phones, word_alignment.words(phones, path.word_ids.tolist())
        except ValueError:
            pass
    return phones, _by_arcs(phones, path)


def _by_arcs(phones: Sequence[Segment], path: LatticePath) -> list[Segment]:
    starts: list[tuple[int, int]] = []
    for word, frame in zip(path.word_ids.tolist(), path.word_frames.tolist()):
        place = max((i for i, p in enumerate(phones) if p.start <= frame), default=0)
        if starts and place <= starts[-1][0]:
            place = min(starts[-1][0] + 1, len(phones) - 1)
        starts.append((place, word))
    if not starts:
        return [_joined(0, [p]) for p in phones]
    segments = [_joined(0, phones[: starts[0][0]])] if starts[0][0] else []
    for (begin, word), (end, _) in zip(starts, [*starts[1:], (len(phones), 0)]):
        if end > begin:
            segments.append(_joined(word, phones[begin:end]))
    return segments
