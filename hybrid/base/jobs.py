"""Work over utterances on any `concurrent.futures.Executor`, with results in the order of the items.

Sums stay the same for any number of jobs because items are cut into blocks of a fixed size and
results come back in the order of the blocks, whoever worked on them. A worker process that dies
(killed, out of memory) is replaced and its work given out again, so that it changes nothing.

What all items need (a model) is handed over as `shared`: each worker is sent it once, keeps it by content, and asks
for it where it is new, which works on any executor and after a restart.
"""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import pickle
import signal
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    InvalidStateError,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hybrid.base.errors import HybridError
from hybrid.base.locks import is_alive
from hybrid.base.log import add_worker_usage, get_logger

__all__ = ["WorkerPool", "blocks", "map_in_order", "one_behind", "pool", "workers"]

A = TypeVar("A")
B = TypeVar("B")

MAX_ATTEMPTS = 3
FOREIGN_WORKERS = 32  # of an executor that does not tell
SHARED_KEPT = 2  # values a worker remembers: a model and what came just before it
NOTHING: Any = object()  # no shared value

logger = get_logger(__name__)


class _Missing:
    """Answer of a worker that has not yet been sent the shared value."""


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
    """Lets processes be started that Ctrl-C passes by, which this one gets too and ends them; tells what hinders it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # which they inherit
    try:
        yield
    except OSError as error:
        raise HybridError(
            f"/dev/shm or {os.environ.get('TMPDIR') or '/tmp'}: worker processes cannot be started "
            f"({error.strerror or error}). Make room in shared memory and in the temporary folder (TMPDIR), or use "
            "--jobs 1."
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _untold_cancellations() -> Iterator[None]:
    """Keeps quiet what Python's pool does in a thread of its own where workers end whose waiting work was cancelled.

    It gives that work an exception, which cancelled work does not take (Python 3.11), and ends with a traceback.
    """
    before = threading.excepthook

    def tell(what: threading.ExceptHookArgs) -> None:
        """Tells all but that."""
        if what.exc_type is not InvalidStateError:
            before(what)

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = before


class WorkerPool(Executor):
    """A pool of worker processes, one BLAS thread each, that can be started anew after a worker died."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["torch"])  # imported once, not by every worker
        with _starting():
            return ProcessPoolExecutor(self.jobs, mp_context=context, initializer=_end_with_parent)

    def submit(self, fn: Callable[..., B], /, *args: Any, **kwargs: Any) -> Future[B]:
        """Gives out one piece of work.

        Raises:
          BrokenExecutor: a worker, or the process that starts them, was killed.
        """
        with _starting():
            try:
                return self._executor.submit(fn, *args, **kwargs)
            except (EOFError, ConnectionError) as error:
                _wait_for_end_of_starter()
                raise BrokenExecutor("the process that starts workers was killed") from error

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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the workers; at once where the run was interrupted or terminated: no semaphore is left behind."""
        if kind is not None and not issubclass(kind, Exception):
            with _untold_cancellations():
                for process in multiprocessing.active_children():
                    process.terminate()
                self._executor.shutdown(cancel_futures=True)
        else:
            self.shutdown()


@contextmanager
def pool(jobs: int, threads: int = 1) -> Iterator[Executor | None]:
    """Yields a pool of `jobs` worker processes, or of threads of this one, or None for one of them.

    Threads share what is loaded. They run side by side where compiled code does the work (`hybrid.base.compiled`).

    Raises:
      HybridError: more than one of both.
    """
    if threads > 1:
        if jobs > 1:
            raise HybridError(f"{jobs} processes of {threads} threads: give --jobs or --threads, not both.")
        with ThreadPoolExecutor(threads) as in_threads:
            yield in_threads
        return
    if jobs <= 1:
        yield None
        return
    with WorkerPool(jobs) as executor:
        yield executor


def blocks(items: Sequence[A], size: int) -> list[Sequence[A]]:
    """Cuts items into consecutive blocks of `size`; the cut does not depend on the number of jobs."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def one_behind(function: Callable[[A], B], items: Iterable[A], ahead: int = 4) -> Iterator[B]:
    """Yields `function(item)` in order; it runs in a thread while the next item is made.

    Args:
      function: what mostly waits for kernels or files, which release the interpreter's lock.
      items: made in the caller's thread, one at a time.
      ahead: results that may wait.
    """
    with ThreadPoolExecutor(1, "one behind") as thread:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(thread.submit(function, item))
            while waiting and (len(waiting) > ahead or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@dataclass(eq=False)
class _Task(Generic[A, B]):
    item: A
    future: Future[Any]
    attempts: int = 1


class _Work(Generic[A, B]):
    """What is to be done with every item: how it is given out, with or without the shared value."""

    def __init__(self, function: Callable[..., B], shared: Any, executor: Executor) -> None:
        self.function, self.executor = function, executor
        self.has_shared = shared is not NOTHING
        # Pickled once, for our own workers, in memory only.
        self.payload = pickle.dumps(shared, protocol=pickle.HIGHEST_PROTOCOL) if self.has_shared else b""
        self.key = hashlib.sha256(self.payload).hexdigest()
        self.sent = 0

    def submit(self, item: A, again: bool = False) -> Future[Any]:
        """Gives out one item; the first ones, and those whose worker lacks it, carry the shared value."""
        if not self.has_shared:
            return self.executor.submit(self.function, item)
        carries = again or self.sent < workers(self.executor)
        self.sent += carries
        return self.executor.submit(_with_shared, self.function, self.key, self.payload if carries else None, item)


_shared: OrderedDict[str, Any] = OrderedDict()  # of this worker, by content
_shared_lock = threading.Lock()


def _with_shared(function: Callable[..., B], key: str, payload: bytes | None, item: Any) -> B | _Missing:
    """Runs in a worker: calls the function with the shared value, which is unpickled once."""
    with _shared_lock:
        if key not in _shared:
            if payload is None:
                return _Missing()
            _shared[key] = pickle.loads(payload)
            while len(_shared) > SHARED_KEPT:
                _shared.popitem(last=False)
        _shared.move_to_end(key)
        value = _shared[key]
    return function(value, item)


def workers(executor: Executor) -> int:
    """Returns how many workers an executor has; where it does not tell, a number that few have."""
    return executor.jobs if isinstance(executor, WorkerPool) else FOREIGN_WORKERS


def map_in_order(
    function: Callable[..., B],
    items: Iterable[A],
    executor: Executor | None,
    ahead: int | None = None,
    shared: Any = NOTHING,
) -> Iterator[B]:
    """Yields `function(item)`, or `function(shared, item)`, in the order of the items.

    Args:
      function: a picklable callable (a module-level function, or functools.partial of one).
      executor: any executor (`pool`, or Dask's `Client.get_executor()`), or None to work in this process.
      ahead: how many items are under way at once; twice the number of workers if not given, 64 for an executor that
        does not tell how many it has.
      shared: a value that each worker is sent once, not with every item (a model). It must not change.

    Raises:
      HybridError: workers died three times over the same item.
    """
    if executor is None:
        yield from map(function if shared is NOTHING else functools.partial(function, shared), items)
        return
    work = _Work[A, B](function, shared, executor)
    ahead = ahead or 2 * workers(executor)
    pending: deque[_Task[A, B]] = deque()
    try:
        for item in items:
            pending.append(_submit(work, item, pending))
            if len(pending) >= ahead:
                yield _next_result(work, pending)
        while pending:
            yield _next_result(work, pending)
    finally:
        for task in pending:
            task.future.cancel()


def _wait_for_end_of_starter(seconds: float = 10.0) -> None:
    """Waits until the killed fork server has ended: for a moment it answers no more and is not yet gone.

    Python starts another one only when it is.
    """
    deadline = time.monotonic() + seconds
    starter = getattr(multiprocessing.forkserver, "_forkserver", None)  # it tells its number nowhere else
    pid = getattr(starter, "_forkserver_pid", None)
    while pid is not None and is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)


