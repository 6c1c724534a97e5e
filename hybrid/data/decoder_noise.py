"""What the mp3 decoder prints about a file: kept off the terminal, and counted.

libmpg123 writes its warnings straight to the process's standard error. While a file is read they are led into a
temporary file; what did not come from it is passed on.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["decoder_warnings", "may_be_mpeg", "quiet_decoder"]

_LOCK = threading.RLock()
_COUNTS: dict[str, int] = {}
_HEADS = (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")
_ITS = re.compile(rb"mpg123|^(?:Note|Warning|Error|\s*hmm|\s*If you)\b", re.IGNORECASE)


def decoder_warnings(path: str | os.PathLike) -> int:
    """Returns how many lines the decoder had to say about a file, in all readings by this process."""
    return _COUNTS.get(os.fspath(path), 0)


def may_be_mpeg(path: str | os.PathLike) -> bool:
    """Tells whether a file may be mp3, by its name or its first bytes."""
    if os.fspath(path).lower().endswith((".mp3", ".mp2", ".mpga")):
        return True
    try:
        with open(path, "rb") as stream:
            return stream.read(3).startswith(_HEADS)
    except (OSError, ValueError):
        return False


@contextmanager
def quiet_decoder(path: str | os.PathLike, is_mpeg: bool) -> Iterator[None]:
    """Keeps the decoder's lines about an mp3 file from standard error while the body reads it; others are let alone."""
    if not is_mpeg:
        yield
        return
    with _LOCK, tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            lines = kept.read().splitlines(keepends=True)
            its = [line for line in lines if _ITS.search(line)]
            if len(its) < len(lines):
                os.write(2, b"".join(line for line in lines if not _ITS.search(line)))
            if its:
                name = os.fspath(path)
                _COUNTS[name] = _COUNTS.get(name, 0) + len(its)
