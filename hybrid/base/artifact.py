"""Files that are either whole or absent, and that know what they were made from.

Every output is written under a temporary name beside its place and renamed at the end. Every
artifact carries `meta.json` (in its folder) or `NAME.meta.json` (beside a single file): the kind,
the command and settings that made it, versions, and content hashes of its inputs and of its own files.
Combining artifacts that do not belong together, and files that were changed since, are found by
these hashes (`hybrid.base.integrity`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from hybrid.base.disk import disk_error, make_folder, sync_file, sync_folder
from hybrid.base.doors import replaced_folder
from hybrid.base.errors import InputError, MismatchError, quote
from hybrid.base.locks import is_ours, sweep, temporary_name
from hybrid.base.output import real_path
from hybrid.base.reading import open_bytes, read_json

__all__ = [
    "atomic_folder",
    "atomic_path",
    "content_hash",
    "is_hash",
    "meta_path",
    "read_meta",
    "require_same_hash",
    "write_gzip",
    "write_meta",
]

PathLike = str | os.PathLike


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yields an empty temporary file beside `path`; renames it onto `path` if the body succeeds.

    The temporary name keeps the suffixes of `path` (so that writers that look at them still work)
    and is removed if the body fails, or by the next command that writes beside it if this one is killed.
    A link stays a link; what it points to is replaced. Permissions are those of any new file (umask),
    whatever the writer thinks of them.

    Raises:
      HybridError: the disk is full, the folder is not writable, or `path` is no name for a plain file.
    """
    place = real_path(path, "name")
    path = Path(path)
    if place.exists() and not place.is_file():
        found = "a folder" if place.is_dir() else "a device or pipe"
        raise InputError.at(quote(path, 100), f"is {found}, wanted a file", "Choose another name.")
    temporary = place.with_name(temporary_name(place.name))
    try:
        make_folder(place.parent)
        sweep(place.parent)
        with open(temporary, "xb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
        yield temporary
        if os.stat(temporary).st_mode & 0o777 != mode:
            os.chmod(temporary, mode)
        sync_file(temporary)
        os.replace(temporary, place)
        sync_folder(place.parent)
    except OSError as error:
        raise disk_error(error, path) or error from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: PathLike, kind: str, inputs: Iterable[PathLike | None] = ()) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; puts it in the place of `path` if the body succeeds.

    Replaced is only an empty folder or an earlier output of the same kind; see `output.check_folder`.

    Args:
      kind: what the body makes and says in its meta.json.
      inputs: what it is made from, none of which may be in the way.
    """
    try:
        with replaced_folder(path, kind, inputs) as temporary:
            yield temporary
    except OSError as error:
        raise disk_error(error, path) or error from error


@contextmanager
def write_gzip(path: PathLike, level: int = 6) -> Iterator[Any]:
    """Yields a binary stream that is compressed into `path`; no time stamp, so equal content is equal bytes."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=level) as stream:
            yield stream


def content_hash(path: PathLike) -> str:
    """Returns the sha256 of a file's content after decompression, or of a folder's files and their names.

    Of an artifact the files that its `meta.json` names count, not what else lies there: graphs and decodings are put
    into a model's folder. Elsewhere `meta.json` files and logs, which hold times, are left out, and temporary files.
    """
    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        for file in _files_of(path):
            digest.update(f"{file.relative_to(path)}\0{content_hash(file)}\0".encode())
        return digest.hexdigest()
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _files_of(folder: Path) -> list[Path]:
    named = read_meta(folder).get("files")
    files = [folder / name for name in named] if named else folder.rglob("*")
    return sorted(file for file in files if file.is_file() and not _is_meta(file))


def _is_meta(path: Path) -> bool:
    return path.name == "meta.json" or path.name.endswith((".meta.json", ".log")) or is_ours(path)


def meta_path(path: PathLike) -> Path:
    """Returns where the provenance of an artifact stands: inside a folder, beside a file."""
    path = Path(path)
    return path / "meta.json" if path.is_dir() else path.with_name(path.name + ".meta.json")


