"""Words found by another spelling of them: the lexicon's own first, then Unicode form, marks, and case.

"Exact, canonical equivalent, marks, folded": a text may write `straße` as STRASSE, `café` with a combining accent,
`don't` with any of a dozen apostrophes; the lexicon's word is the same, and is what the text then holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping
from functools import cached_property

from hybrid.base.errors import quote

__all__ = ["APOSTROPHES", "CASE", "FORM", "MARKS", "SAME", "Spelling", "bare", "folded", "plain_marks", "told_loss"]

SAME, FORM, MARKS, CASE = "", "Unicode form", "marks", "case"
"""How a word was found: as it is, in another Unicode form, with other marks in it, in another case."""

# One apostrophe, one hyphen; letters that only look like them (Hawaiian okina, Hebrew geresh) stay.
APOSTROPHES = "'\u2018\u2019\u201b\u02bc\u00b4\u0060\u2032\uff07\u055a\ua78c\u02b9"
_HYPHENS = "\u2010\u2011\ufe63\uff0d\u058a\u05be"
_ONE = {**{ord(c): "'" for c in APOSTROPHES}, **{ord(c): "-" for c in _HYPHENS}}
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
)

_Words = MutableMapping[str, list[str]]


def plain_marks(word: str, joiners: bool = False) -> str:
    """Returns a word in NFC with one kind of apostrophe and hyphen, without invisible characters.

    Args:
      joiners: zero-width joiner and non-joiner stay: Persian and Indic words are spelt with them.
    """
    if word.isascii():
        return word.replace("`", "'")
    shown = _INVISIBLE.sub(lambda match: match.group() if joiners and match.group() in "\u200c\u200d" else "", word)
    return unicodedata.normalize("NFC", shown.translate(_ONE))


def folded(word: str) -> str:
    """Returns what all spellings of a word share that differ in case, marks or Unicode form.

    Upper case comes first, so that a dotless i and its capital meet; a dot above i is dropped for the same reason.
    """
    if word.isascii():
        return word.replace("`", "'").lower()
    text = unicodedata.normalize("NFKD", plain_marks(word)).upper().casefold().replace("i\u0307", "i")
    return unicodedata.normalize("NFKC", text).translate(_ONE)


class Spelling:
    """The words of a lexicon, and the one that is meant by another spelling."""

    def __init__(self, words: Iterable[str], leave_out: Collection[str] = (), base: Spelling | None = None) -> None:
        """Takes the words.

        Args:
          leave_out: symbols that no text may mean (<eps>, #0, <s>, </s>).
          base: the spelling of more words, whose tables serve both.
        """
        self._own, self._base = frozenset(words).difference(leave_out), base
        self.words: frozenset[str] = self._own if base is None else self._own | base.words

    def __contains__(self, word: object) -> bool:
        return word in self.words

    @cached_property
    def _others(self) -> tuple[_Words, _Words]:
        """Words by what they are without marks, and folded; those of one key in their order."""
        if self._base is None:
            return _by(plain_marks, self._own), _by(folded, self._own)
        own = self._own - self._base.words
        marks, folds = self._base._others
        return ChainMap(_by(plain_marks, own, marks), marks), ChainMap(_by(folded, own, folds), folds)

    def find(self, word: str) -> tuple[str, str] | None:
        """Returns the lexicon's word and how it was found (`SAME`, `FORM`, `MARKS`, `CASE`); None where it has none.

        Of several that differ in case only, the one with the fewest capitals is taken.
        """
        if word in self.words:
            return word, SAME
        marks, folds = self._others
        form = unicodedata.normalize("NFC", word)
        if some := marks.get(plain_marks(word)):
            same = [other for other in some if unicodedata.normalize("NFC", other) == form]
            return (same[0], FORM) if same else (_likeliest(some, word), MARKS)
        some = folds.get(folded(word))
        return (_likeliest(some, word), CASE) if some else None

    @cached_property
    def case(self) -> str:
        """The case that nearly all words of the lexicon have: "upper", "lower", or "keep" where they differ."""
        cased = [w for w in self.words if w[0] not in "<[!#" and w.upper() != w.lower()]
        upper = sum(w == w.upper() for w in cased)
        lower = sum(w == w.lower() for w in cased)
        least = 0.95 * len(cased)
        return "keep" if not cased else "upper" if upper >= least else "lower" if lower >= least else "keep"

    def twins(self) -> Iterator[tuple[str, str]]:
        """Yields pairs of words that are one word in two Unicode forms, or with other apostrophes."""
        for some in self._others[0].values():
            yield from zip(some, some[1:])


def _by(key: Callable[[str], str], words: Iterable[str], others: _Words | None = None) -> dict[str, list[str]]:
    """Returns words by a key, together with those of the same keys among others."""
    found: dict[str, list[str]] = {}
    for word in sorted(words):
        one = key(word)
        if one not in found:
            found[one] = list(others.get(one, ())) if others else []
        found[one].append(word)
    for some in found.values():
        some.sort()
    return found


def _likeliest(words: list[str], written: str) -> str:
    """The word nearest in case: the same after plain folding first, then the one with the fewest capitals."""
    return min(words, key=lambda w: (w.casefold() != written.casefold(), sum(map(str.isupper, w)), w))


def told_loss(missing: Collection[str], total: int, spelling: Spelling) -> str:
    """Says why words are outside a lexicon, e.g. "105 of 108 words differ only in case (…)"; empty where unknown."""
    found = {word: pair for word in missing if (pair := spelling.find(bare(word))) is not None}
    if not found:
        return ""
    word = min(found)
    kinds = {pair[1] if bare(w) == w else MARKS for w, pair in found.items()} - {SAME}
    shown = f"e.g. '{quote(word)}' for '{quote(found[word][0])}'"
    return f"{len(found)} of {total} words differ only in {' or '.join(sorted(kinds))} ({shown})"


def bare(word: str) -> str:
    """Returns a word without the punctuation and symbols around it."""
    first, last = 0, len(word)
    while first < last and unicodedata.category(word[first])[0] not in "LMN":
        first += 1
    while last > first and unicodedata.category(word[last - 1])[0] not in "LMN":
        last -= 1
    return word[first:last]
