"""Doors through which results are written: a folder to work in, a folder replaced as a whole, a file.

Each checks its place first (`hybrid.base.output`) and holds its lock while the command lives.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import inspect
import operator
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from hybrid.base.disk import make_folder, sync_folder, sync_tree
from hybrid.base.errors import HybridError, quote
from hybrid.base.locks import MARK, SHOWN, still_there, sweep, take_lock, temporary_name
from hybrid.base.output import check_file, check_folder, require_kind

__all__ = ["output_file", "output_folder", "paths_of", "replaced_folder", "writes_into"]

PathLike = str | os.PathLike
F = TypeVar("F", bound=Callable[..., Any])

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextmanager
def output_folder(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out-dir"
) -> Iterator[Path]:
    """Lends a folder to one command that writes into it file by file, and may go on in it after a kill.

    Raises:
      InputError, HybridError: see `check_folder`; or the folder was removed while the body wrote to it.
    """
    folder = check_folder(path, kind, inputs, option)
    missing = not folder.exists()
    make_folder(folder)
    try:
        with take_lock(path, folder / MARK, kind, option, keep=True) as descriptor:
            lost = HybridError(
                f"{quote(path, SHOWN)}: was removed or moved away while this command wrote to it. "
                "Run the command again."
            )
            try:
                yield Path(path)
            except Exception as error:
                if not still_there(descriptor, folder / MARK):
                    raise lost from error
                raise
            if not still_there(descriptor, folder / MARK):
                raise lost
    except BaseException:
        if missing:
            with suppress(OSError):  # something was written, or another run has it
                folder.rmdir()
        raise


@contextmanager
def replaced_folder(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out-dir"
) -> Iterator[Path]:
    """Yields a new folder beside the place of an output and puts it there as a whole if the body succeeds.

    An older output stands until then: killed at any moment, there is the old one or the new one.

    Raises:
      InputError, HybridError: see `check_folder`.
    """
    folder = check_folder(path, kind, inputs, option, whole=True)
    make_folder(folder.parent)
    with take_lock(path, folder.with_name(f".lock.{folder.name}"), kind, option):
        _restore(folder)
        sweep(folder.parent)
        temporary = folder.with_name(temporary_name(folder.name))
        try:
            temporary.mkdir()
            yield temporary
            if folder.is_dir():
                require_kind(path, folder, kind, option)
            sync_tree(temporary)
            put_in_place(temporary, folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".old.{folder.name}")


def _restore(folder: Path) -> None:
    """Puts an older folder back, where a replacement was killed between its two renames."""
    if not folder.exists() and _old(folder).is_dir():
        os.replace(_old(folder), folder)


def put_in_place(new: Path, folder: Path) -> None:
    """Puts a folder in the place of another, at once where the file system can exchange two names."""
    if not folder.exists():
        os.replace(new, folder)
        return
    if _exchange(new, folder):
        shutil.rmtree(new, ignore_errors=True)
        return
    shutil.rmtree(_old(folder), ignore_errors=True)
    os.replace(folder, _old(folder))
    try:
        os.replace(new, folder)
    except OSError:
        _restore(folder)
        raise
    shutil.rmtree(_old(folder), ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two names in one step (Linux); tells whether that was possible."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(second))


@contextmanager
def output_file(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out"
) -> Iterator[Path]:
    """Lends the place of a file to one command; the file itself is written by `artifact.atomic_path`.

    Raises:
      InputError, HybridError: see `output.check_file`.
    """
    file = check_file(path, kind, inputs, option)
    make_folder(file.parent)
    with take_lock(path, file.with_name(f".lock.{file.name}"), kind, option):
        yield Path(path)


def paths_of(values: Iterable[Any]) -> Iterator[PathLike]:
    """Yields the paths among inputs: paths, artifacts that have a `path`, and sequences of them."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from paths_of(value)
        elif isinstance(value, (str, os.PathLike)):
            yield value
        elif isinstance(getattr(value, "path", None), (str, os.PathLike)):
            yield value.path


def writes_into(kind: str, *inputs: str, argument: str = "out_dir") -> Callable[[F], F]:
    """Decorates a function that works in a folder: it is lent to it (`output_folder`) while it runs.

    Args:
      inputs: names of arguments that are paths, or artifacts with a `path`; `start.model` is a part of one.
      argument: name of the folder's.
    """

    def decorate(function: F) -> F:
        """Finds out, from the arguments' names, what the output is made from."""
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            """Opens the output's door and calls the function."""
            given = signature.bind(*args, **kwargs).arguments
            values = SimpleNamespace(**given)
            made_from = (operator.attrgetter(name)(values) for name in inputs if name.split(".")[0] in given)
            with output_folder(given[argument], kind, paths_of(made_from)):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate
