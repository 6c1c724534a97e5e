"""Whether artifacts, and what they were made from, are still what was recorded: every byte, without the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.base.artifact import content_hash, meta_path, read_meta
from hybrid.base.errors import HybridError, InputError
from hybrid.base.integrity import recorded_files, recorded_hash
from hybrid.base.reading import require_followed

__all__ = ["Verdict", "verify"]

MAX_FILES = 100_000  # of a folder that something was made from


@dataclass(frozen=True)
class Verdict:
    """What was found of one file or input.

    Attributes:
      state: "ok", "changed", "missing" (a file of an artifact), "not found" (what it was made from), or "no record".
      path: the file or artifact.
      text: what was compared.
    """

    state: str
    path: str
    text: str

    @property
    def bad(self) -> bool:
        """Whether the artifact cannot be trusted: a file of it is not as it was recorded, or an input has changed."""
        return self.state in ("changed", "missing")


def verify(paths: Sequence[str | os.PathLike]) -> Iterator[Verdict]:
    """Yields what is found of artifacts, and of everything they were made from that still lies where it was.

    Args:
      paths: folders with a meta.json, files with NAME.meta.json, or files of such a folder.

    Raises:
      InputError: nothing lies there.
    """
    walk = _Walk()
    for path in paths:
        require_followed(path)
        if not Path(path).exists():
            raise InputError.at(path, "there is nothing to verify", "Name a folder or a file that a command wrote.")
        yield from walk.artifact(Path(path))


class _Walk:
    """Goes from artifact to inputs; each artifact is looked at once, and each file hashed once."""

    def __init__(self) -> None:
        self._seen: set[Path] = set()
        self._hashes: dict[Path, str] = {}

    def artifact(self, path: Path) -> Iterator[Verdict]:
        """Looks at one artifact and at all that it was made from."""
        record = _record_of(path)
        if record is None:
            if path.resolve() not in self._seen:
                self._seen.add(path.resolve())
                yield Verdict("no record", str(path), "no meta.json tells what it should be")
            return
        if record.resolve() in self._seen:
            return
        self._seen.add(record.resolve())
        try:
            meta = read_meta(record.parent if record.name == "meta.json" else Path(str(record)[: -len(".meta.json")]))
            files = recorded_files(record)
        except HybridError as error:
            yield Verdict("changed", str(record), str(error))
            return
        yield from self._files(record, files)
        yield from self._inputs(record, meta)

    def _files(self, record: Path, files: dict[str, str]) -> Iterator[Verdict]:
        if not files:
            text = "records no hashes of its files (an older version made it)"
            yield Verdict("no record", str(record.parent if record.name == "meta.json" else record), text)
        for name, wanted in files.items():
            yield self._compare(record.parent / name, wanted, "missing", f"{record.name} records")

    def _inputs(self, record: Path, meta: dict[str, Any]) -> Iterator[Verdict]:
        inputs, paths = meta.get("inputs"), meta.get("paths")
        if not isinstance(inputs, dict) or not isinstance(paths, dict):
            return
        for name, wanted in inputs.items():
            if name not in paths:
                continue  # known by its hash alone, e.g. the tree of a model that was never saved
            path = Path(os.path.normpath(record.parent.resolve() / str(paths[name])))
            owner = record.parent.name if record.name == "meta.json" else record.name.removesuffix(".meta.json")
            yield self._compare(path, str(wanted), "not found", f"{owner} was made from {name} with")
            if os.path.exists(path):
                yield from self.artifact(path.parent if path.name == "meta.json" else path)

    def _compare(self, path: Path, wanted: str, absent: str, told: str) -> Verdict:
        if not os.path.exists(path):  # no error for a name that no file can have
            return Verdict(absent, str(path), f"{told} hash {wanted[:12]}")
        if not path.is_file() and not _is_small_folder(path):  # /dev/zero never ends, / hardly
            return Verdict("changed", str(path), f"is no plain file or small folder, {told} hash {wanted[:12]}")
        try:
            found = self._hash(path.resolve())
        except (HybridError, OSError, EOFError) as error:
            return Verdict("changed", str(path), f"cannot be read ({error})")
        if found == wanted:
            return Verdict("ok", str(path), f"hash {found[:12]}")
        return Verdict("changed", str(path), f"found hash {found[:12]}, {told} hash {wanted[:12]}")

    def _hash(self, path: Path) -> str:
        """The hash by which an artifact is named where it is an input: of features their digest."""
        if path not in self._hashes:
            meta = read_meta(path) if path.is_dir() else {}
            digest = meta.get("facts", {}).get("digest") if meta.get("kind") == "features" else None
            self._hashes[path] = str(digest) if digest else content_hash(path)
        return self._hashes[path]


def _is_small_folder(path: Path) -> bool:
    """Tells whether a path is a folder of at most `MAX_FILES` files and folders."""
    count = 0
    for _, folders, files in os.walk(path):
        count += len(folders) + len(files)
        if count > MAX_FILES:
            return False
    return path.is_dir()


def _record_of(path: Path) -> Path | None:
    """Returns the meta.json of the artifact that a path is, or that a file belongs to."""
    own = meta_path(path)
    if own.is_file():
        return own
    found = recorded_hash(path) if path.is_file() else None
    return None if found is None else found[0]
