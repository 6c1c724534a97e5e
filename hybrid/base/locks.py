"""Hidden files beside outputs: temporary names, and locks that die with their process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from hybrid.base.disk import sync_folder
from hybrid.base.errors import HybridError, quote

__all__ = ["MARK", "SHOWN", "host_tag", "is_alive", "is_ours", "read_record", "remove_leftovers", "require_free",
           "still_there", "sweep", "take_lock", "temporary_name"]  # fmt: skip

PathLike = str | os.PathLike

MARK = ".unfinished"
OWN = (".tmp", ".old", ".lock.", ".cached.")  # how names of temporary files, locks and what can be made again begin
TEMPORARY = re.compile(r"\.tmp(\d+)-([0-9a-f]{6})-[0-9a-f]{6}\.")  # see `temporary_name`
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


def remove_leftovers(files: Iterable[Path]) -> None:
    """Removes those that are temporary files or folders of processes of this host that have ended: they were killed."""
    for path in files:
        match = TEMPORARY.match(path.name)
        if match and match[2] == host_tag() and not is_alive(int(match[1])):
            with suppress(OSError):  # another run was quicker
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@lru_cache(1000)
def sweep(folder: Path) -> None:
    """Removes what killed commands left in a folder, once in the life of a process."""
    with suppress(OSError):
        remove_leftovers(Path(entry.path) for entry in os.scandir(folder) if entry.name.startswith("."))


def is_alive(pid: int) -> bool:
    """Tells whether there is a process of that number that is not a zombie."""
    with suppress(OSError, IndexError):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_ours(path: Path) -> bool:
    """Tells whether a name is that of a temporary or cached file, a lock or a mark of this toolkit."""
    return path.name == MARK or path.name.startswith(OWN)


def read_record(file: Path) -> dict[str, Any]:
    """Returns the JSON object in a small file; an empty one where there is none that can be read."""
    try:
        found = json.loads(file.read_bytes()[: 1 << 24])
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _holder(file: Path) -> str:
    record = read_record(file)
    if not record:
        return ""
    host = "" if record.get("host") == socket.gethostname() else f" on {quote(record.get('host'))}"
    pid, since, command = (quote(record.get(name)) for name in ("pid", "since", "command"))
    return f" (process {pid}{host}, since {since}: {command})"


def _busy(path: PathLike, file: Path, option: str) -> HybridError:
    return HybridError(
        f"{quote(path, SHOWN)}: another run is writing to it{_holder(file)}. Wait for it, or choose another {option}."
    )


_held = threading.local()  # lock file → descriptor, of this thread


def _held_here() -> dict[Path, int]:
    if not hasattr(_held, "locks"):
        _held.locks = {}
    return _held.locks


def require_free(path: PathLike, lock: Path, option: str) -> None:
    """Raises HybridError where another run holds a lock; what this thread holds itself is free to it."""
    if lock in _held_here():
        return
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


def still_there(descriptor: int, path: Path) -> bool:
    """Tells whether an open file still stands under its name."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _write_record(descriptor: int, kind: str) -> None:
    """Says in a lock file who holds it.

    By one write that is shorter than a page and covers all of an older record, so that a kill or a full disk leaves
    the older one or the new one: a folder whose mark is empty would be nobody's.
    """
    command = shlex.join(["hybrid", *sys.argv[1:]])[:300]
    record = {"kind": kind, "command": command, "pid": os.getpid(), "host": socket.gethostname(),
              "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}  # fmt: skip
    data = json.dumps(record).encode()
    os.pwrite(descriptor, data.ljust(os.fstat(descriptor).st_size), 0)


@contextmanager
def take_lock(path: PathLike, lock: Path, kind: str, option: str = "--out-dir", keep: bool = False) -> Iterator[int]:
    """Holds a lock file; it is freed when the process ends, however it ends.

    The file is removed only while it is held, and a lock on a file that was removed meanwhile does not count. A thread
    that holds it already passes.

    Args:
      path: whose lock it is, for the message.
      keep: let the file stand where the body fails and leaves something beside it.

    Yields:
      The descriptor of the lock file.

    Raises:
      HybridError: another run holds it.
    """
    if lock in _held_here():
        yield _held_here()[lock]
        return
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
        if still_there(descriptor, lock):
            break
        os.close(descriptor)
    done = False
    try:
        _write_record(descriptor, kind)
        if keep:
            os.fsync(descriptor)
            sync_folder(lock.parent)
        _held_here()[lock] = descriptor
        yield descriptor
        done = True
    finally:
        _held_here().pop(lock, None)
        if still_there(descriptor, lock) and (done or not keep or os.listdir(lock.parent) == [lock.name]):
            lock.unlink()
        os.close(descriptor)
