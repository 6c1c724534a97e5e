"""Reading of the plain text files a user hands over, and the one form in which their mistakes are told.

Kaldi's dictionary and lang files are UTF-8 lines that end in a line feed, with fields separated by
spaces and tabs and by nothing else. Anything looser (Windows line ends, no-break spaces, a byte-order
mark) would end up inside a word or phone without being seen, so it is refused here, with its line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.base.reading import read_text

__all__ = ["Problem", "check_lines", "raise_first", "read_lines", "read_user_lines"]

PathLike = str | os.PathLike

# What str.split() takes for a space and Kaldi does not, and control characters, which end a text for C programs.
_ODD_SPACE = re.compile(r"[^\S \t\n]|[\x00-\x08\x0e-\x1f\x7f]")
_MAX_PER_FILE = 20


@dataclass(frozen=True)
class Problem:
    """One mistake in a user's file: where, what was found, what was wanted, and the cure.

    Attributes:
      path: the file (or folder, where a file is missing).
      line: 1-based line number, or None where the whole file is meant.
      severity: "error" stops `prepare`; "warning" does not.
    """

    path: Path
    line: int | None
    found: str
    wanted: str
    cure: str
    severity: str = "error"

    def __str__(self) -> str:
        return str(self.error())

    def error(self) -> InputError:
        """Returns the problem as the error a library raises."""
        message = f"{self.found}; wanted {self.wanted}" if self.wanted else self.found
        return InputError.at(self.path, message, self.cure, self.line)


def raise_first(problems: Sequence[Problem], command: str = "") -> None:
    """Raises the first error among `problems`, saying how many more there are and which command lists them."""
    errors = [p for p in problems if p.severity == "error"]
    if not errors:
        return
    more = f" ({len(errors) - 1} more errors{': ' + command if command else ''})" if len(errors) > 1 else ""
    raise InputError(f"{errors[0]}{more}")


def _decode(path: Path) -> tuple[str, list[Problem]]:
    """Returns the text of a file, or an empty text and the problem that hinders it."""
    try:
        return read_text(path), []
    except InputError as error:
        return "", [Problem(path, error.line, error.found, "", error.cure)]


def check_lines(path: PathLike, may_be_empty: bool = False) -> tuple[list[str], list[Problem]]:
    """Reads the lines of a file in Kaldi's strict form.

    Args:
      path: a text file, gzip or not.
      may_be_empty: a file without any line is no problem.

    Returns:
      The lines without their line feeds, and what is wrong with the file as text. With a problem that
      leaves the text unreadable (missing, another encoding) the lines are empty.
    """
    path = Path(path)
    text, problems = _decode(path)
    if problems:
        return [], problems
    if not text.strip():
        if may_be_empty:
            return [], []
        return [], [Problem(path, None, "the file is empty", "at least one line", "Fill it or make it again.")]
    if text.startswith("\ufeff"):
        found, cure = "starts with a byte-order mark", f"Remove it: `sed -i '1s/^\\xEF\\xBB\\xBF//' {path.name}`."
        problems.append(Problem(path, 1, found, "plain UTF-8 text", cure))
        text = text[1:]
    if _ODD_SPACE.search(text):
        problems.extend(_odd_spaces(path, text))
        for odd in filter(_ODD_SPACE.match, set(text)):  # a substitution takes minutes where each byte is one
            text = text.replace(odd, " ")
    lines = text.split("\n")
    if lines[-1]:
        found, cure = "the last line does not end in a line feed", "Add one: the file may have been cut short."
        problems.append(Problem(path, len(lines), found, "complete lines", cure))
    else:
        lines.pop()
    return lines, problems


def _odd_spaces(path: Path, text: str) -> list[Problem]:
    problems = []
    returns = text.count("\r")
    if returns:
        line = text.count("\n", 0, text.index("\r")) + 1
        found = f"carriage return (Windows line ends, {returns} in the file)"
        cure = f"Convert the file: `sed -i 's/\\r$//' {path.name}`."
        problems.append(Problem(path, line, found, "lines that end in a line feed", cure))
    for match in _ODD_SPACE.finditer(text.replace("\r", " ")):
        line = text.count("\n", 0, match.start()) + 1
        kind = "white space" if match.group().isspace() else "control character"
        found = f"{kind} U+{ord(match.group()):04X}"
        problems.append(Problem(path, line, found, "fields separated by spaces or tabs", "Replace it by a space."))
        if len(problems) >= _MAX_PER_FILE:
            break
    return problems


def read_lines(path: PathLike, may_be_empty: bool = False) -> list[str]:
    """Reads the lines of a file in Kaldi's strict form.

    Raises:
      InputError: the file is missing, empty, not UTF-8, or holds white space other than space, tab, line feed.
    """
    lines, problems = check_lines(path, may_be_empty)
    raise_first(problems)
    return lines


def read_user_lines(path: PathLike) -> Iterable[tuple[int, str]]:
    """Yields (1-based line number, line) of a foreign text (CMUdict, vocabulary, transcripts), leniently.

    Windows line ends, a byte-order mark, a missing last line feed, blank lines and gzip are accepted;
    blank lines are left out.

    Raises:
      InputError: the file is missing, not UTF-8, or has no line.
    """
    path = Path(path)
    text, problems = _decode(path)
    raise_first(problems)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InputError.at(path, "the file is empty", "Fill it or correct the path.")
    if "\0" in text:
        nul = text.count("\n", 0, text.index("\0")) + 1
        raise InputError.at(path, "has a NUL byte", "Is it binary, or UTF-16? Convert it to UTF-8 text.", nul)
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.strip():
            yield number, line
