"""One white space for every text: where words end, in strings and in bytes.

A blank is any of Unicode's spaces and line ends, a control character, or a zero-width space (which parts words of
scripts without visible spaces). Text that a user hands over is split here and nowhere else, so that a no-break space
is the same to all commands.
"""

from __future__ import annotations

import re

__all__ = ["byte_blanks", "cut_key", "split_words"]

_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b]")
_ASCII = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WIDE = re.compile(  # the same in UTF-8, beyond ASCII
    rb"\xc2[\x80-\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8b\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
)


def split_words(text: str) -> list[str]:
    """Returns what stands between blanks."""
    return text.split() if text.isprintable() else _BLANK.sub(" ", text).split()


def cut_key(line: str) -> tuple[str, str]:
    """Returns the key of a table's line, which ends at the first blank of any kind, and the rest, stripped."""
    match = _BLANK.search(line := line.strip())
    return (line[: match.start()], line[match.end() :].strip()) if match else (line, "")


def byte_blanks(data: bytes) -> bytes:
    """Returns UTF-8 text with spaces for blanks other than tab and line ends, as long as before; NUL stays."""
    data = _ASCII.sub(b" ", data)
    return data if data.isascii() else _WIDE.sub(lambda match: b" " * len(match.group()), data)
