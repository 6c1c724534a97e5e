"""Work over utterances on any `concurrent.futures.Executor`, with results in the order of the items.

Sums stay the same for any number of jobs because items are cut into blocks of a fixed size and
results come back in the order of the blocks, whoever worked on them.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["blocks", "map_in_order", "pool"]

A = TypeVar("A")
B = TypeVar("B")


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)


@contextmanager
def pool(jobs: int) -> Iterator[Executor | None]:
    """Yields a pool of `jobs` worker processes with one BLAS thread each, or None for one job (run in this process)."""
    if jobs <= 1:
        yield None
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    )
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_single_thread) as executor:
        yield executor


def blocks(items: Sequence[A], size: int) -> list[Sequence[A]]:
    """Cuts items into consecutive blocks of `size`; the cut does not depend on the number of jobs."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def map_in_order(
    function: Callable[[A], B], items: Iterable[A], executor: Executor | None, ahead: int = 8
) -> Iterator[B]:
    """Yields `function(item)` in the order of the items, at most `ahead` of them under way at once.

    Args:
      function: a picklable callable (a module-level function, or functools.partial of one).
      executor: any executor, or None to work in this process.
    """
    if executor is None:
        yield from map(function, items)
        return
    pending: deque[Future[B]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
