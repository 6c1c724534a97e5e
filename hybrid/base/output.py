"""Where results may be written: into what is new, empty, or was made by the same kind of command before.

A folder says by `meta.json` what it is, and while a command works in it by `.unfinished`: kind, command, process and
host. That file is locked (flock) as long as the command lives, so that a second one is told instead of mixing its
files in; it stays after a kill, and lets the same kind of command go on there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from hybrid.base.disk import make_folder, sync_folder, sync_tree
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.reading import why

__all__ = ["MARK", "check_folder", "check_place", "host_tag", "output_folder", "real_path", "replaced_folder",
           "take_lock", "temporary_name"]  # fmt: skip

PathLike = str | os.PathLike

MARK = ".unfinished"
OWN = (".tmp", ".old", ".lock.")  # how names of temporary files and locks begin
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
SHOWN = 100  # characters of a path in a message


def temporary_name(name: str, role: str = "tmp") -> str:
    """Returns a hidden name beside `name` that no other process, thread or host uses; it keeps the suffixes.

    `.ROLE<pid>-<host>-<random>.NAME`: by process and host, what a killed command left can be told from what is in use.
    """
    kept = name if len(name) <= 50 else name[-50:]
    return f".{role}{os.getpid()}-{host_tag()}-{secrets.token_hex(3)}.{kept}"


@cache
def host_tag() -> str:
    """Returns six hex digits that tell the hosts of a shared file system apart."""
    return f"{zlib.crc32(socket.gethostname().encode('utf-8', 'surrogateescape')) & 0xFFFFFF:06x}"


def _at(path: PathLike, message: str, option: str) -> InputError:
    return InputError.at(quote(path, SHOWN), message, f"Choose another {option}.")


def real_path(path: PathLike, option: str = "--out-dir") -> Path:
    """Follows links to where an output is to stand, whether it is there or not.

    Raises:
      InputError: a name that no file can have, a circle of links, a file where a folder is wanted above it.
    """
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _at(path, "is a name that is not UTF-8 text", option) from error
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        above = next(p for p in Path(path).parents if p.exists())
        raise _at(path, f"cannot be made, since {quote(above, SHOWN)} is a file", option) from error
    except (OSError, ValueError) as error:
        reason = why(error) if isinstance(error, OSError) else str(error)
        raise _at(path, f"cannot be used ({reason})", option) from error
    return Path(os.path.realpath(path))


def _require_writable(path: PathLike, place: Path, option: str) -> None:
    """Refuses a folder, there or to be made, in which nothing can be made."""
    while not place.exists() and place.parent != place:
        place = place.parent
    if not place.is_dir():
        raise _at(path, f"cannot be made, since {quote(place, SHOWN)} is a file", option)
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError.at(
            quote(path, SHOWN), f"cannot be written ({quote(place, SHOWN)}: permissions do not allow it)",
            f"Choose another {option}, or mend its permissions.",
        )  # fmt: skip


def is_ours(path: Path) -> bool:
    """Tells whether a name is that of a temporary file, a lock or a mark of this toolkit."""
    return path.name == MARK or path.name.startswith(OWN)


def _record(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes()[: 1 << 24])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def kind_of(path: PathLike) -> str:
    """Returns the kind of an artifact, finished or not, of a folder or a file; empty where nothing tells it."""
    path = Path(path)
    if not path.is_dir():
        files = [path.with_name(path.name + ".meta.json")]
    else:
        files = [path / "meta.json", path / MARK]
    for record in map(_record, files):
        if isinstance(record.get("kind"), str) and ("versions" in record or "pid" in record):
            return record["kind"]
    return ""


def _require_kind(path: PathLike, folder: Path, kind: str, option: str) -> None:
    found, others = kind_of(folder), sorted(p.name for p in folder.iterdir() if not is_ours(p))
    if found == kind or not others:
        return
    wanted = f"wanted a new folder, an empty one, or one that holds an earlier '{kind}'"
    if found:
        raise _at(path, f"holds another artifact ('{quote(found)}'); {wanted}", option)
    shown = f"'{quote(others[0])}'" + (f" and {len(others) - 1} more" if len(others) > 1 else "")
    raise _at(path, f"is a folder that this toolkit did not make ({shown} in it); {wanted}", option)


def _require_no_input(
    path: PathLike, folder: Path, inputs: Iterable[PathLike | None], whole: bool, option: str
) -> None:
    for each in inputs:
        if each is None or not os.path.exists(each):
            continue
        real = Path(os.path.realpath(each))
        if real == folder:
            raise _at(path, "is also an input; it would be overwritten", option)
        if whole and folder in real.parents:
            raise _at(path, f"holds the input {quote(each, SHOWN)}, which would be removed with it", option)


def _require_nothing_more(path: PathLike, folder: Path, kind: str, option: str) -> None:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not is_ours(entry) and kind_of(entry):
            raise _at(
                path, f"is an earlier '{kind}', but holds '{quote(entry.name)}' ('{quote(kind_of(entry))}') too, which "
                "would be removed with it", option,
            )  # fmt: skip


def check_folder(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out-dir", whole: bool = False
) -> Path:
    """Decides whether results of a kind may go into a folder: new, empty, or an earlier output of that kind.

    Args:
      kind: as in `meta.json`.
      inputs: what the command reads; None is passed over.
      option: how the user names the folder.
      whole: the folder is replaced with everything in it, not written into.

    Returns:
      The folder behind all links; it need not exist.

    Raises:
      InputError: it may not be used; nothing was touched.
      HybridError: another run is writing to it.
    """
    folder = real_path(path, option)
    if folder.exists() and not folder.is_dir():
        raise _at(path, "is a file, wanted a folder", option)
    if whole and os.path.ismount(folder):
        raise _at(path, "is where a disk is mounted and cannot be replaced as a whole", f"{option}, a folder in it")
    _require_no_input(path, folder, inputs, whole, option)
    if folder.is_dir():
        try:
            _require_kind(path, folder, kind, option)
            if whole:
                _require_nothing_more(path, folder, kind, option)
        except PermissionError as error:
            raise _at(path, f"cannot be read ({why(error)})", option) from error
    _require_writable(path, folder.parent if whole else folder, option)
    _require_free(path, folder.with_name(f".lock.{folder.name}") if whole else folder / MARK, option)
    return folder


def check_place(path: PathLike, option: str = "--out-dir") -> Path:
    """Checks a folder that only gets entries of its own and may hold anything else.

    Raises:
      InputError: it is a file or cannot be written.
    """
    folder = real_path(path, option)
    if folder.exists() and not folder.is_dir():
        raise _at(path, "is a file, wanted a folder", option)
    _require_writable(path, folder, option)
    return folder


def _holder(file: Path) -> str:
    record = _record(file)
    if not record:
        return ""
    host = "" if record.get("host") == socket.gethostname() else f" on {quote(record.get('host'))}"
    pid, since, command = (quote(record.get(name)) for name in ("pid", "since", "command"))
    return f" (process {pid}{host}, since {since}: {command})"


def _busy(path: PathLike, file: Path, option: str) -> HybridError:
    return HybridError(
        f"{quote(path, SHOWN)}: another run is writing to it{_holder(file)}. Wait for it, or choose another {option}."
    )


def _require_free(path: PathLike, lock: Path, option: str) -> None:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(path, lock, option) from error
    except OSError:  # a file system without locks
        return
    finally:
        os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


@contextmanager
def take_lock(path: PathLike, lock: Path, kind: str, option: str = "--out-dir", keep: bool = False) -> Iterator[int]:
    """Holds a lock file; it is freed when the process ends, however it ends.

    The file is removed only while it is held, and a lock on a file that was removed meanwhile does not count.

    Args:
      path: whose lock it is, for the message.
      keep: let the file stand where the body fails.

    Yields:
      The descriptor of the lock file.

    Raises:
      HybridError: another run holds it.
    """
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _busy(path, lock, option) from error
        except OSError as error:  # a file system without locks: go on without
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                os.close(descriptor)
                raise
        if _same(descriptor, lock):
            break
        os.close(descriptor)
    done = False
    try:
        record = {"kind": kind, "command": shlex.join(["hybrid", *sys.argv[1:]]), "pid": os.getpid(),
                  "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}  # fmt: skip
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
        yield descriptor
        done = True
    finally:
        if (done or not keep) and _same(descriptor, lock):
            lock.unlink()
        os.close(descriptor)


@contextmanager
def output_folder(
    path: PathLike, kind: str, inputs: Iterable[PathLike | None] = (), option: str = "--out-dir"
) -> Iterator[Path]:
    """Lends a folder to one command that writes into it file by file, and may go on in it after a kill.

    Raises:
      InputError, HybridError: see `check_folder`; or the folder was removed while the body wrote to it.
    """
    folder = check_folder(path, kind, inputs, option)
    make_folder(folder)
    with take_lock(path, folder / MARK, kind, option, keep=True) as descriptor:
        lost = HybridError(
            f"{quote(path, SHOWN)}: was removed or moved away while this command wrote to it. Run the command again."
        )
        try:
            yield Path(path)
        except Exception as error:
            if not _same(descriptor, folder / MARK):
                raise lost from error
            raise
        if not _same(descriptor, folder / MARK):
            raise lost


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
        temporary = folder.with_name(temporary_name(folder.name))
        try:
            temporary.mkdir()
            yield temporary
            if folder.is_dir():
                _require_kind(path, folder, kind, option)
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
