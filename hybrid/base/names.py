"""Ids of utterances, speakers and recordings: what may be one, and what file it is written to.

An id becomes a field of tables whose fields are separated by spaces or tabs, a key of archives, and a part of file
names. It is checked where it enters, so that nothing behind has to.
"""

from __future__ import annotations

import hashlib

from hybrid.base.errors import quote

__all__ = ["MAX_NAME", "file_stem", "is_id", "mended_name", "name_fault"]

MAX_NAME = 200  # bytes of UTF-8; file systems allow 255, and suffixes are put behind


def name_fault(name: object) -> str:
    """Says what hinders a value from being an id, e.g. "has white space"; an empty string where nothing does.

    An id is text of 1 to 200 bytes without white space, control or invisible characters. It may hold `/` (as lhotse's
    ids of some corpora do), but is no path with empty, `.` or `..` parts.
    """
    if not isinstance(name, str):
        return f"is {quote(repr(name), 40)}, wanted text"
    if not name:
        return "is empty"
    if name.split() != [name]:
        return "has white space"
    if not (name.isascii() and name.isprintable()) and quote(name, len(name)) != name:
        return "has control characters"
    if len(name.encode("utf-8")) > MAX_NAME:
        return f"has {len(name.encode('utf-8'))} bytes, wanted at most {MAX_NAME}"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "is a path with an empty, '.' or '..' part"
    return ""


def mended_name(name: object) -> str:
    """Returns the id nearest to a value: `_` for what may not stand there, long ones cut and told apart by a hash.

    Empty where nothing usable is left.
    """
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        return ""
    text = "_".join(str(name).split())
    text = text.translate({ord(c): "_" for c in set(text) if quote(c, 1) != c})
    text = "/".join(part for part in text.split("/") if part not in ("", ".", ".."))
    data = text.encode("utf-8")
    if len(data) > MAX_NAME:
        text = data[: MAX_NAME - 9].decode("utf-8", "ignore") + "-" + hashlib.sha256(data).hexdigest()[:8]
    return text


def file_stem(name: str) -> str:
    """Returns the name, without suffix, of the file that an id's data are written to."""
    return name.replace("/", "_")


def is_id(text: str) -> bool:
    """Tells whether text is a number from 0 as ids are written: ASCII digits, no more than an id has."""
    return text.isascii() and text.isdecimal() and len(text) <= 10
