#!/usr/bin/env python3
"""Measures on a CPU what the host does beside a card in the engine "torch": lattices, and the thread that launches.

    .venv/bin/python scripts/bench/search_host.py search_gpu.npz        # of `search_gpu.py pack`

The utterances are searched once by the kernels' twin, which takes most of the time; what it found is made into
lattices again and again, as threads do while a card goes on. Prints: CPU time of a lattice, and for how much of it a
thread holds the interpreter's lock; how long a thread that launches small operations takes for a hundred of them alone
and beside eight threads that make lattices, for two intervals after which Python takes the lock from a thread. In that
comparison the compiled loop is replaced by as long a sleep, so that threads wait for the lock, not for a core.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from search_gpu import unpack

from hybrid.search.config import SearchConfig
from hybrid.search.together import torch_batch
from hybrid.search.together.torch_batch import FoundTogether
from hybrid.search.together.torch_lanes import search_together
from hybrid.search.together.torch_search import TorchSearcher

LAUNCHES, THREADS = 100, 8


class Loop:
    """The compiled loop with a watch; or a sleep in its place, with the result of before."""

    def __init__(self) -> None:
        self.loop, self.seconds, self.known = torch_batch.pruned_lanes, 0.0, dict[Any, tuple[Any, float]]()
        self.asleep = False

    def __call__(self, *arguments: Any) -> Any:
        """Does as the loop does."""
        key = arguments[2].__array_interface__["data"], *arguments[-2:]
        if self.asleep:
            result, seconds = self.known[key]
            time.sleep(seconds)
            return result
        begin = time.thread_time()
        result = self.loop(*arguments)
        taken = time.thread_time() - begin
        self.seconds, self.known[key] = self.seconds + taken, (result, taken)
        return result


def lattices(found: list[FoundTogether], loop: Loop, repeat: int) -> None:
    """Prints the CPU time of a lattice."""
    count = repeat * sum(len(one.which) for one in found)
    for one in found:
        one.results(0, len(one.which))
    loop.seconds, begin = 0.0, time.thread_time()
    for _ in range(repeat):
        for one in found:
            one.results(0, len(one.which))
    whole = time.thread_time() - begin
    print(f"a lattice: {1e6 * whole / count:.0f} µs of CPU, {1e6 * (whole - loop.seconds) / count:.0f} with the lock")


def launching(repeat: int) -> float:
    """Returns the wall milliseconds of a hundred small operations, the mean of many."""
    numbers = torch.arange(64)
    begin = time.perf_counter()
    for _ in range(repeat * LAUNCHES):
        numbers = numbers + 1
    return 1e3 * (time.perf_counter() - begin) / repeat


def beside(found: list[FoundTogether], interval: float, repeat: int) -> tuple[float, float]:
    """Returns the same beside threads that make lattices, and how many lattices they make in that while."""
    stop, before, made = threading.Event(), sys.getswitchinterval(), [0] * THREADS

    def work(number: int) -> None:
        while not stop.is_set():
            for one in found:
                made[number] += len(one.results(0, len(one.which)))

    sys.setswitchinterval(interval)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(work, number) for number in range(THREADS)]
            begin = sum(made)
            taken = launching(repeat)
            count = sum(made) - begin
            stop.set()
            for job in jobs:
                job.result()
    finally:
        sys.setswitchinterval(before)
    return taken, count / repeat


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--beam", type=float, default=13.0)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    graph, scores, _, scale, _ = unpack(options.pack)
    searcher = TorchSearcher(graph, SearchConfig(options.beam, 6.0, 7000, acoustic_scale=scale), "cpu")
    found = list(search_together(searcher, sorted(scores, key=lambda one: -len(one)), len(scores)))
    loop = torch_batch.pruned_lanes = Loop()  # type: ignore[assignment]
    lattices(found, loop, options.repeat)
    loop.asleep = True
    print(f"\n| {LAUNCHES} launches | ms | lattices meanwhile |\n|---|---|---|")
    print(f"| alone | {launching(20 * options.repeat):.2f} | |")
    for interval in (5e-3, 1e-4):
        taken, made = beside(found, interval, 20 * options.repeat)
        print(f"| beside {THREADS} threads, interval {1e3 * interval:g} ms | {taken:.2f} | {made:.1f} |", flush=True)


if __name__ == "__main__":
    main()
