"""Loops compiled by numba: the one decorator of all kernels, and the files that compiled kernels are kept in.

A kernel releases the interpreter's lock, so that threads run side by side: two threads must not hand one scratch
array to it. Machine code is kept by content (source, argument types, processor, versions), one checksummed file for
each kernel and signature, in `cache_folder("kernels")`. A file that is damaged is told in one line, removed and made
again; without a folder every process compiles for itself. Processes that miss the same kernel wait for the first of
them instead of compiling it once each. Where there is too little to do to be worth a compilation, kernels run as the
Python that they are written in (`interpreted`).
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import logging
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps

from hybrid.base.cache import VARIABLE, CacheFolder, cache_folder
from hybrid.base.errors import quote
from hybrid.base.locks import temporary_name

__all__ = ["KERNELS", "Kernel", "examine_kernels", "interpreted", "is_kept", "kernel", "kernels_folder"]

F = TypeVar("F", bound=Callable[..., Any])

MAGIC = b"hybrid kernel 1\n"
SUFFIX = ".kernel"
MAX_FILES = 4000  # beyond, the half that was used longest ago goes
KERNELS: list["Kernel"] = []  # all that have been imported
_as_python: ContextVar[bool] = ContextVar("as_python", default=False)  # of this thread

logger = logging.getLogger(__name__)


class DamagedError(Exception):
    """A file of the cache is not what was written."""


class Kernel(CPUDispatcher):
    """A function that numba compiles once for each combination of argument types."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        super().__init__(function, targetoptions=options)
        self._cache = KernelCache(function)
        KERNELS.append(self)

    def __call__(self, *arguments: Any) -> Any:
        """Calls the compiled form, or the function itself where kernels are interpreted."""
        try:
            return self.py_func(*arguments) if _as_python.get() else super().__call__(*arguments)
        except SystemError as error:  # what a signal raised while numba looked at the arguments
            if isinstance(error.__cause__, (KeyboardInterrupt, SystemExit)):
                raise error.__cause__ from None
            raise

    def is_kept(self, *arguments: Any) -> bool:
        """Tells whether a call with such arguments has nothing to compile."""
        signature = tuple(map(self.typeof_pyval, arguments))
        if signature in self.overloads:
            return True
        path = self._cache.path(signature, self.targetctx)
        return path is not None and path.exists()

    def compile(self, signature: Any) -> Any:
        """Compiles for one signature, or loads what this or another process has compiled."""
        with ExitStack() as held:
            held.enter_context(global_compiler_lock)
            if not self._cache.holds(signature, self.targetctx):
                held.enter_context(_alone())
            return super().compile(signature)


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(**options: Any) -> Callable[[F], F]: ...
def kernel(function: Any = None, **options: Any) -> Any:
    """Makes a kernel of a function: compiled without the interpreter, without its lock, kept on disk.

    Args:
      options: of numba.njit, such as `fastmath` and `inline`.
    """
    if function is None:
        return functools.partial(kernel, **options)
    if getattr(config, "DISABLE_JIT", False):
        return function
    return Kernel(function, {"nopython": True, "nogil": True, "boundscheck": None, **options})


def is_kept(function: Callable[..., Any], *arguments: Any) -> bool:
    """Tells whether calling a kernel would compile nothing: it has such a form in memory or on disk."""
    return function.is_kept(*arguments) if isinstance(function, Kernel) else True  # numba may be switched off


@contextmanager
def interpreted(wanted: bool = True) -> Iterator[None]:
    """Inside, kernels that this thread calls run as plain Python: some hundred times slower, and nothing is compiled.

    Args:
      wanted: whether it is so; kernels are compiled otherwise.
    """
    before = _as_python.set(wanted)
    try:
        with np.errstate(over="ignore"):  # hashes wrap around
            yield
    finally:
        _as_python.reset(before)


class KernelCache(_Cache):
    """The compiled forms of one kernel on disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        return str(kernels_folder().path or "")

    def enable(self) -> None:
        """Kernels are always kept where there is a folder."""

    def disable(self) -> None:
        """Kernels are always kept where there is a folder."""

    def flush(self) -> None:
        """Files are named by content: none is ever stale."""

    @functools.cached_property
    def _identity(self) -> bytes:
        return "\0".join([numba.__version__, sys.version, *sorted(_sources(self._function))]).encode()

    def path(self, signature: Any, target: Any) -> Path | None:
        """Where the form for one signature is kept; None where there is no folder."""
        folder = kernels_folder().path
        if folder is None:
            return None
        digest = hashlib.sha256(self._identity)
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        fields = [getattr(kind, "fields", None) for kind in getattr(signature, "args", signature)]  # of named tuples
        digest.update(f"\0{name}\0{signature}\0{fields}\0{target.codegen().magic_tuple()}".encode())
        return folder / f"{name}-{digest.hexdigest()[:32]}{SUFFIX}"

    def holds(self, signature: Any, target: Any) -> bool:
        """Tells whether there is nothing to compile, or no place to keep it."""
        path = self.path(signature, target)
        return path is None or path.exists()

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Returns the compiled kernel, None where it must be compiled."""
        target.refresh()
        path = self.path(signature, target)
        try:
            if path is not None and path.exists():
                # Code, like any module of the package, in a folder that only its owner may write.
                result = CompileResult._rebuild(target, *pickle.loads(_payload(path)))
                with suppress(OSError):
                    os.utime(path)
                return result
        except OSError:
            pass  # removed by another process, or not readable: compiled, which says so
        except Exception as error:  # whatever foreign bytes throw
            logger.warning("%s is damaged (%s); compiling it anew", quote(path, 200), quote(error))
            with suppress(OSError):
                path.unlink()  # type: ignore[union-attr]
        _say_once()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keeps a compiled kernel; where that fails, the process goes on with what it has."""
        path = self.path(signature, result.target_context)
        if path is None or not kernels_folder().writable or result.library.has_dynamic_globals:
            return
        payload = dumps(result._reduce())
        temporary = path.with_name(temporary_name(path.name))
        try:
            temporary.write_bytes(MAGIC + hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
            _make_room(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            _say_uncached(f"{quote(path.parent)} cannot be written ({error.strerror or error})")


def _sources(function: Callable[..., Any], seen: set[Any] | None = None) -> set[str]:
    """Returns the text of a kernel's module and of those of all kernels that it calls, and numbers from elsewhere."""
    seen = set() if seen is None else seen
    seen.add(function)
    found = {_text(function.__code__.co_filename)}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, Kernel):
            if value.py_func not in seen:
                found |= _sources(value.py_func, seen)
        elif isinstance(value, (int, float, str, tuple)):
            found.add(f"{name} = {value!r}")
    return found


@functools.cache
def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _payload(path: Path) -> bytes:
    """Returns what a file of the cache holds, after a look at its checksum.

    Raises:
      DamagedError: it is not what was written.
    """
    data = path.read_bytes()
    payload = data[len(MAGIC) + 32 :]
    if not data.startswith(MAGIC) or hashlib.sha256(payload).digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        raise DamagedError("its checksum does not fit")
    return payload


_depth = 0  # of nested compilations; only touched by who holds numba's compiler lock


@contextmanager
def _alone() -> Iterator[None]:
    """Lets one process compile while others that use the same folder wait; a killed one waits no more."""
    global _depth
    folder = kernels_folder()
    with ExitStack() as held:
        if not _depth and folder.path is not None and folder.writable:
            with suppress(ImportError, OSError):  # not POSIX, or a file system without locks
                import fcntl

                stream = held.enter_context(open(folder.path / "lock", "w"))
                fcntl.flock(stream, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def _make_room(folder: Path) -> None:
    files = list(folder.glob(f"*{SUFFIX}"))
    if len(files) <= MAX_FILES:
        return
    for path in sorted(files, key=lambda file: file.stat().st_mtime)[: len(files) // 2]:
        path.unlink(missing_ok=True)


@functools.cache
def _folder(setting: str | None, home: str | None) -> CacheFolder:
    return cache_folder("kernels")


def kernels_folder() -> CacheFolder:
    """Returns where compiled kernels are kept; looked up once for each setting of the environment."""
    return _folder(os.environ.get(VARIABLE), os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME"))


@functools.cache
def _say_once() -> None:
    """Tells once, in the process that users look at, that compilation takes a while."""
    if multiprocessing.parent_process() is not None:
        return
    folder = kernels_folder()
    if folder.writable:
        logger.info("compiling kernels, about 1 s each, only now (kept in %s)", quote(folder.path, 300))
    else:
        _say_uncached(folder.reason)


@functools.cache
def _say_uncached(reason: str) -> None:
    if multiprocessing.parent_process() is None:
        logger.warning(
            "compiled kernels are not kept: %s; every run compiles them again. Set %s to a folder of your own.",
            reason, VARIABLE,
        )  # fmt: skip


def examine_kernels() -> tuple[int, int]:
    """Checks all files of the cache and removes the damaged.

    Returns:
      How many are whole, and how many were removed.
    """
    folder = kernels_folder()
    whole = removed = 0
    for path in sorted(folder.path.glob(f"*{SUFFIX}")) if folder.path else []:
        try:
            _payload(path)
            whole += 1
        except FileNotFoundError:
            continue
        except (DamagedError, OSError):
            removed += 1
            with suppress(OSError):
                path.unlink()
    return whole, removed


def import_kernels() -> list[Kernel]:
    """Imports every module that holds kernels and returns all kernels."""
    root = Path(__file__).resolve().parents[2]
    for package in ("hybrid", "lexicon", "lm"):
        for path in sorted((root / package).rglob("*.py")):
            if "@kernel" in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    return KERNELS