def _submit(work: _Work[A, B], item: A, pending: deque[_Task[A, B]]) -> _Task[A, B]:
    """Gives out one item, also where a worker has died since the last one."""
    try:
        return _Task(item, work.submit(item))
    except BrokenExecutor:
        _give_out_again(work, pending)
        return _Task(item, work.submit(item))


def _next_result(work: _Work[A, B], pending: deque[_Task[A, B]]) -> B:
    """Waits for the oldest item; where its worker died, starts the pool anew and tries again."""
    while True:
        try:
            if work.has_shared:
                _wait_with_shared(work, pending)
            result = pending[0].future.result()
        except BrokenExecutor as error:
            if pending[0].attempts >= MAX_ATTEMPTS:
                raise HybridError(
                    f"a worker process died {MAX_ATTEMPTS} times over the same piece of work, probably for want of "
                    "memory. Use fewer --jobs; what is finished is kept."
                ) from error
            _give_out_again(work, pending)
            continue
        pending.popleft()
        return result


def _wait_with_shared(work: _Work[A, B], pending: deque[_Task[A, B]]) -> None:
    """Waits for the oldest item and meanwhile sends the shared value where a worker lacks it."""
    while True:
        for task in pending:
            done = task.future.done() and not task.future.cancelled() and task.future.exception() is None
            if done and isinstance(task.future.result(), _Missing):
                task.future = work.submit(task.item, again=True)
        if pending[0].future.done():
            return
        wait([task.future for task in pending if not task.future.done()], return_when=FIRST_COMPLETED)


def _give_out_again(work: _Work[A, B], pending: deque[_Task[A, B]]) -> None:
    """Restarts a broken pool and submits everything that was lost; finished results are kept."""
    executor = work.executor
    if not isinstance(executor, WorkerPool):
        raise HybridError("the executor broke: a worker died and this kind of executor does not replace it. Run again.")
    logger.warning("a worker process died; starting new ones and giving its work out again")
    executor.restart()
    work.sent = 0
    for task in pending:
        if not task.future.done() or task.future.cancelled() or task.future.exception() is not None:
            task.future = work.submit(task.item)
            task.attempts += 1
