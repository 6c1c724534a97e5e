"""Logging and progress: a bar on a terminal, one line an interval elsewhere, totals at the end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any, TypeVar

from hybrid.base.errors import one_line, shortened

__all__ = [
    "Progress",
    "get_logger",
    "log_file",
    "log_settings",
    "log_totals",
    "peak_memory_gb",
    "progress",
    "quiet_screen",
    "setup_logging",
    "track",
]

T = TypeVar("T")

INTERVAL_SECONDS = 20.0
LONGEST_LINE = 8000  # characters of a record that lists settings; warnings are as short as errors


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module; call as `get_logger(__name__)`."""
    return logging.getLogger(name)


class OneLineFormatter(logging.Formatter):
    """Shows what a record quotes from files as one line, not endless, without control characters."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = one_line(super().formatMessage(record))
        return line if record.levelno < logging.WARNING and len(line) < LONGEST_LINE else shortened(line)


def setup_logging(verbose: bool = False) -> None:
    """Sends the logs of our packages to standard error, one plain line a record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.addFilter(_belongs_on_screen)
    _SCREEN["quiet"] = False
    for logger in _loggers():
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
        logger.propagate = False


def _loggers() -> list[logging.Logger]:
    return [logging.getLogger(package) for package in ("hybrid", "lexicon", "lm")]


_SCREEN = {"files": 0, "quiet": False}  # log files that are open; whether only warnings are shown


def _belongs_on_screen(record: logging.LogRecord) -> bool:
    """Settings and versions stay out of sight where a log file takes them."""
    return not (_SCREEN["files"] and getattr(record, "is_detail", False))


def quiet_screen() -> None:
    """Shows warnings and errors only, and no progress."""
    _SCREEN["quiet"] = True
    for logger in _loggers():
        for handler in logger.handlers:
            handler.setLevel(logging.WARNING)


@contextmanager
def log_file(path: str | os.PathLike, adds: bool = False) -> Iterator[None]:
    """Keeps the records of our packages in a file too, settings and versions there alone.

    Args:
      adds: to what stands in the file already.
    """
    handler = logging.FileHandler(path, "a" if adds else "w", encoding="utf-8")
    handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    for logger in _loggers():
        logger.addHandler(handler)
    _SCREEN["files"] += 1
    try:
        yield
    finally:
        _SCREEN["files"] -= 1
        for logger in _loggers():
            logger.removeHandler(handler)
        handler.close()


_WORKERS = {"cpu_seconds": 0.0, "kilobytes": 0.0}


def _usage_of(pid: int) -> tuple[float, float]:
    """CPU seconds and peak kilobytes of another process; 0 where there is no /proc or no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            peak = [line.split()[1] for line in stream if line.startswith("VmHWM:")]
    except OSError:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), max(map(float, peak), default=0.0)


def add_worker_usage(pid: int) -> None:
    """Counts CPU time and peak memory of a worker that is about to end; the system does not count it as our child."""
    seconds, kilobytes = _usage_of(pid)
    _WORKERS["cpu_seconds"] += seconds
    _WORKERS["kilobytes"] = max(_WORKERS["kilobytes"], kilobytes)


def _living_workers() -> list[tuple[float, float]]:
    return [_usage_of(process.pid or 0) for process in multiprocessing.active_children()]


def peak_memory_gb() -> float:
    """Peak resident memory of this process, its children and the workers of pools: of the largest one, in 1e9 bytes."""
    kilobytes = max(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        _WORKERS["kilobytes"],
        *(kilobytes for _, kilobytes in _living_workers()),
    )
    return kilobytes * 1024 / 1e9


def cpu_seconds() -> float:
    """User plus system time of this process, its finished children and the workers of pools, ended or at work."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    workers = _WORKERS["cpu_seconds"] + sum(seconds for seconds, _ in _living_workers())
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime + workers


def log_settings(logger: logging.Logger, title: str, settings: dict[str, Any]) -> None:
    """Logs what a run was asked to do and with which versions; into the log file alone where there is one."""
    detail = {"is_detail": True}
    logger.info("%s: %s", title, ", ".join(f"{k}={v}" for k, v in settings.items()), extra=detail)
    versions = [f"python {platform.python_version()}"]
    for package in ("numpy", "torch", "k2", "kaldifst", "lhotse"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    logger.info("versions: %s", ", ".join(versions), extra=detail)


def log_totals(logger: logging.Logger, done: int, failed: int, audio_seconds: float | None = None) -> None:
    """Logs how many were done, CPU time, memory, and the real-time factor where audio was processed."""
    text = f"{done} done, {failed} failed, {cpu_seconds():.1f} CPU s, peak {peak_memory_gb():.2f} GB"
    if audio_seconds:
        text += f", {audio_seconds:.0f} s of audio, real-time factor {cpu_seconds() / audio_seconds:.4f} (CPU)"
    logger.info("totals: %s", text)


class Progress:
    """Counts what is done and failed, and shows it; made by `progress`."""

    def __init__(self, title: str, total: int | None, logger: logging.Logger) -> None:
        self.title, self.total, self.done, self.failed = title, total, 0, 0
        self.note = ""
        self._logger = logger
        self._start = self._last = time.monotonic()
        self.bar: Any = None

    def advance(self, done: int = 1, failed: int = 0, note: str = "") -> None:
        """Adds to the counts; `note` is a short figure such as the score per frame."""
        self.done += done
        self.failed += failed
        self.note = note or self.note
        if self.bar is not None:
            self.bar.update(0, completed=self.done + self.failed, description=self._describe())
        elif time.monotonic() - self._last >= INTERVAL_SECONDS:
            self._last = time.monotonic()
            self._logger.info("%s%s", self._describe(), self._left())

    def _describe(self) -> str:
        total = f"/{self.total}" if self.total else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.title}: {self.done}{total} done{failed}" + (f", {self.note}" if self.note else "")

    def _left(self) -> str:
        count = self.done + self.failed
        if not self.total or not count:
            return ""
        seconds = (time.monotonic() - self._start) * max(0, self.total - count) / count
        return f", about {seconds:.0f} s left"


@contextmanager
def progress(title: str, total: int | None = None, logger: logging.Logger | None = None) -> Iterator[Progress]:
    """Shows a bar on a terminal, else logs one line every 20 seconds."""
    state = Progress(title, total, logger or get_logger("hybrid"))
    if sys.stderr.isatty() and not _SCREEN["quiet"]:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            bars.add_task(title, total=total)
            state.bar = bars
            yield state
    else:
        yield state


def track(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yields the items and shows how many have passed."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with progress(title, total) as state:
        for item in items:
            yield item
            state.advance()
