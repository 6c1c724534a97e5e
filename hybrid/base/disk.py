"""What a file system may refuse, told in one line; and folders and files that outlast a loss of power.

A file that a later step trusts is synced before it is renamed, and the folder that holds its name afterwards.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hybrid.base.errors import HybridError, InputError, quote

__all__ = ["disk_error", "make_folder", "no_room", "remove_mark", "sync_file", "sync_folder", "sync_tree", "writing"]

PathLike = str | os.PathLike

_TEMPORARY = re.compile(r"(?<![^/])\.tmp\d[^./]*\.(?=[^/])")  # in the names that hybrid.base.artifact writes under
_FULL = "Free some space and run the same command again."
_OTHER_PLACE = "Choose another output folder or mend its permissions."
_OTHER_NAME = "Choose another name or output folder."
_REASONS = {
    errno.ENOSPC: ("the disk is full; nothing was changed", _FULL),
    errno.EDQUOT: ("your disk quota is used up; nothing was changed", _FULL),
    errno.EFBIG: (
        "the file would be larger than is allowed; nothing was changed",
        "Raise the limit (ulimit -f) or choose a file system that takes larger files.",
    ),
    errno.EIO: ("the disk reports an error ({})", "Look at the system's log (dmesg), or choose another disk."),
    errno.EACCES: ("not writable ({})", _OTHER_PLACE),
    errno.EPERM: ("not writable ({})", _OTHER_PLACE),
    errno.EROFS: ("not writable ({})", _OTHER_PLACE),
    errno.ENOENT: ("was removed, or its folder, while the command ran", "Run the same command again, and leave it."),
    errno.ESTALE: ("was removed, or its folder, while the command ran", "Run the same command again, and leave it."),
    errno.ENOTEMPTY: ("another command wrote there meanwhile", "Run one command at a time for an output folder."),
    errno.EMFILE: ("too many open files", "Raise the limit (ulimit -n), or use fewer --jobs."),
    errno.ENFILE: ("too many open files in the whole system", "Use fewer --jobs, or run again later."),
    errno.ENOMEM: ("there is no memory for it", "Use fewer --jobs, or a machine with more memory."),
    errno.ENAMETOOLONG: ("cannot be used ({})", "Correct the path, or choose another name."),
    errno.ELOOP: ("cannot be used ({})", "Correct the path, or choose another name."),
} | dict.fromkeys(
    (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.EBUSY, errno.ENXIO, errno.EXDEV, errno.ETXTBSY),
    ("cannot be written ({})", _OTHER_NAME),
)  # fmt: skip


def disk_error(error: OSError, path: PathLike) -> HybridError | None:
    """Returns one line with path and cure for what a user can mend in a file system; None for other errors.

    Args:
      path: what was being written, unless the error itself names a file.
    """
    name = error.filename if isinstance(error.filename, (str, os.PathLike)) else path
    place = quote(_TEMPORARY.sub("", os.fspath(name)), 300)
    if error.errno is None and type(error) is OSError:  # numpy's "100 requested and 27 written"
        return HybridError(f"{place}: cannot be written ({error}). Is the disk full, or a limit (ulimit -f) reached?")
    if error.errno == errno.ENOENT and "temporary directory" in str(error):  # of Python's tempfile
        return HybridError(f"{place}: {error.strerror}. Mend one of these folders, or choose another with TMPDIR.")
    found = _REASONS.get(error.errno or 0)
    if found is None:
        return None
    return HybridError(f"{place}: {found[0].format(error.strerror)}. {found[1]}")


def no_room(error: OSError, path: PathLike, place: PathLike, option: str = "output folder") -> HybridError:
    """Returns one line for an output that cannot be made since its place takes nothing new.

    Args:
      error: what the system said when something was made in `place`, a folder that is there.
      path: the output, as the user named it.
      option: how the user names it.
    """
    where = quote(place, 100)
    other = f"Choose another {option}"
    if error.errno in (errno.EACCES, errno.EROFS):
        reason, mend = "permissions do not allow it", "mend its permissions"
        if error.errno == errno.EROFS:
            reason, mend = "the file system is read-only", "mount it so that it can be written"
        return InputError.at(quote(path, 100), f"cannot be written ({where}: {reason})", f"{other}, or {mend}.")
    if error.errno in (errno.ENOENT, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):  # as in /proc, /sys
        return InputError.at(quote(path, 100), f"cannot be used, since nothing can be made in {where}", f"{other}.")
    found = disk_error(OSError(error.errno, error.strerror), path)
    return found or InputError.at(quote(path, 100), f"cannot be made ({where}: {error.strerror})", f"{other}.")


@contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """Turns what the file system refuses in the body into one line that names `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) or error from error


def make_folder(path: PathLike) -> Path:
    """Makes a folder and those above it, and syncs the folders that got a new entry.

    Raises:
      HybridError: it cannot be made.
    """
    path = Path(path)
    missing = []
    with writing(path):
        for folder in (path, *path.parents):
            if folder.exists():
                break
            missing.append(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            place = Path(error.filename or path).parent
            raise (no_room(error, path, place) if place.is_dir() else error) from None
        for folder in reversed(missing):
            sync_folder(folder.parent)
    return path


def remove_mark(folder: PathLike) -> None:
    """Removes a folder's `meta.json`, which says that it is finished, before its files are written anew.

    Synced, so that a loss of power does not bring the mark back beside half of the new files.
    """
    mark = Path(folder) / "meta.json"
    with writing(mark):
        if mark.exists():
            mark.unlink()
            sync_folder(folder)


def sync_file(path: PathLike) -> None:
    """Waits until a file's content is on the disk."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: PathLike) -> None:
    """Waits until the names in a folder are on the disk; does nothing where the file system knows no such thing."""
    with suppress(PermissionError):  # a folder that may be written but not listed
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(descriptor)


def sync_tree(path: str | Path) -> None:
    """Waits until every file and folder below a folder, and itself, is on the disk."""
    for folder, _, files in os.walk(str(path), topdown=False):
        for name in files:
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                sync_file(file)
        sync_folder(folder)
