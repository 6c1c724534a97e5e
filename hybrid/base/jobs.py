"""Work over utterances on any `concurrent.futures.Executor`, with results in the order of the items.

Sums stay the same for any number of jobs because items are cut into blocks of a fixed size and
results come back in the order of the blocks, whoever worked on them. A worker process that dies
(killed, out of memory) is replaced and its work given out again, so that it changes nothing.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hybrid.base.errors import HybridError
from hybrid.base.log import add_worker_usage, get_logger

__all__ = ["WorkerPool", "blocks", "map_in_order", "pool"]

A = TypeVar("A")
B = TypeVar("B")

MAX_ATTEMPTS = 3

logger = get_logger(__name__)


def _end_with_parent() -> None:
    """Lets a worker end when the process that gives out the work is gone (killed): else it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


@contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HybridError(
            f"/dev/shm or {os.environ.get('TMPDIR') or '/tmp'}: worker processes cannot be started "
            f"({error.strerror or error}). Make room in shared memory and in the temporary folder (TMPDIR), or use "
            "--jobs 1."
        ) from error


class WorkerPool(Executor):
    """A pool of worker processes, one BLAS thread each, that can be started anew after a worker died."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["torch"])  # imported once, not by every worker
        with _starting():
            return ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_end_with_parent)

    def submit(self, fn: Callable[..., B], /, *args: Any, **kwargs: Any) -> Future[B]:
        """Gives out one piece of work."""
        with _starting():
            return self._executor.submit(fn, *args, **kwargs)

    def restart(self) -> None:
        """Replaces all workers; work under way is lost and must be given out again."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the workers and counts what they used (`hybrid.base.log.cpu_seconds`)."""
        if wait:
            for process in multiprocessing.active_children():
                add_worker_usage(process.pid or 0)
        self._executor.shutdown(wait=wait, cancel_futures=cancel_futures)


@contextmanager
def pool(jobs: int) -> Iterator[Executor | None]:
    """Yields a pool of `jobs` worker processes, or None for one job (run in this process)."""
    if jobs <= 1:
        yield None
        return
    with WorkerPool(jobs) as executor:
        yield executor


def blocks(items: Sequence[A], size: int) -> list[Sequence[A]]:
    """Cuts items into consecutive blocks of `size`; the cut does not depend on the number of jobs."""
    return [items[i : i + size] for i in range(0, len(items), size)]


@dataclass
class _Task(Generic[A, B]):
    item: A
    future: Future[B]
    attempts: int = 1


def map_in_order(
    function: Callable[[A], B], items: Iterable[A], executor: Executor | None, ahead: int = 8
) -> Iterator[B]:
    """Yields `function(item)` in the order of the items, at most `ahead` of them under way at once.

    Args:
      function: a picklable callable (a module-level function, or functools.partial of one).
      executor: any executor (`pool`, or Dask's `Client.get_executor()`), or None to work in this process.

    Raises:
      HybridError: workers died three times over the same item.
    """
    if executor is None:
        yield from map(function, items)
        return
    pending: deque[_Task[A, B]] = deque()
    try:
        for item in items:
            pending.append(_submit(function, item, executor, pending))
            if len(pending) >= ahead:
                yield _next_result(function, pending, executor)
        while pending:
            yield _next_result(function, pending, executor)
    finally:
        for task in pending:
            task.future.cancel()


def _submit(function: Callable[[A], B], item: A, executor: Executor, pending: deque[_Task[A, B]]) -> _Task[A, B]:
    """Gives out one item, also where a worker has died since the last one."""
    try:
        return _Task(item, executor.submit(function, item))
    except BrokenExecutor:
        _give_out_again(function, pending, executor)
        return _Task(item, executor.submit(function, item))


def _next_result(function: Callable[[A], B], pending: deque[_Task[A, B]], executor: Executor) -> B:
    """Waits for the oldest item; where its worker died, starts the pool anew and tries again."""
    while True:
        try:
            result = pending[0].future.result()
        except BrokenExecutor as error:
            if pending[0].attempts >= MAX_ATTEMPTS:
                raise HybridError(
                    f"a worker process died {MAX_ATTEMPTS} times over the same piece of work, probably for want of "
                    "memory. Use fewer --jobs; what is finished is kept."
                ) from error
            _give_out_again(function, pending, executor)
            continue
        pending.popleft()
        return result


def _give_out_again(function: Callable[[A], B], pending: deque[_Task[A, B]], executor: Executor) -> None:
    """Restarts a broken pool and submits everything that was lost; finished results are kept."""
    if not isinstance(executor, WorkerPool):
        raise HybridError("the executor broke: a worker died and this kind of executor does not replace it. Run again.")
    logger.warning("a worker process died; starting new ones and giving its work out again")
    executor.restart()
    for task in pending:
        if not task.future.done() or task.future.cancelled() or task.future.exception() is not None:
            task.future = executor.submit(function, task.item)
            task.attempts += 1