def write_meta(
    path: PathLike,
    kind: str,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, PathLike | str | tuple[PathLike, str]] | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | Iterable[str] | None = None,
) -> None:
    """Writes the provenance of the artifact at `path`.

    Args:
      path: a file or folder that exists.
      kind: what it is, e.g. "graph", "gmm", "lang".
      settings: what its maker was told.
      inputs: name → a path (its content is hashed), a hash (64 hex digits) already known, or both. Where an input
        lies is kept relative to the artifact, so that both may be moved together. A pipe or device, which was read
        once and is gone, is not recorded.
      facts: figures worth keeping (states, arcs, seconds).
      files: what the artifact consists of, relative to its folder, and their hashes where they are known; by default
        every file of the folder that is not hidden or of another artifact in it, or the single file itself.
    """
    path, hashes, paths = Path(path), {}, {}
    for name, value in (inputs or {}).items():
        place, known = value if isinstance(value, tuple) else (value, "")
        if is_hash(value):
            hashes[name] = value
            continue
        if os.path.exists(place) and not (os.path.isfile(place) or os.path.isdir(place)):
            continue
        hashes[name] = known or content_hash(place)
        start = os.path.realpath(path if path.is_dir() else path.parent)
        paths[name] = Path(os.path.relpath(os.path.realpath(place), start)).as_posix()
    versions = {}
    for package in ("hybrid-asr", "numpy", "torch", "kaldifst", "lhotse"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    record = {
        "kind": kind,
        "command": " ".join(["hybrid", *sys.argv[1:]])
        if Path(sys.argv[0]).name == "hybrid"
        else Path(sys.argv[0]).name,
        "settings": dict(settings or {}),
        "inputs": hashes,
        "paths": paths,
        "files": _hash_files(path, files),
        "facts": dict(facts or {}),
        "versions": versions,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    with atomic_path(meta_path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


def is_hash(value: object) -> bool:
    """Tells whether something in a record is a sha256."""
    return isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _hash_files(path: Path, files: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    if not path.is_dir():
        return {path.name: content_hash(path)}
    if files is None:
        files = _files_below(path)
    known = files if isinstance(files, Mapping) else {}
    return {name: known.get(name) or content_hash(path / name) for name in sorted(files)}


def _files_below(folder: Path) -> list[str]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and not (Path(root) / f / "meta.json").exists()]
        paths = (Path(root) / name for name in names if not name.startswith("."))
        found += [p.relative_to(folder).as_posix() for p in paths if not _is_meta(p) and p.is_file()]
    return found


def read_meta(path: PathLike) -> dict[str, Any]:
    """Returns the provenance of an artifact, or an empty dict where it has none.

    Raises:
      InputError: the file is there but is not a JSON object.
    """
    file = meta_path(path)
    if not file.exists():
        return {}
    record = read_json(file, "Make the artifact again.")
    if not isinstance(record, dict):
        raise InputError.at(file, "does not hold a JSON object", "Make the artifact again.")
    facts = record.get("facts", {})
    parts = {name: record.get(name, {}) for name in ("settings", "inputs", "files")} | {"facts": facts}
    if isinstance(facts, dict):
        parts["hashes"] = facts.get("hashes", {})
    for name, value in parts.items():
        if not isinstance(value, dict):
            raise InputError.at(file, f"'{name}' is no JSON object", "Make the artifact again.")
    return record


def require_same_hash(
    name: str, first: tuple[PathLike, str | None], second: tuple[PathLike, str | None], cure: str
) -> None:
    """Raises if two artifacts were made from different versions of one thing.

    Args:
      name: the thing both were made from, e.g. "tree".
      first, second: each artifact's path and the hash it carries; None where it carries none, which passes.

    Raises:
      MismatchError: names both artifacts.
    """
    if first[1] and second[1] and first[1] != second[1]:
        raise MismatchError(
            f"{first[0]} and {second[0]} were made from different versions of {name} "
            f"({first[1][:8]} and {second[1][:8]}). {cure}"
        )
