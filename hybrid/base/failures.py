"""`failed.txt`: what was left out of an output, and why; one `ID reason` a line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import one_line, quote
from hybrid.base.names import MAX_NAME

__all__ = ["failed_text", "write_failed"]

Failed = Mapping[str, str] | Iterable[tuple[str, str]]


def failed_text(failed: Failed) -> str:
    """Returns `ID reason` lines that can be split at the first space and shown anywhere.

    Args:
      failed: id → reason, which are sorted, or pairs in the order wanted. White space of an id becomes `_`; control
        characters of ids and reasons are escaped, and ids shortened to `MAX_NAME` characters.
    """
    pairs = sorted(failed.items()) if isinstance(failed, Mapping) else failed
    return "".join(f"{quote('_'.join(str(name).split()), MAX_NAME)} {one_line(reason)}\n" for name, reason in pairs)


def write_failed(path: str | os.PathLike, failed: Failed) -> None:
    """Writes `failed_text`; the file is empty if nothing failed."""
    with atomic_path(path) as temporary:
        temporary.write_text(failed_text(failed), encoding="utf-8")
