"""The normaliser: what a word is, decided once for every command that reads text.

A token is looked up in the lexicon as it stands, then in NFC, then with plain marks, then in another case
(`lexicon.words.spelling`); then without the punctuation around it; then in parts, where a dash, a hyphen between known
words or punctuation stands inside. Tags (`<i>`, `[noise]`, `{NAME}`) that are no words of the lexicon are mapped by a
table or dropped. Whatever is changed is counted.

    Normaliser(TextConfig(), ["PLEASE", "CALL"]).words("'Please--call' [noise]")  →  ["PLEASE", "CALL"]
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.written.spoken import spoken_text
from lexicon.symbols import RESERVED_WORDS
from lexicon.words.blanks import split_words
from lexicon.words.class_names import CLASS, is_class, refuse_stuck, refuse_unparted
from lexicon.words.config import TextConfig
from lexicon.words.spelling import APOSTROPHES, CASE, FORM, MARKS, SAME, Spelling, bare, plain_marks, told_loss

__all__ = ["Changes", "Normaliser", "check_loss", "refuse_symbols"]

logger = get_logger(__name__)
NUMBERS = "lines with numbers"
NO_WORDS = ("<eps>", "#0")
_TAG = re.compile(r"(<[^\s<>][^<>]*>|\[[^\[\]]+\]|\{[^{}]+\})")
_DASH = re.compile(r"--+|[\u2012-\u2015\u2212\u2e3a\u2e3b]")
_OPENING = re.compile(f"(?:^|[^\\w])[{APOSTROPHES}]")


@dataclass(eq=False)
class Changes:
    """What a normaliser has changed.

    Attributes:
      words: words that came out. outside: those that the lexicon lacks.
      kinds: how many tokens were changed, by kind. tags: dropped or mapped ones.
    """

    words: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        """Returns one line, empty where nothing was changed."""
        parts = [f"{count} in {kind}" for kind, count in sorted(self.kinds.items())]
        told = f"{sum(self.kinds.values())} words changed ({', '.join(parts)})" if parts else ""
        if self.tags:
            shown = ", ".join(f"{quote(tag)} {count}" for tag, count in self.tags.most_common(5))
            more = ", …" if len(self.tags) > 5 else ""
            told += f"{'; ' if told else ''}{sum(self.tags.values())} tags dropped or mapped ({shown}{more})"
        return told

    def log(self, place: object) -> None:
        """Says in the log what was changed, if anything was."""
        if told := self.told():
            count = self.words
            logger.info("%s: of %d words, %s", place, count, told)


class Normaliser:
    """Turns lines of text into words, for one lexicon or for none."""

    def __init__(
        self, config: TextConfig | None = None, lexicon: Iterable[str] | Spelling | None = None, classes: bool = False
    ) -> None:
        """Takes the settings, and the words of a lexicon (with its special ones), whose spelling comes first.

        Args:
          classes: names of classes ($CONTACT) are words, whatever punctuation follows them.
        """
        self.config, self._classes = config or TextConfig(), classes
        given = lexicon if isinstance(lexicon, Spelling) or lexicon is None else Spelling(lexicon, RESERVED_WORDS)
        self.spelling = given
        self.changes = Changes()
        self._tags = self.config.table
        self._known: dict[str, tuple[tuple[str, ...], str]] = {}
        case = self.config.case
        self._case = case if case != "lexicon" else self.spelling.case if self.spelling is not None else "upper"

    def words(self, text: str, place: object = "text", line: int | None = None) -> list[str]:
        """Returns the words of a text.

        Args:
          place, line: where it stands, for errors.

        Raises:
          InputError: `<eps>` or `#0` stands in it, or something is stuck to the name of a class.
        """
        refuse_symbols(text, place, line)
        if self._classes:
            (refuse_stuck if self.config.normalise else refuse_unparted)(text, place, line)
        if not self.config.normalise:
            found = split_words(text)
        else:
            found = []
            for i, part in enumerate(_TAG.split(text) if any(c in text for c in "<[{") else [text]):
                found += self._tag(part) if i % 2 else self._plain(self._spoken(part))
        self.changes.words += len(found)
        if self.spelling is not None:
            outside = (word for word in found if word not in self.spelling and not (self._classes and is_class(word)))
            self.changes.outside.update(outside)
        return found

    def word(self, token: str) -> str:
        """Returns one word (of a list, or a lexicon) in the lexicon's spelling; as it is where the lexicon lacks it."""
        found = self.spelling.find(token) if self.config.normalise and self.spelling is not None else None
        return found[0] if found else token

    def _tag(self, tag: str) -> list[str]:
        """A word of the lexicon, what the table says, or nothing."""
        if self.spelling is not None and (found := self.spelling.find(tag)):
            return [found[0]]
        word = self._tags.get(tag)
        if word != "":
            self.changes.tags[tag] += 1
        return [word] if word else []

    def _spoken(self, text: str) -> str:
        """Numbers in words, where that was asked for."""
        said = spoken_text(text) if self.config.spoken else text
        if said != text:
            self.changes.kinds[NUMBERS] += 1
        return said

    def _plain(self, text: str) -> list[str]:
        found: list[str] = []
        for token in self._without_quotes(text):
            if token not in self._known:
                words = tuple(self._token(token))
                self._known[token] = words, _kind(token, words)
            words, kind = self._known[token]
            found += words
            if kind:
                self.changes.kinds[kind] += 1
        return found

    def _without_quotes(self, text: str) -> list[str]:
        """Cuts at blanks, and takes apostrophes off that open and close a quotation: 'please call' but not 'tis."""
        tokens = split_words(text)
        opened = -1
        for i, token in enumerate(tokens if _OPENING.search(text) else ()):
            core = plain_marks(bare_but_apostrophes(token), joiners=True)
            if opened < 0 and core.startswith("'") and self._find(core) is None:
                opened = i
            if opened >= 0 and core.endswith("'") and len(core) > 1 and self._find(core) is None:
                first = tokens[opened]
                tokens[opened] = first[next(k for k, c in enumerate(first) if c in APOSTROPHES) + 1 :]
                last = tokens[i]
                tokens[i] = last[: max((k for k, c in enumerate(last) if c in APOSTROPHES), default=len(last))]
                self.changes.kinds[MARKS] += 1
                opened = -1
        return tokens

    def _find(self, word: str) -> str | None:
        found = self.spelling.find(word) if self.spelling is not None and word else None
        return found[0] if found else None

    def _token(self, token: str) -> list[str]:
        """Returns the words of one token; see the module."""
        if self._classes and "$" in token and len(parts := CLASS.split(token)) > 1:
            named = ([self._find(part) or part] if i % 2 else self._token(part) for i, part in enumerate(parts) if part)
            return [word for words in named for word in words]
        core = bare_but_apostrophes(token)
        for form in (token, bare(token) and core, bare(token)):
            if found := self._find(form):
                return [found]
        return [word for part in _DASH.split(core) for run in _runs(part) for word in self._run(run)]

    def _run(self, run: str) -> list[str]:
        """Returns the words of a run of letters, digits, apostrophes and hyphens."""
        plain = plain_marks(run, joiners=True).strip("-")
        if not bare(plain):
            return []
        for form in (run, plain, plain.strip("'")):
            if found := self._find(form):
                return [found]
        parts = [self._find(part) for part in plain.split("-") if part]
        if len(parts) > 1 and None not in parts:
            return [part for part in parts if part is not None]
        if "-" in plain and (found := self._find(plain.replace("-", ""))):
            return [found]
        cased = {"upper": plain.upper, "lower": plain.lower}.get(self._case)
        return [unicodedata.normalize("NFC", cased())] if cased else [plain]


