"""Work that may want too much memory, in a process of its own: it alone fails, whatever else this process is doing.

Libraries in C++ cannot be stopped in the middle, and a limit on this process would fail other threads' allocations.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import logging
import os
import pickle
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from hybrid.base.errors import HybridError
from hybrid.base.log import get_logger, setup_logging

__all__ = ["available_memory", "give_back_memory", "peak_gb", "reset_peak", "run_limited"]

T = TypeVar("T")
# The paths of this process: modules of the working folder must not come in.
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from hybrid.base.limited import serve; serve()"

_MEMORY = ":".join((
    "glibc.malloc.hugetlb=1",  # arrays and small states alike lie in large pages, of which processors find more
    # What is freed is kept for the next array: the system empties each page that it hands out, which takes its time.
    "glibc.malloc.mmap_max=0", "glibc.malloc.trim_threshold=1099511627776",
))  # fmt: skip


def reset_peak() -> None:
    """Lets `peak_gb` count from now on."""
    with suppress(OSError):  # not Linux, or not allowed: the peak is then that of the process so far
        Path("/proc/self/clear_refs").write_text("5")


def peak_gb() -> float:
    """Returns the highest resident memory of this process since `reset_peak`, in 1e9 bytes."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def available_memory() -> int | None:
    """Returns how many bytes this process may still take: of the machine and of its control group; None if unknown."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(found) if found else None


def give_back_memory() -> None:
    """Asks the C library to return freed memory to the system; it keeps that of many small states otherwise."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def run_limited(
    function: Callable[..., T], *args: Any, allowed: float, too_much: str, imports: Sequence[str] = ()
) -> T:
    """Returns `function(*args)`, run in a child process that may take `allowed` bytes more than it starts with.

    Args:
      function: of a module, as its arguments and result picklable: they pass through pipes, never through files.
      too_much: the message where that is not enough, or where the system killed the child.
      imports: modules that are loaded before the limit is set: libraries are not the work's memory.

    Raises:
      HybridError: with `too_much`. What the function raises is raised here.
    """
    verbose = get_logger("hybrid").getEffectiveLevel() <= logging.DEBUG if get_logger("hybrid").handlers else None
    tunables = ":".join(
        filter(None, [_MEMORY, os.environ.get("GLIBC_TUNABLES")])
    )  # of what is said twice the last holds
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True,
        env={**os.environ, "GLIBC_TUNABLES": tunables},
    )  # fmt: skip
    try:
        answer = _exchange(child, (function, args, allowed, verbose, imports))
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
    if answer is None or isinstance(answer[1], MemoryError):
        raise HybridError(too_much) from (answer[1] if answer else None)
    result, error = answer
    if error is not None:
        raise error
    return result


def _exchange(child: subprocess.Popen, job: tuple) -> tuple[Any, BaseException | None] | None:
    """Sends the job and returns the answer; None where the child ended without one."""
    assert child.stdin is not None and child.stdout is not None
    with child.stdin as to_child, child.stdout as from_child:
        try:
            pickle.dump(job, to_child, protocol=pickle.HIGHEST_PROTOCOL)
            to_child.flush()  # stays open: its end tells the child that this process is gone
            return pickle.load(from_child)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            return None


def _end_with_parent(stream: BinaryIO) -> None:
    stream.read()
    os._exit(1)


def _size() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def serve() -> None:
    """Runs in the child: takes the job from standard input and writes result and error to standard output."""
    function, args, allowed, verbose, imports = pickle.load(sys.stdin.buffer)
    if verbose is not None:
        setup_logging(verbose)
    threading.Thread(target=_end_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    answer: tuple[Any, BaseException | None]
    try:
        for name in imports:
            importlib.import_module(name)
        _limit(allowed)
        answer = (function(*args), None)
    except OSError as error:
        answer = (None, MemoryError() if error.errno == errno.ENOMEM else error)
    except Exception as error:  # raised again by the parent
        answer = (None, error)
    pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()
    os._exit(0)


def _limit(allowed: float) -> None:
    """Bounds this process, the child; where the system has no such limit, its memory is the bound."""
    try:
        size = _size()
    except OSError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = min([int(size + allowed), *(x for x in (soft, hard) if x != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
