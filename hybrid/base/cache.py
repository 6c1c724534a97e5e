"""Where this toolkit keeps what it could make again: one folder, chosen by HYBRID_CACHE_DIR.

Without that variable it is `$XDG_CACHE_HOME/hybrid` or `~/.cache/hybrid`. What lies there may be deleted at any time.
Compiled kernels are machine code, so a folder that others may write to is not used.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.errors import quote

__all__ = ["VARIABLE", "CacheFolder", "cache_folder"]

VARIABLE = "HYBRID_CACHE_DIR"


@dataclass(frozen=True)
class CacheFolder:
    """A folder of the cache.

    Attributes:
      path: it exists, and nobody but its owner (this user or root) may write to it; None where there is none.
      writable: whether this process may add to it.
      reason: why it cannot be used, or only be read.
    """

    path: Path | None
    writable: bool
    reason: str = ""


def _root() -> Path | None:
    """Returns the folder that is asked for, made or not; None where the user has no home."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser().absolute()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).absolute() / "hybrid"
    home = os.path.expanduser("~")
    return Path(home) / ".cache" / "hybrid" if os.path.isabs(home) else None


def cache_folder(kind: str) -> CacheFolder:
    """Returns the folder for one kind of cached files, made with permissions for this user alone.

    Args:
      kind: its name inside the cache, e.g. "kernels".
    """
    root = _root()
    if root is None:
        return CacheFolder(None, False, "there is no home folder")
    folder = root / kind
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return CacheFolder(None, False, f"{quote(folder, 300)} cannot be made ({error.strerror or error})")
    if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
        return CacheFolder(None, False, f"{quote(folder, 300)} belongs to another user")
    if status.st_mode & stat.S_IWOTH:
        return CacheFolder(None, False, f"{quote(folder, 300)} may be written by everybody")
    if not os.access(folder, os.W_OK | os.X_OK):
        return CacheFolder(folder, False, f"{quote(folder, 300)} may not be written")
    return CacheFolder(folder, True)