def bare_but_apostrophes(token: str) -> str:
    """Returns a token without the punctuation around it, apostrophes excepted."""
    first, last = 0, len(token)
    while first < last and not _inner(token[first]):
        first += 1
    while last > first and not _inner(token[last - 1]):
        last -= 1
    return token[first:last]


def _inner(c: str) -> bool:
    """Tells whether a character may stand in a word: letters, marks, digits, and apostrophes of all sorts."""
    return c.isalnum() or unicodedata.category(c)[0] in "LMN" or c in APOSTROPHES


def _runs(part: str) -> list[str]:
    """Cuts at what belongs to no word: punctuation and symbols; invisible characters stay where they are."""
    kept = (c if _inner(c) or plain_marks(c) in ("", "-") else " " for c in part)
    return split_words("".join(kept))


def _kind(token: str, words: tuple[str, ...]) -> str:
    """Names how a token was changed; empty where it was not."""
    if words == (token,):
        return SAME
    one = words[0] if len(words) == 1 else ""
    token, one = unicodedata.normalize("NFC", token), unicodedata.normalize("NFC", one)
    if token == one:
        return FORM
    return CASE if token.casefold() == one.casefold() else MARKS


def refuse_symbols(text: str, place: object, line: int | None = None) -> None:
    """Raises InputError where a symbol of graphs (`<eps>`, `#0`) stands in a text as a word."""
    for symbol in NO_WORDS:
        if symbol in text and symbol in split_words(text):
            raise InputError.at(
                place, f"'{quote(symbol)}' stands in the text, where only words may stand", "Remove it.", line
            )


def check_loss(missing: Mapping[str, int], total: int, spelling: Spelling, place: object, cure: str) -> None:
    """Raises InputError where most words of a text are outside a lexicon and only their spelling hinders them.

    Args:
      missing: word → how often it stands there. total: words of the text.
    """
    if 2 * sum(missing.values()) > total and (told := told_loss(missing, len(missing), spelling)):
        raise InputError.at(place, told, cure)
