"""What an artifact records of its files, held against what lies there.

`artifact.write_meta` records the hash of every file that its artifact is made of (`files` of its meta.json). Readers
call `check` on what they open. Small files are hashed each time they are read; for large ones (`cached`) the files that
were found whole are remembered by device, inode, size and times in the cache folder, so that each state of a file is
hashed once. The change time is among them, which no program can set: a copy or an edit that keeps size and
modification time is looked at again. Files without a record (Kaldi's, those of older versions) pass. Of files that
users edit by hand (manifests, dictionaries) a change is told and no error: `tell_changes`.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

from hybrid.base.artifact import content_hash, read_meta
from hybrid.base.cache import cache_folder
from hybrid.base.errors import HybridError, InputError, MismatchError, quote
from hybrid.base.locks import is_ours
from hybrid.base.log import get_logger

__all__ = ["agrees", "check", "hash_of", "recorded_files", "recorded_hash", "state_of", "tell_changes", "vouch",
           "vouched"]  # fmt: skip

logger = get_logger(__name__)

PathLike = str | os.PathLike

LEVELS = 2  # folders between a file and the artifact that it belongs to (blocks/ of features, phones/ of a lang folder)
FRESH_NS = 2_000_000_000  # a file changed so lately may change again within one tick of its file system's clock
MADE = "made:"  # begins what stands in the place of a hash
MAX_MEMORY = 8 << 20  # bytes of the list of files that were found whole; then it begins anew

State = tuple[int, int, int, int, int]


def _state(path: PathLike | int) -> State:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def state_of(path: PathLike | None) -> tuple[object, ...]:
    """Returns what changes whenever a file, or a file directly in a folder, is written or replaced: a key for caches.

    Empty where nothing is there. Temporary and cached files do not count.
    """
    try:
        if path is None or not os.path.isdir(path):
            return () if path is None else _state(path)
        with os.scandir(os.fspath(path)) as entries:
            return tuple(sorted((e.name, _state(e.path)) for e in entries if e.is_file() and not is_ours(Path(e.name))))
    except OSError:
        return ()


def recorded_files(meta_file: PathLike) -> dict[str, str]:
    """Returns file → hash as a meta.json records them; empty where it records none.

    Raises:
      InputError: the record is damaged.
    """
    return _recorded_files(os.fspath(meta_file), state_of(meta_file))


@lru_cache(maxsize=64)
def _recorded_files(meta_file: str, _state_of: object) -> dict[str, str]:
    path = Path(meta_file)
    folder = path.parent if path.name == "meta.json" else path.with_name(path.name.removesuffix(".meta.json"))
    files = read_meta(folder).get("files", {})
    if not isinstance(files, dict) or not all(isinstance(h, str) for h in files.values()):
        raise InputError.at(path, "'files' does not give the hash of each file", "Make the artifact again.")
    for name in files:
        if os.path.isabs(name) or ".." in Path(name).parts:
            found = f"'files' names '{quote(name)}', which does not lie in the artifact"
            raise InputError.at(path, found, "Beware: the file was tampered with.")
    return files


def recorded_hash(path: PathLike) -> tuple[Path, str] | None:
    """Returns the meta.json that records a file, and the hash that it gives; None where there is no record.

    That is NAME.meta.json beside it, else the meta.json of the artifact in whose folder, or a folder of it, it lies.
    """
    path = Path(path)
    own = path.with_name(f"{path.name}.meta.json")
    if os.path.isfile(own) and path.name in recorded_files(own):
        return own, recorded_files(own)[path.name]
    folder = path.parent
    for _ in range(LEVELS):
        meta = folder / "meta.json"
        if os.path.isfile(meta):
            found = recorded_files(meta).get(path.relative_to(folder).as_posix())
            return None if found is None else (meta, found)
        if folder.parent == folder:
            break
        folder = folder.parent
    return None


def check(path: PathLike, cached: bool = False) -> None:
    """Checks that a file is the one that its artifact was made with.

    Args:
      path: a file, there or not; one of which nothing is recorded passes.
      cached: do not look again at a state of the file that was found whole before.

    Raises:
      InputError: it is recorded, but gone.
      MismatchError: it is another; file, both hashes and the cure are named.
    """
    record = recorded_hash(path)
    if record is None:
        return
    meta, wanted = record
    place = meta.parent if meta.name == "meta.json" else path
    if not os.path.isfile(path):  # nor a device or pipe, which may never end
        found = "is no plain file" if os.path.exists(path) else "is missing"
        raise InputError.at(path, f"{found}, and {meta.name} records it", f"Copy or make {place} again.")
    if agrees(path, wanted, cached):
        return
    mine = "" if place != path else f"; if you changed it yourself, remove {meta.name}"
    raise MismatchError(
        f"{path}: was changed or damaged: found hash {content_hash(path)[:12]}, {meta.name} records {wanted[:12]}. "
        f"Copy or make {place} again{mine}; `hybrid doctor --verify {place}` looks at all of it."
    )


def tell_changes(path: PathLike) -> None:
    """Warns where a file that users may edit is not the one that was written; it is used as it is.

    Args:
      path: a file of which each state is hashed once; one of which nothing is recorded, or that is absent, passes.
    """
    try:
        record = recorded_hash(path)
        if record is None or not os.path.isfile(path) or agrees(path, record[1], cached=True):
            return
    except HybridError as error:  # the record is damaged; what it records may be whole
        logger.warning("%s", error)
        return
    if state_of(path) in _told:
        return
    _told.add(state_of(path))
    logger.warning(
        "%s: was changed since it was made (%s records another hash) and is used as it is. If nobody did that on "
        "purpose, copy or make it again.", path, record[0].name,
    )  # fmt: skip


_told: set[tuple[object, ...]] = set()  # states of changed files of which this process has said so


def agrees(path: PathLike, wanted: str, cached: bool = False) -> bool:
    """Tells whether a file's `content_hash` is the one that is wanted; see `check`."""
    if not cached:
        return content_hash(path) == wanted
    state = _state(path)
    if _memory.holds(_line(state, wanted)):
        return True
    if content_hash(path) != wanted:
        return False
    _remember(path, state, wanted)
    return True


