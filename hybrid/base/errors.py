"""Errors that users can act on: one line with the place, what was found, what was wanted, and the cure.

Libraries raise these; only the command line prints them (without a traceback) and exits.
A programming error stays an ordinary exception.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["HybridError", "InputError", "MismatchError", "MissingDependencyError", "one_line", "quote", "shortened"]


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


LONGEST = 1200  # characters of a message
LONGEST_WORD = 400  # of them without white space; paths of tests and clusters have 200
_ENDLESS = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")

# Format characters that words of some scripts are written with; others turn text around or hide in it.
_JOINERS = "\u200c\u200d"


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    # Cc: terminal escapes; Cs: bytes of a name that is not UTF-8. A tab is a space to the eye.
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    text = text.replace("\t", " ")
    return text.translate(
        {ord(c): _escape(c) for c in set(text) if unicodedata.category(c) in hidden and c not in _JOINERS}
    )


def one_line(text: object) -> str:
    """Returns text as one line that can be shown anywhere: line ends become spaces, control characters are escaped."""
    return _visible(" ".join(str(text).split("\n")))


def quote(text: object, limit: int = 80) -> str:
    """Returns what a file or a user said, for a message: at most `limit` characters, control characters escaped."""
    line = _visible(str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shortened(line: str) -> str:
    """Returns a message without the middle of what was quoted without a thought; place and cure stand at the ends."""
    if len(line) > LONGEST_WORD:
        line = _ENDLESS.sub(lambda word: f"{word[0][:100]}…{word[0][-40:]}", line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 400]} … {line[-400:]}"


class HybridError(Exception):
    """A mistake in what the user handed over, told in one line, whatever the files it quotes hold."""

    def __init__(self, message: object = "", *rest: object) -> None:
        super().__init__(shortened(one_line(message)), *rest)


class InputError(HybridError):
    """A file, folder or setting that cannot be used as it is.

    Attributes:
      found, cure, line: its parts, see `at`.
    """

    found: str = ""
    cure: str = ""
    line: int | None = None

    @classmethod
    def at(cls, place: object, message: str, cure: str = "", line: int | None = None) -> "InputError":
        """Builds `PLACE:LINE: message. cure` from its parts.

        Args:
          place: the file, option or object that is wrong.
          message: what was found and what was wanted.
          cure: a sentence that tells what to do.
          line: 1-based line number, where there is one.
        """
        where = f"{place}:{line}" if line is not None else f"{place}"
        text = f"{where}: {message.rstrip('.')}."
        error = cls(f"{text} {cure}".rstrip())
        error.found, error.cure, error.line = message, cure, line
        return error


class MismatchError(HybridError):
    """Two artifacts that do not belong together, e.g. a graph and a model of different trees."""


class MissingDependencyError(HybridError):
    """An optional package is absent; the message holds the command that installs it."""
