"""A disk that is full from the n-th write on: below one folder, open for writing, write, mkdir, rename and fsync fail.

In this process by `full_disk`; in a command and its workers by `environment` and this folder's `sitecustomize`. The
operations of all processes are counted together, in a file outside the folder. Removing costs no space and is allowed.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT, COUNTER, FIRST = "FULL_DISK_ROOT", "FULL_DISK_COUNTER", "FULL_DISK_FIRST"


class Disk:
    """Counts what needs space below `root`, and refuses it from the number `first` on (0: never)."""

    def __init__(self, root: str, counter: str, first: int) -> None:
        self._root, self._first = os.path.realpath(root), first
        self._counter = os.open(counter, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._write = os.write

    def spend(self, path: Any, name: bool = True) -> None:
        """Counts one operation on a path or descriptor.

        Raises:
          OSError: the disk is full; with the path where the system would tell it.
        """
        place = f"/proc/self/fd/{path}" if isinstance(path, int) else os.fsdecode(path)
        if not f"{os.path.realpath(place)}/".startswith(f"{self._root}/"):
            return
        self._write(self._counter, b".")
        if 0 < self._first <= os.fstat(self._counter).st_size:
            number = errno.ENOSPC
            raise (
                OSError(number, os.strerror(number), os.fsdecode(path))
                if name
                else OSError(number, os.strerror(number))
            )


def _replacements(disk: Disk) -> list[tuple[Any, str, Callable]]:
    """(module, name, function) of what is put in the place of Python's own."""
    real_open, real_os_open, real_fsync = io.open, os.open, os.fsync

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            disk.spend(self.name, name=False)
            return super().write(data)

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        if isinstance(file, int) or not set("wax+") & set(mode):
            return real_open(file, mode, buffering, *rest, **options)
        disk.spend(file)
        if "+" in mode:
            return real_open(file, mode, buffering, *rest, **options)
        raw = File(os.fspath(file), mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        stream = io.BufferedWriter(raw)
        return stream if "b" in mode else io.TextIOWrapper(stream, *rest, **options)

    def os_open(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            disk.spend(path)
        return real_os_open(path, flags, *rest, **options)

    def fsync(descriptor: int) -> None:
        disk.spend(descriptor, name=False)
        real_fsync(descriptor)

    def on_target(real: Callable, place: int) -> Callable:
        def call(*words: Any, **options: Any) -> Any:
            disk.spend(words[place])
            return real(*words, **options)

        return call

    return [
        (builtins, "open", opened), (io, "open", opened), (os, "open", os_open), (os, "fsync", fsync),
        (os, "mkdir", on_target(os.mkdir, 0)), (os, "replace", on_target(os.replace, 1)),
        (os, "rename", on_target(os.rename, 1)),
    ]  # fmt: skip


@contextmanager
def full_disk(root: Path, counter: Path, first: int) -> Iterator[None]:
    """Fills the disk in this process, from the operation number `first` on; 0 only counts (the counter's size)."""
    counter.unlink(missing_ok=True)
    kept = []
    for module, name, function in _replacements(Disk(str(root), str(counter), first)):
        kept.append((module, name, getattr(module, name)))
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def environment(root: Path, counter: Path, first: int) -> dict[str, str]:
    """Variables under which a Python command and its workers have the full disk."""
    counter.unlink(missing_ok=True)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, ROOT: str(root), COUNTER: str(counter), FIRST: str(first)}


def install_from_environment() -> None:
    """Fills the disk for good, where the environment says so."""
    if ROOT in os.environ:
        disk = Disk(os.environ[ROOT], os.environ[COUNTER], int(os.environ[FIRST]))
        for module, name, function in _replacements(disk):
            setattr(module, name, function)