def _remember(path: PathLike, state: State, found: str) -> None:
    """Remembers what a file was found to be, unless it may change again unseen."""
    if time.time_ns() - max(state[3], state[4]) > FRESH_NS and _state(path) == state:
        _memory.add(_line(state, found))


def hash_of(path: PathLike) -> str:
    """Returns the `content_hash` of a file; each state of it is hashed once."""
    known = _memory.begun(_line(_state(path), ""))
    if known:
        return known[0].rpartition(" ")[2]
    state, found = _state(path), content_hash(path)
    _remember(path, state, found)
    return found


def vouch(path: PathLike, what: str) -> bool:
    """Remembers that this user made a file, in the state that it has now; tells whether later processes will know.

    Args:
      what: it is, a word.
    """
    return _memory.add(_line(_state(path), f"{MADE}{what}"))


def vouched(path: PathLike | int, what: str) -> bool:
    """Tells whether a file, or an open one, is in a state that this user made, by `vouch` in some process."""
    try:
        return _memory.holds(_line(_state(path), f"{MADE}{what}"))
    except OSError:
        return False


def _line(state: State, word: str) -> str:
    return " ".join(map(str, (*state, word)))


class _Memory:
    """Lines `device inode size mtime ctime hash` of files found whole, in one file that processes add to.

    In place of the hash stands what a file is of which this user is the maker (`vouch`).
    """

    def __init__(self) -> None:
        self._lines: set[str] = set()
        self._path: Path | None = None
        self._read = 0

    def holds(self, line: str) -> bool:
        """Tells whether some process found this state of a file whole."""
        if line not in self._lines or self._file() != self._path:
            self._catch_up()
        return line in self._lines

    def begun(self, start: str) -> list[str]:
        """Returns the lines with a hash that begin so."""
        self._catch_up()
        return [line for line in self._lines if line.startswith(start) and not line[len(start) :].startswith(MADE)]

    def add(self, line: str) -> bool:
        """Remembers a state; tells whether for later processes too, which can be if the cache folder is writable."""
        self._lines.add(line)
        path = self._file()
        if path is None:
            return False
        try:
            if path.exists() and path.stat().st_size > MAX_MEMORY:
                path.unlink()
            with open(path, "a", encoding="ascii") as stream:  # one short write: lines of several processes stay whole
                stream.write(line + "\n")
        except OSError:
            return False  # read-only or full: it will be hashed again
        return True

    @staticmethod
    def _file() -> Path | None:
        folder = cache_folder("checked").path
        return None if folder is None else folder / "files.txt"

    def _catch_up(self) -> None:
        path = self._file()
        if path != self._path:
            self._lines, self._path, self._read = set(), path, 0
        try:
            if path is None:
                return
            if path.stat().st_size < self._read:  # begun anew by another process
                self._read = 0
            with open(path, encoding="ascii", errors="replace") as stream:
                stream.seek(self._read)
                text = stream.read(2 * MAX_MEMORY)
                whole = text.rfind("\n") + 1
                self._lines.update(text[:whole].split("\n"))
                self._read += whole
        except OSError:
            return


_memory = _Memory()
